use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::address::ip_of;

/// Who answers for a connection whose peer has proved nothing yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An IPv4 address, or the first 64 bits of an IPv6 one: the rest is any host's own to choose (RFC 4291, 2.5.1, and
    /// RFC 8981), so that by whole addresses one host would be 2^64.
    Ip(IpAddr),
    /// Who is behind a circuit has no address. The relay at this one answers for it.
    At(Multiaddr),
}

impl Source {
    /// Of an inbound connection, by its two ends.
    pub(crate) fn of(local: &Multiaddr, remote: &Multiaddr) -> Self {
        if local.iter().any(|part| part == Protocol::P2pCircuit) {
            return Self::At(local.iter().take_while(|part| *part != Protocol::P2pCircuit).collect());
        }
        ip_of(remote).map_or_else(|| Self::At(remote.clone()), Self::of_ip)
    }

    pub(crate) fn of_ip(ip: IpAddr) -> Self {
        Self::Ip(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
            ip @ IpAddr::V4(_) => ip,
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Ip(ip @ IpAddr::V4(_)) => ip.fmt(f),
            Source::Ip(network @ IpAddr::V6(_)) => write!(f, "{network}/64"),
            Source::At(place) => write!(f, "the relay at {place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_a_network_of_64_bits_and_a_relay_are_one_source_each() {
        let peer = "/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
        for (local, remote, source) in [
            ("/ip4/10.0.0.1/tcp/9100", "/ip4/192.0.2.7/tcp/1", "192.0.2.7"),
            ("/ip6/2001:db8::1/tcp/9100", "/ip6/2001:db8:0:7::1/tcp/1", "2001:db8:0:7::/64"),
            ("/ip6/2001:db8::1/tcp/9100", "/ip6/2001:db8:0:7:ffff:ffff:ffff:ffff/tcp/1", "2001:db8:0:7::/64"),
            ("/ip6/2001:db8::1/tcp/9100", "/ip6/2001:db8:0:8::1/tcp/1", "2001:db8:0:8::/64"),
            ("/ip6/::/tcp/9100", "/ip6/::ffff:192.0.2.7/tcp/1", "192.0.2.7"),
            ("/ip4/192.0.2.10/tcp/9100/p2p-circuit", peer, "the relay at /ip4/192.0.2.10/tcp/9100"),
        ] {
            assert_eq!(Source::of(&local.parse().unwrap(), &remote.parse().unwrap()).to_string(), source);
        }
    }
}
