use std::{fmt, net::IpAddr, str::FromStr};

use libp2p::{
    PeerId,
    multiaddr::{self, Multiaddr, Protocol},
};
use wire::Peer;

use crate::identity::{id_of, peer_of};

#[cfg(test)]
mod tests;

/// Where a peer may be reached: a multiaddr of a kind that ghoard knows.
///
/// Valid are TCP, QUIC and WebSocket (`/ws`, `/tls/ws`, `/tls/sni/<name>/ws`) under an IP address or a DNS
/// name, `/dnsaddr/…`, and a circuit through a named relay; each may end in `/p2p/<peer>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Multiaddr);

impl Address {
    /// The peer that must answer here, if the address names one.
    pub fn peer(&self) -> Option<Peer> {
        self.peer_id().map(peer_of)
    }

    /// The same place, whoever answers.
    #[must_use]
    pub fn without_peer(&self) -> Self {
        let mut inner = self.0.clone();
        if matches!(inner.iter().last(), Some(Protocol::P2p(_))) {
            inner.pop();
        }
        Self(inner)
    }

    /// The same place, where `peer` must answer. Unchanged if `peer` is not a libp2p peer id.
    #[must_use]
    pub fn with_peer(&self, peer: &Peer) -> Self {
        match id_of(peer) {
            Some(id) => Self(self.without_peer().0.with(Protocol::P2p(id))),
            None => self.clone(),
        }
    }

    /// The IP address that is connected to: the relay's, for a circuit.
    pub fn ip(&self) -> Option<IpAddr> {
        ip_of(&self.0)
    }

    /// The TCP or UDP port that is connected to.
    pub fn port(&self) -> Option<u16> {
        self.0.iter().find_map(|part| match part {
            Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
            _ => None,
        })
    }

    /// The DNS name in place of an IP address, for a caller that resolves it.
    pub fn dns_name(&self) -> Option<String> {
        match self.0.iter().next() {
            Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) | Protocol::Dnsaddr(name)) => {
                Some(name.into_owned())
            }
            _ => None,
        }
    }

    /// The same address with its DNS name replaced by what it resolved to. TLS still asks for the name.
    #[must_use]
    pub fn resolved(&self, ip: IpAddr) -> Self {
        let resolved = self.0.replace(0, |_| Some(ip.into())).expect("an address has a first part");
        Self(self.dns_name().map_or_else(|| resolved.clone(), |name| with_server_name(&resolved, &name)))
    }

    /// The same, if the name may stand for that kind of address: `dns4` and `dns6` are of one kind each.
    pub fn resolved_as(&self, ip: IpAddr) -> Option<Self> {
        let fits = match self.0.iter().next() {
            Some(Protocol::Dns4(_)) => ip.is_ipv4(),
            Some(Protocol::Dns6(_)) => ip.is_ipv6(),
            Some(Protocol::Dns(_)) => true,
            _ => false,
        };
        fits.then(|| self.resolved(ip))
    }

    /// Whether its name stands for a list of addresses, in text records.
    pub fn is_dnsaddr(&self) -> bool {
        matches!(self.0.iter().next(), Some(Protocol::Dnsaddr(_)))
    }

    /// Whether it can be connected to as it stands: a definite IP address and port, and at the end
    /// of a circuit a peer. Of a transport that a node was started without, the dial fails.
    pub fn is_dialable_now(&self) -> bool {
        let parts: Vec<_> = self.0.iter().collect();
        let definite = match parts.first() {
            Some(Protocol::Ip4(ip)) => !ip.is_unspecified(),
            Some(Protocol::Ip6(ip)) => !ip.is_unspecified(),
            _ => false,
        };
        let has_end = !self.is_relayed() || self.peer_id().is_some();
        definite && self.port().is_some_and(|port| port > 0) && self.is_known() && has_end
    }

    /// Whether the connection would run through a relay.
    pub fn is_relayed(&self) -> bool {
        self.0.iter().any(|part| part == Protocol::P2pCircuit)
    }

    /// The address of the circuit through this place: where `relay` listens, and `peer` has a
    /// reservation. `None` if a name is not a libp2p peer id, or this is a circuit already.
    pub fn circuit(&self, relay: &Peer, peer: &Peer) -> Option<Self> {
        let (relay, peer) = (id_of(relay)?, id_of(peer)?);
        let place = self.without_peer();
        let circuit = place.0.clone().with(Protocol::P2p(relay)).with(Protocol::P2pCircuit).with(Protocol::P2p(peer));
        (!place.is_relayed()).then_some(Self(circuit))
    }

    /// The relay that a circuit runs through.
    pub fn relay(&self) -> Option<Peer> {
        relay_of(&self.0).map(peer_of)
    }

    /// What carries it: for a circuit, the way to the relay.
    pub fn carrier(&self) -> Carrier {
        self.0
            .iter()
            .find_map(|part| match part {
                Protocol::QuicV1 => Some(Carrier::Quic),
                Protocol::Ws(_) | Protocol::Wss(_) => Some(Carrier::WebSocket),
                _ => None,
            })
            .unwrap_or(Carrier::Tcp)
    }

    /// Whether machines anywhere may try it: no private, loopback or link-local network.
    pub fn is_global(&self) -> bool {
        self.ip().is_some_and(|ip| is_global(&ip))
    }

    /// What libp2p reports, known or not: such an address is shown, and dialled only if it is known.
    pub(crate) fn reported(address: &Multiaddr) -> Self {
        Self(address.clone())
    }

    pub(crate) fn peer_id(&self) -> Option<PeerId> {
        match self.0.iter().last() {
            Some(Protocol::P2p(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether it is of a kind that [`Address::from_str`] accepts.
    pub(crate) fn is_known(&self) -> bool {
        is_known(&self.0)
    }

    pub(crate) fn inner(&self) -> &Multiaddr {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parsed: Multiaddr = text.parse().map_err(|cause| match cause {
            multiaddr::Error::UnknownProtocolString(_) => AddressError::NoTransport(text.to_owned()),
            cause => AddressError::Malformed { text: text.to_owned(), why: cause.to_string() },
        })?;
        if is_known(&parsed) { Ok(Self(parsed)) } else { Err(AddressError::NoTransport(text.to_owned())) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("no transport ghoard can dial in {0}")]
    NoTransport(String),
    /// A part that is known has a value that is not: a port of 99999, a host name under `/ip4`.
    #[error("malformed address {text}: {why}")]
    Malformed { text: String, why: String },
}

/// What carries the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    Tcp,
    Quic,
    WebSocket,
}

impl Carrier {
    /// As it is shown, and as the setting `transports` spells it.
    pub fn label(self) -> &'static str {
        match self {
            Carrier::Tcp => "tcp",
            Carrier::Quic => "quic",
            Carrier::WebSocket => "ws",
        }
    }
}

pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// The same, with the name that a server behind TLS must have a certificate for, if nobody has named another.
fn with_server_name(address: &Multiaddr, name: &str) -> Multiaddr {
    let sni = || Protocol::Sni(name.to_owned().into());
    let mut named = Multiaddr::empty();
    for part in address {
        match part {
            Protocol::Wss(path) => named = named.with(Protocol::Tls).with(sni()).with(Protocol::Ws(path)),
            Protocol::Ws(path) if matches!(named.iter().last(), Some(Protocol::Tls)) => {
                named = named.with(sni()).with(Protocol::Ws(path));
            }
            part => named.push(part),
        }
    }
    named
}

/// Whether of the addresses that this machine has `left` none leads out where `gone` did.
pub(crate) fn was_last(gone: IpAddr, left: &[IpAddr]) -> bool {
    let is_near = |ip: &IpAddr| ip.is_loopback() || matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    !left.iter().any(|other| other.is_ipv4() == gone.is_ipv4() && !is_near(other))
}

/// The relay of a circuit: the last peer that is named before it.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut relay = None;
    for part in address {
        match part {
            Protocol::P2p(id) => relay = Some(id),
            Protocol::P2pCircuit => return relay,
            _ => {}
        }
    }
    None
}

fn is_global(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_carrier_grade_nat = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_carrier_grade_nat)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified())
        }
    }
}

fn is_known(address: &Multiaddr) -> bool {
    use Protocol::{Dns, Dns4, Dns6, Dnsaddr, Ip4, Ip6, P2p, P2pCircuit, QuicV1, Sni, Tcp, Tls, Udp, Ws, Wss};
    let parts: Vec<_> = address.iter().collect();
    let place = match parts.as_slice() {
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Udp(_), QuicV1, ..] => 3,
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Tcp(_), Tls, Ws(_), ..] => 4,
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Tcp(_), Tls, Sni(_), Ws(_), ..] => 5,
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Tcp(_), Ws(_) | Wss(_), ..] => 3,
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Tcp(_), ..] => 2,
        [Dnsaddr(_), ..] => 1,
        _ => return false,
    };
    matches!(parts[place..], [] | [P2p(_)] | [P2p(_), P2pCircuit] | [P2p(_), P2pCircuit, P2p(_)])
}
