//! What stands between a host and the internet.

use std::fmt::{self, Display, Formatter};

/// The port that every daemon of the lab listens on.
pub(crate) const PORT: u16 = 9100;
/// Where a port-changing router puts it, always the same.
const CHANGED_PORT: u16 = 24001;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No router: an address of the internet itself.
    Public,
    /// Linux' ordinary NAT: keeps the port where it is free, lets in only answers.
    Masquerade,
    /// Another port for each connection, by a hash of the connection.
    Random,
    /// Another port for each connection, at random.
    FullyRandom,
    /// Everything that comes to the router's address is for the host.
    FullCone,
    /// Another port, and the same one towards everybody.
    PortChanging,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Public, Self::Masquerade, Self::Random, Self::FullyRandom, Self::FullCone, Self::PortChanging];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Masquerade => "masquerade",
            Self::Random => "random",
            Self::FullyRandom => "fully-random",
            Self::FullCone => "full-cone",
            Self::PortChanging => "port-changing",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("no kind of NAT {name:?}; they are {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// The rules of a router whose leg `wan` has the address `address`, before the LAN `lan` with its
    /// first host at `host`. With two hosts what a rule says of one host is true of the first.
    pub(crate) fn rules(self, address: &str, host: &str) -> String {
        let ports = "meta l4proto { tcp, udp } th";
        let out = match self {
            Self::Public => return String::new(),
            Self::Masquerade | Self::FullCone => "oifname wan masquerade".to_owned(),
            Self::Random => "oifname wan masquerade random".to_owned(),
            Self::FullyRandom => "oifname wan masquerade fully-random".to_owned(),
            Self::PortChanging => format!(
                "oifname wan ip saddr {host} {ports} sport {PORT} snat to {address}:{CHANGED_PORT}; oifname wan masquerade"
            ),
        };
        let is_open = self == Self::FullCone;
        let inward =
            if is_open { format!("iifname wan {ports} dport 1024-65535 dnat to {host}") } else { String::new() };
        let let_in = if is_open { "iifname wan ct status dnat accept" } else { "" };
        // A router that does not drop what nobody asked for answers it, and the entry that this makes in
        // its table changes the port of the connection that comes after.
        format!(
            "table ip nat {{\n\
               chain post {{ type nat hook postrouting priority srcnat; {out}; }}\n\
               chain pre {{ type nat hook prerouting priority dstnat; {inward}; }}\n\
             }}\n\
             table ip filter {{\n\
               chain input {{ type filter hook input priority filter; policy drop;\n\
                 ct state established,related accept; iifname {{ lo, lan }} accept; }}\n\
               chain forward {{ type filter hook forward priority filter; policy drop;\n\
                 ct state established,related accept; iifname lan accept; {let_in}; }}\n\
             }}\n"
        )
        .replace("; ;", ";")
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
