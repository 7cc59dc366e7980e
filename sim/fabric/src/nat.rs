//! A router that shares its address: which port a connection gets outside, and who is let in.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use crate::{limits::NAT_PORTS, rng::SplitMix64};

/// How a router behaves, in the words of RFC 4787 (and RFC 5382, of TCP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    pub mapping: Mapping,
    pub filtering: Filtering,
    /// A connection keeps its port outside where that is free.
    pub preserves_ports: bool,
    /// What is sent from within to the router's own address comes back in.
    pub hairpins: bool,
    /// After this long without a packet a mapping is forgotten.
    pub timeout: Duration,
}

/// When two connections from one port within have one port outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Always: whoever is told of the port outside can use it.
    EndpointIndependent,
    /// Towards one address and port only: a *symmetric* NAT.
    AddressAndPortDependent,
}

/// Whose packets are let in at a port outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody's, and at ports without a mapping those for the first machine within: a *full cone*
    /// with a forward of all ports.
    EndpointIndependent,
    /// Those of addresses that were sent to, from any port.
    AddressDependent,
    /// Those of addresses and ports that were sent to.
    AddressAndPortDependent,
}

impl Nat {
    /// Linux' `masquerade`, and most routers at home: keeps ports, lets in only answers.
    pub const fn masquerade() -> Self {
        Self {
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::AddressAndPortDependent,
            preserves_ports: true,
            hairpins: false,
            timeout: Duration::from_secs(300),
        }
    }

    /// The same with another port outside, towards everybody the same.
    pub const fn port_changing() -> Self {
        Self { preserves_ports: false, ..Self::masquerade() }
    }

    /// Linux' `masquerade random`, and most clouds: another port for each destination.
    pub const fn symmetric() -> Self {
        Self { mapping: Mapping::AddressAndPortDependent, preserves_ports: false, ..Self::masquerade() }
    }

    /// Lets everybody in.
    pub const fn full_cone() -> Self {
        Self { filtering: Filtering::EndpointIndependent, ..Self::masquerade() }
    }
}

/// What a mapping is found by: the port within, and with a symmetric NAT also whom it is for.
type Inner = (SocketAddrV4, Option<SocketAddrV4>);

/// A router's memory.
pub(crate) struct Table {
    nat: Nat,
    address: Ipv4Addr,
    mappings: BTreeMap<Inner, Outer>,
    ports: BTreeMap<u16, Inner>,
    /// The machine that a full cone forwards to.
    first: Option<Ipv4Addr>,
    draws: SplitMix64,
}

struct Outer {
    port: u16,
    used: Duration,
    /// Who was sent to, and when last.
    allowed: BTreeMap<SocketAddrV4, Duration>,
}

impl Table {
    pub(crate) fn new(nat: Nat, address: Ipv4Addr, draws: SplitMix64) -> Self {
        Self { nat, address, mappings: BTreeMap::new(), ports: BTreeMap::new(), first: None, draws }
    }

    pub(crate) fn hairpins(&self) -> bool {
        self.nat.hairpins
    }

    /// Learns of a machine within.
    pub(crate) fn add_machine(&mut self, address: Ipv4Addr) {
        self.first.get_or_insert(address);
    }

    /// The router has another address, at which nothing that it knew means anything.
    pub(crate) fn readdress(&mut self, address: Ipv4Addr) {
        self.address = address;
        self.clear();
    }

    /// What a router has forgotten that was without power.
    pub(crate) fn clear(&mut self) {
        self.mappings.clear();
        self.ports.clear();
    }

    /// The address outside of a packet from `from` to `to`. `None`: all ports are taken.
    pub(crate) fn outward(&mut self, from: SocketAddrV4, to: SocketAddrV4, now: Duration) -> Option<SocketAddrV4> {
        let remote = (self.nat.mapping == Mapping::AddressAndPortDependent).then_some(to);
        let inner = (from, remote);
        self.forget_if_old(inner, now);
        if !self.mappings.contains_key(&inner) {
            let port = self.free_port(from.port(), now)?;
            self.ports.insert(port, inner);
            self.mappings.insert(inner, Outer { port, used: now, allowed: BTreeMap::new() });
        }
        let outer = self.mappings.get_mut(&inner).expect("it is there or was made");
        outer.used = now;
        outer.allowed.retain(|_, at| now.saturating_sub(*at) <= self.nat.timeout);
        outer.allowed.insert(to, now);
        Some(SocketAddrV4::new(self.address, outer.port))
    }

    /// Which machine and port within a packet is for that came from `from` to `port`; `None` drops it.
    pub(crate) fn inward(&mut self, from: SocketAddrV4, port: u16, now: Duration) -> Option<SocketAddrV4> {
        if let Some(inner) = self.ports.get(&port).copied() {
            self.forget_if_old(inner, now);
        }
        let Some(inner) = self.ports.get(&port).copied() else {
            let is_open = self.nat.filtering == Filtering::EndpointIndependent;
            return self.first.filter(|_| is_open).map(|first| SocketAddrV4::new(first, port));
        };
        let timeout = self.nat.timeout;
        let outer = self.mappings.get_mut(&inner).expect("each port has its mapping");
        let is_recent = |at: &Duration| now.saturating_sub(*at) <= timeout;
        let is_allowed = match self.nat.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                outer.allowed.iter().any(|(known, at)| known.ip() == from.ip() && is_recent(at))
            }
            Filtering::AddressAndPortDependent => outer.allowed.get(&from).is_some_and(is_recent),
        };
        if !is_allowed {
            return None;
        }
        // A packet that is let in keeps the way open, as Linux' connection tracking does.
        outer.used = now;
        outer.allowed.insert(from, now);
        Some(inner.0)
    }

    fn forget_if_old(&mut self, inner: Inner, now: Duration) {
        let is_old = |outer: &Outer| now.saturating_sub(outer.used) > self.nat.timeout;
        if let Some(outer) = self.mappings.get(&inner).filter(|outer| is_old(outer)) {
            self.ports.remove(&outer.port);
            self.mappings.remove(&inner);
        }
    }

    fn free_port(&mut self, wish: u16, now: Duration) -> Option<u16> {
        if let Some(inner) = self.ports.get(&wish).copied() {
            self.forget_if_old(inner, now);
        }
        if self.nat.preserves_ports && !self.ports.contains_key(&wish) {
            return Some(wish);
        }
        let (first, count) = (*NAT_PORTS.start(), u64::try_from(NAT_PORTS.len()).expect("ports are few"));
        let start = self.draws.next() % count;
        let nth = |n: u64| first + u16::try_from((start + n) % count).expect("within the range of ports");
        (0..count).map(nth).find(|port| *port != wish && !self.ports.contains_key(port))
    }
}

#[cfg(test)]
mod tests;
