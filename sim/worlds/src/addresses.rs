//! Who has which address in the simulated network.

use std::net::Ipv4Addr;

use net::Address;

use crate::{
    machine::ip,
    plan::{Node, Place},
};

/// Where members listen, as by default.
const PORT: u16 = 9100;

/// Of a machine when the world begins. Sites have private networks, as far as `192.168` goes.
pub fn of(node: &Node) -> Ipv4Addr {
    now(node, false)
}

/// The same later on. Who is at a site keeps its own.
pub fn now(node: &Node, has_moved: bool) -> Ipv4Addr {
    let last = |first: u32| u8::try_from(first + node.id).expect("a plan was checked");
    match node.place {
        Place::Lan => ip(node.id),
        Place::Public | Place::Anchor => Ipv4Addr::new(50, 0, if has_moved { 9 } else { 0 }, last(1)),
        Place::Site(site) => Ipv4Addr::new(192, 168, byte(site), last(2)),
    }
}

pub fn of_router(site: u32) -> Ipv4Addr {
    of_router_now(site, false)
}

pub fn of_router_now(site: u32, has_moved: bool) -> Ipv4Addr {
    Ipv4Addr::new(50, 1, if has_moved { 9 } else { 0 }, byte(site + 1))
}

fn byte(number: u32) -> u8 {
    u8::try_from(number).expect("a plan was checked")
}

/// Where a machine is found by others of its network.
pub fn place(node: &Node) -> Address {
    at(of(node))
}

/// What a machine listens on. Those of one network name their address, which never changes.
pub fn listening(node: &Node) -> Address {
    at(if node.place.is_lan() { of(node) } else { Ipv4Addr::UNSPECIFIED })
}

fn at(ip: Ipv4Addr) -> Address {
    format!("/ip4/{ip}/tcp/{PORT}").parse().expect("an IP address and a port make a multiaddr")
}
