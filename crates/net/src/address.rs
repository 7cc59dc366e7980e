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
/// Valid are TCP and QUIC under an IP address or a DNS name, `/dnsaddr/…`, and a circuit through
/// a named relay; each may end in `/p2p/<peer>`.
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

    /// The same address with its DNS name replaced by what it resolved to.
    #[must_use]
    pub fn resolved(&self, ip: IpAddr) -> Self {
        Self(self.0.replace(0, |_| Some(ip.into())).expect("an address has a first part"))
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

    /// Whether this build can connect to it as it stands: TCP to a definite IP address and port.
    pub fn is_dialable_now(&self) -> bool {
        let place = self.without_peer().0;
        let mut parts = place.iter();
        let definite = match parts.next() {
            Some(Protocol::Ip4(ip)) => !ip.is_unspecified(),
            Some(Protocol::Ip6(ip)) => !ip.is_unspecified(),
            _ => false,
        };
        definite && matches!(parts.next(), Some(Protocol::Tcp(1..))) && parts.next().is_none()
    }

    /// Whether the connection would run through a relay.
    pub fn is_relayed(&self) -> bool {
        self.0.iter().any(|part| part == Protocol::P2pCircuit)
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

pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

fn is_known(address: &Multiaddr) -> bool {
    use Protocol::{Dns, Dns4, Dns6, Dnsaddr, Ip4, Ip6, P2p, P2pCircuit, QuicV1, Tcp, Udp};
    let parts: Vec<_> = address.iter().collect();
    let place = match parts.as_slice() {
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Udp(_), QuicV1, ..] => 3,
        [Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_), Tcp(_), ..] => 2,
        [Dnsaddr(_), ..] => 1,
        _ => return false,
    };
    matches!(parts[place..], [] | [P2p(_)] | [P2p(_), P2pCircuit] | [P2p(_), P2pCircuit, P2p(_)])
}
