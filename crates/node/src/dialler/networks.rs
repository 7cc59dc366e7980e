//! Which private networks this machine is in.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use net::Address;

/// The private networks of this machine, by the usual sizes. Pure.
///
/// A private address means a machine only together with the network that it is of: `192.168.1.2` is another
/// machine in each office. Sizes are those that networks commonly have: 24 bits in `192.168/16`; 16 bits in
/// `10/8` and `172.16/12`, as clouds and companies cut them; `100.64/10` as one, since overlays use it whole;
/// 48 bits of IPv6's unique local addresses. One may still lead to another (a VPN, a company's routers, a
/// container's host), so that this orders what is tried, and forbids nothing.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    of: BTreeSet<IpAddr>,
    /// This machine's own addresses are known.
    is_known: bool,
}

impl Networks {
    /// From what this machine listens on.
    pub fn of(listening: &[Address]) -> Self {
        let own = listening.iter().filter(|address| !address.is_relayed()).filter_map(Address::ip);
        let own: Vec<IpAddr> = own.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).collect();
        Self { is_known: !own.is_empty(), of: own.into_iter().filter_map(network_of).collect() }
    }

    /// Whether it is of this machine or of a private network that this machine is in.
    pub fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || network_of(ip).is_some_and(|network| self.of.contains(&network))
    }

    /// Whether it is of a private network that this machine is not in. False while its own are not known, and of
    /// a circuit: its relay is connected already.
    pub fn is_elsewhere(&self, address: &Address) -> bool {
        let network = address.ip().filter(|_| self.is_known && !address.is_relayed()).and_then(network_of);
        network.is_some_and(|network| !self.of.contains(&network))
    }
}

/// The first address of the private network that it is of.
fn network_of(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            match (a, b) {
                (10, _) | (172, 16..=31) => Some(Ipv4Addr::new(a, b, 0, 0).into()),
                (192, 168) => Some(Ipv4Addr::new(a, b, c, 0).into()),
                (100, 64..=127) => Some(Ipv4Addr::new(100, 64, 0, 0).into()),
                _ => None,
            }
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            ip.is_unique_local().then(|| Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_address_of_another_network_is_elsewhere() {
        let at = |ip: &str| -> Address {
            let kind = if ip.contains(':') { "ip6" } else { "ip4" };
            format!("/{kind}/{ip}/tcp/9100").parse().unwrap()
        };
        let here = Networks::of(&["127.0.0.1", "192.168.1.2", "10.1.0.9", "fd00:1:2::9"].map(at));
        for near in ["192.168.1.77", "10.1.200.1", "fd00:1:2:3::4", "127.0.0.1", "::1"] {
            assert!(here.has(near.parse().unwrap()) && !here.is_elsewhere(&at(near)), "{near}");
        }
        for far in ["192.168.2.2", "10.2.0.9", "172.17.0.1", "100.64.0.1", "fd00:1:3::9"] {
            assert!(!here.has(far.parse().unwrap()) && here.is_elsewhere(&at(far)), "{far}");
        }
        for public in ["50.0.0.1", "2001:db8::1", "172.32.0.1"] {
            assert!(!here.has(public.parse().unwrap()) && !here.is_elsewhere(&at(public)), "{public}");
        }
        let relay = net::Identity::from_seed([1; 32]).peer();
        assert!(!here.is_elsewhere(&at("192.168.2.2").circuit(&relay, &relay).unwrap()));
        assert!(!Networks::of(&[at("127.0.0.1")]).is_elsewhere(&at("192.168.2.2")), "nobody knows where this is");
        assert!(Networks::of(&[at("50.0.0.1")]).is_elsewhere(&at("192.168.2.2")), "a machine in public");
    }
}
