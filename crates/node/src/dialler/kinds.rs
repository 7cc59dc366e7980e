//! The ways in which peers are found, and what became of each.

use std::collections::BTreeMap;

use wire::Millis;

/// A way in which a peer can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Named by the operator.
    Static,
    Dns,
    File,
    /// The registry in a GitHub issue.
    Issue,
    Mdns,
    Exchange,
    /// What members keep for each other, asked for by name.
    Kademlia,
    /// Heard of, and looked for through relays that are connected.
    Circuits,
    PublicBootstrap,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Static,
        Self::Dns,
        Self::File,
        Self::Issue,
        Self::Mdns,
        Self::Exchange,
        Self::Kademlia,
        Self::Circuits,
        Self::PublicBootstrap,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dns => "dns",
            Self::File => "file",
            Self::Issue => "issue_registry",
            Self::Mdns => "mdns",
            Self::Exchange => "peer_exchange",
            Self::Kademlia => "kademlia",
            Self::Circuits => "circuits",
            Self::PublicBootstrap => "public_bootstrap",
        }
    }

    /// Whether others told of it that may not know better, and of any number of machines.
    pub fn is_hearsay(self) -> bool {
        matches!(self, Self::Mdns | Self::Exchange | Self::Kademlia | Self::Circuits)
    }

    /// Whether it may name an address that is good only where whoever is there is: what comes from the operator,
    /// a shared folder or the network around was said of this one.
    pub fn is_from_afar(self) -> bool {
        matches!(self, Self::Issue | Self::Exchange | Self::Kademlia)
    }

    /// Whether it finds somebody where nobody is connected yet.
    pub fn is_first(self) -> bool {
        !matches!(self, Self::Circuits | Self::Kademlia | Self::PublicBootstrap)
    }
}

/// What is known of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub configured: bool,
    pub running: bool,
    /// Addresses that are known by it now.
    pub addresses: usize,
    /// When it last named the address of another machine.
    pub found_at: Option<Millis>,
    /// When a machine that it had named was last connected to.
    pub worked_at: Option<Millis>,
    pub trouble: Option<String>,
}

pub type Kinds = BTreeMap<Kind, State>;

pub fn all() -> Kinds {
    Kind::ALL.into_iter().map(|kind| (kind, State::default())).collect()
}
