//! Machines behind routers: who is reached by whom, and the same by meeting half-way.

use std::{io::ErrorKind, net::SocketAddrV4};

use fabric::{MachineId, Nat};
use futures::FutureExt;

use crate::world::{PORT, World, millis, secs};

/// A machine behind a router of its own.
fn behind(world: &World, nat: Nat, site: u8) -> (MachineId, MachineId) {
    let router = world.network.add_router([50, 0, 1, site].into(), nat);
    (router, world.network.add_machine_behind(router, [192, 168, site, 2].into()))
}

fn outside(world: &World, router: MachineId) -> SocketAddrV4 {
    SocketAddrV4::new(world.network.ip(router), PORT)
}

#[test]
fn whom_it_dials_sees_the_router_and_answers_through_it() {
    let mut world = World::new();
    let (router, host) = behind(&world, Nat::masquerade(), 1);
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dial = world.network.dial(host, world.at(world.b)).from_port(PORT);
    let accepted = world.spawn(async move { listener.accept().await.unwrap() });
    let dialled = world.spawn(dial);
    let (far, near) = (world.finish(&accepted), world.finish(&dialled).unwrap());
    assert_eq!(far.remote(), outside(&world, router));
    assert_eq!(near.local(), SocketAddrV4::new([192, 168, 1, 2].into(), PORT), "it does not know of the router");
}

#[test]
fn nobody_outside_reaches_a_machine_behind_a_masquerade_and_everybody_one_behind_a_full_cone() {
    let mut world = World::new();
    let (closed, host) = behind(&world, Nat::masquerade(), 1);
    let (open, second) = behind(&world, Nat::full_cone(), 2);
    let _closed = world.network.listen(host, PORT).unwrap();
    let _open = world.network.listen(second, PORT).unwrap();
    let dials = [closed, open].map(|router| world.network.dial(world.a, outside(&world, router)));
    let [refused, let_in] = dials.map(|dial| world.spawn(dial));
    assert!(world.finish(&let_in).is_ok());
    assert_eq!(world.finish(&refused).unwrap_err().kind(), ErrorKind::TimedOut);
    let private = world.spawn(world.network.dial(world.a, SocketAddrV4::new([192, 168, 1, 2].into(), PORT)));
    assert_eq!(
        world.finish(&private).unwrap_err().kind(),
        ErrorKind::TimedOut,
        "a private address is of no use outside"
    );
}

#[test]
fn two_machines_behind_masquerades_meet_by_dialling_each_other() {
    let mut world = World::new();
    let ((left, a), (right, b)) = (behind(&world, Nat::masquerade(), 1), behind(&world, Nat::masquerade(), 2));
    let dial = |world: &World, from, to| world.network.dial(from, outside(world, to)).from_port(PORT);
    let (first, second) = (dial(&world, a, right), dial(&world, b, left));
    let first = world.spawn(first);
    world.run_for(millis(5));
    let second = world.spawn(second);
    let (first, second) = (world.finish(&first).unwrap(), world.finish(&second).unwrap());
    assert_eq!((first.remote(), second.remote()), (outside(&world, right), outside(&world, left)));
    assert_eq!(world.network.connections(a), 1, "one connection, of which both are the dialler");
}

#[test]
fn with_a_symmetric_router_on_one_side_they_do_not_meet() {
    let mut world = World::new();
    let ((left, a), (right, b)) = (behind(&world, Nat::symmetric(), 1), behind(&world, Nat::masquerade(), 2));
    let dial = |world: &World, from, to| world.network.dial(from, outside(world, to)).from_port(PORT);
    let (first, second) = (dial(&world, a, right), dial(&world, b, left));
    let (first, second) = (world.spawn(first), world.spawn(second));
    world.run_for(secs(20));
    assert!(first.take().is_none() && second.take().is_none());
}

#[test]
fn machines_behind_one_router_meet_within_and_by_its_outer_address_only_if_it_hairpins() {
    let mut world = World::new();
    for (site, hairpins) in [(1, false), (2, true)] {
        let (router, host) = behind(&world, Nat { hairpins, ..Nat::full_cone() }, site);
        let sibling = world.network.add_machine_behind(router, [192, 168, site, 3].into());
        let _listener = world.network.listen(host, PORT).unwrap();
        let within = world.spawn(world.network.dial(sibling, world.at(host)));
        assert!(world.finish(&within).is_ok());
        let around = world.spawn(world.network.dial(sibling, outside(&world, router)));
        assert_eq!(world.finish(&around).is_ok(), hairpins);
    }
}

#[test]
fn a_router_with_another_address_resets_what_ran_over_the_old_one() {
    let mut world = World::new();
    let (router, host) = behind(&world, Nat::masquerade(), 1);
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dialled = world.spawn(world.network.dial(host, world.at(world.b)));
    let near = world.finish(&dialled).unwrap();
    world.network.readdress(router, [50, 0, 1, 99].into());
    let sent = world.spawn(crate::world::send(near, b"hello".to_vec()));
    let near = world.finish(&sent).unwrap();
    let heard = world.spawn(crate::world::receive_exact(near, 1));
    assert_eq!(world.finish(&heard).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let again = world.spawn(world.network.dial(host, world.at(world.b)));
    world.finish(&again).unwrap();
    world.run_for(millis(50));
    let far = [(); 2].map(|()| listener.accept().now_or_never().unwrap().unwrap().remote());
    assert_eq!(far[1].ip(), &std::net::Ipv4Addr::new(50, 0, 1, 99));
}

#[test]
fn a_router_without_power_forgets_and_lets_nothing_through() {
    let mut world = World::new();
    let (router, host) = behind(&world, Nat::masquerade(), 1);
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dialled = world.spawn(world.network.dial(host, world.at(world.b)));
    world.finish(&dialled).unwrap();
    world.network.power_off(router);
    let dialled = world.spawn(world.network.dial(host, world.at(world.b)));
    world.run_for(secs(10));
    assert!(dialled.take().is_none());
    world.network.power_on(router);
    assert!(world.finish(&dialled).is_ok());
    assert!(listener.accept().now_or_never().is_some());
}
