//! Which machine a packet goes to, and what a router makes of its source on the way out.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use crate::{MachineId, machine::Machine, packet::Packet};

/// Where a packet goes.
pub(crate) enum Route {
    /// Back to its sender, over no link.
    Loopback,
    Link(MachineId),
    /// No machine has this address, or not for this sender: the packet is lost, as in an unused network.
    Nowhere,
}

/// The way of `packet`, sent by the machine `from`. Behind a router it leaves with the router's address.
pub(crate) fn route(
    addresses: &BTreeMap<Ipv4Addr, MachineId>,
    machines: &mut [Machine],
    from: MachineId,
    packet: &mut Packet,
    now: Duration,
) -> Route {
    if packet.dst.ip().is_loopback() {
        return Route::Loopback;
    }
    // Of a connection from before the machine got another address.
    if *packet.src.ip() != machines[from.index()].ip {
        return Route::Nowhere;
    }
    let Some(to) = addresses.get(packet.dst.ip()).copied() else { return Route::Nowhere };
    let (own, theirs) = (machines[from.index()].router, machines[to.index()].router);
    match own {
        _ if to == from => Route::Loopback,
        // Both are in one network: outside, or behind the same router.
        _ if own == theirs && own.is_some() => Route::Link(to),
        // A private address of somebody else's network.
        _ if theirs.is_some() => Route::Nowhere,
        None => Route::Link(to),
        Some(router) => {
            let router_is_on = machines[router.index()].powered;
            let nat = machines[router.index()].nat.as_mut().expect("a router has a NAT");
            if !router_is_on || (to == router && !nat.hairpins()) {
                return Route::Nowhere;
            }
            let Some(outer) = nat.outward(packet.src, packet.dst, now) else { return Route::Nowhere };
            packet.src = outer;
            Route::Link(to)
        }
    }
}
