//! Which machine a packet goes to. NAT boxes go here: they rewrite a packet's addresses on its way.

use std::{collections::BTreeMap, net::Ipv4Addr};

use crate::{MachineId, packet::Packet};

/// Where a packet goes.
pub(crate) enum Route {
    /// Back to its sender, over no link.
    Loopback,
    Link(MachineId),
    /// No machine has this address: the packet is lost, as in an unused network.
    Nowhere,
}

/// The way of `packet`, sent by the machine `from`.
pub(crate) fn route(addresses: &BTreeMap<Ipv4Addr, MachineId>, from: MachineId, packet: &Packet) -> Route {
    if packet.dst.ip().is_loopback() {
        return Route::Loopback;
    }
    match addresses.get(packet.dst.ip()) {
        Some(to) if *to == from => Route::Loopback,
        Some(to) => Route::Link(*to),
        None => Route::Nowhere,
    }
}
