//! What happens to pairs that are connected, and whether they exchange data again.

use std::time::{Duration, Instant};

use super::{
    cell::{BODY_BYTES, Cell, Transport},
    kind::Kind,
    world::{CONNECT_TIME, RELAYS, World, cross, is_connected, is_direct, until},
};

/// Within which all is well again.
const RECOVERY_TIME: Duration = Duration::from_secs(60);
const BOTH: &str = "tcp,quic";

/// One fault, and how long it took until data crossed again.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    run: fn(usize) -> Result<Duration, String>,
}

pub(crate) static FAULTS: &[Fault] = &[
    Fault { name: "relay-killed", run: relay_killed },
    Fault { name: "udp-blocked", run: udp_blocked },
    Fault { name: "tcp-blocked-inbound", run: tcp_blocked_inbound },
    Fault { name: "address-change", run: |number| address_change(number, Transport::Tcp, BOTH) },
    Fault { name: "address-change-quic", run: |number| address_change(number, Transport::Quic, "quic") },
];

impl Fault {
    pub(crate) fn run(&self, number: usize) -> Result<Duration, String> {
        // Cells have the lower numbers.
        (self.run)(1000 + number)
    }
}

fn world(a: Kind, b: Kind, number: usize) -> Result<World, String> {
    World::new(&Cell { a, b, transport: Transport::Tcp, one_router: false }, number, None)
}

/// Two hosts that no hole punch can join, and two relays: the one that carries them dies.
fn relay_killed(number: usize) -> Result<Duration, String> {
    let world = world(Kind::Random, Kind::FullyRandom, number)?;
    let mut relays = vec![world.start_relay(0)?, world.start_relay(1)?];
    let addresses: Vec<_> =
        relays.iter().zip(RELAYS).map(|(relay, ip)| Transport::Tcp.address(ip, &relay.peer_id)).collect();
    let bootstrap = addresses.join(",");
    let a = world.start_host(&world.a, "a", &bootstrap, "tcp")?;
    let b = world.start_host(&world.b, "b", &bootstrap, "tcp")?;
    until("A and B are connected", CONNECT_TIME, || Ok(is_connected(&a.member(&b.peer_id)?)))?;
    cross(&a, &b, BODY_BYTES)?;
    let carrier = a.member(&b.peer_id)?["relay"].as_str().unwrap_or_default().to_owned();
    let at = relays.iter().position(|relay| relay.peer_id == carrier).ok_or("no relay carries them")?;
    let killed = Instant::now();
    drop(relays.swap_remove(at));
    until("A and B are connected through the other relay", RECOVERY_TIME, || {
        let members = [a.member(&b.peer_id)?, b.member(&a.peer_id)?];
        Ok(members.iter().all(|member| is_connected(member) && member["relay"] != carrier.as_str()))
    })?;
    cross(&a, &b, BODY_BYTES + 1)?;
    Ok(killed.elapsed())
}

/// Both routers drop UDP; the hosts may use both transports.
fn udp_blocked(number: usize) -> Result<Duration, String> {
    let world = world(Kind::Masquerade, Kind::Masquerade, number)?;
    for router in world.between.iter().step_by(2).take(2) {
        router.rules(
            "table ip no_udp {\n chain f { type filter hook forward priority -10; meta l4proto udp drop; }\n}\n",
        )?;
    }
    direct_from_the_start(&world, &[Transport::Quic, Transport::Tcp])
}

/// A's own firewall lets no TCP connection in, and no UDP at all; it dials.
fn tcp_blocked_inbound(number: usize) -> Result<Duration, String> {
    let world = world(Kind::Public, Kind::Public, number)?;
    world.a.rules(
        "table ip fw {\n chain i { type filter hook input priority 0; ct state established,related accept;\n \
         iifname lo accept; meta l4proto { tcp, udp } drop; }\n}\n",
    )?;
    direct_from_the_start(&world, &[Transport::Tcp])
}

/// How long two hosts that start now take until data crosses directly; the relay is known by these transports.
fn direct_from_the_start(world: &World, known_by: &[Transport]) -> Result<Duration, String> {
    let relay = world.start_relay(0)?;
    let addresses: Vec<_> = known_by.iter().map(|transport| transport.address(RELAYS[0], &relay.peer_id)).collect();
    let bootstrap = addresses.join(",");
    let started = Instant::now();
    let a = world.start_host(&world.a, "a", &bootstrap, BOTH)?;
    let b = world.start_host(&world.b, "b", &bootstrap, BOTH)?;
    until("A and B are connected directly", RECOVERY_TIME, || Ok(is_direct(&a.member(&b.peer_id)?)))?;
    cross(&a, &b, BODY_BYTES)?;
    Ok(started.elapsed())
}

/// A's address becomes another one while it runs.
fn address_change(number: usize, known_by: Transport, transports: &str) -> Result<Duration, String> {
    let world = world(Kind::Public, Kind::Public, number)?;
    let relay = world.start_relay(0)?;
    let bootstrap = known_by.address(RELAYS[0], &relay.peer_id);
    let a = world.start_host(&world.a, "a", &bootstrap, transports)?;
    let b = world.start_host(&world.b, "b", &bootstrap, transports)?;
    until("A and B are connected directly", CONNECT_TIME, || Ok(is_direct(&a.member(&b.peer_id)?)))?;
    cross(&a, &b, BODY_BYTES)?;
    world.a.ip("addr add 50.0.0.5/24 dev wan")?;
    world.a.ip("addr del 50.0.0.1/24 dev wan")?;
    // Removing the first address of a network removes the others of it, too.
    let _ = world.a.ip("addr add 50.0.0.5/24 dev wan");
    let changed = Instant::now();
    let there = "/ip4/50.0.0.5/";
    until("A and B are connected at A's new address", RECOVERY_TIME, || {
        let row = b.peers()?["peers"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["peer_id"] == a.peer_id.as_str())
            .cloned();
        Ok(row.is_some_and(|row| row["address"].as_str().is_some_and(|address| address.starts_with(there))))
    })?;
    // B asks GitHub: A's own connection there is from the old address, and is given up later.
    cross(&b, &a, BODY_BYTES + 1)?;
    Ok(changed.elapsed())
}
