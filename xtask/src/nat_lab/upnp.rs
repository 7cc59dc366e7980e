//! A router that forwards ports when it is asked: miniupnpd's own program.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    cell::{BODY_BYTES, Cell, Transport},
    daemon::{self, Process},
    kind::Kind,
    namespace::Namespace,
    world::{CONNECT_TIME, World, cross, is_direct, until},
};
use crate::run;

/// Debian puts it where only root looks.
const PROGRAMS: [&str; 2] = ["miniupnpd", "/usr/sbin/miniupnpd"];
/// Among the cells' and the faults' worlds.
const NUMBER: usize = 2000;
const LOG: &str = "miniupnpd.log";
const ROUTER: &str = "50.0.0.1";

/// What the program wants to find: chains of its own, and that what they forward may pass.
const CHAINS: &str = "table inet mini {\n chain miniupnpd {}\n chain prerouting_miniupnpd {}\n chain postrouting_miniupnpd {}\n \
    chain f { type filter hook forward priority -5; jump miniupnpd; }\n \
    chain i { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }\n \
    chain o { type nat hook postrouting priority 99; jump postrouting_miniupnpd; }\n}\n\
    add rule ip filter forward iifname wan ct status dnat accept\n";
const SETTINGS: &str = "ext_ifname=wan\next_ip=50.0.0.1\nlistening_ip=lan\nhttp_port=0\nenable_upnp=yes\nenable_natpmp=no\n\
    secure_mode=yes\nupnp_table_name=mini\nupnp_nat_table_name=mini\nupnp_forward_chain=miniupnpd\n\
    upnp_nat_chain=prerouting_miniupnpd\nupnp_nat_postrouting_chain=postrouting_miniupnpd\n\
    uuid=5f0e3c1a-6b7d-4c55-9a3e-0d2f8b1c4e66\nallow 1024-65535 192.168.1.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n";

/// From A's start: until it knows its forwarded address, and until B, which knows that address alone, has had data of it.
pub(crate) struct Forwarded {
    pub(crate) known: Duration,
    pub(crate) reached: Duration,
}

/// `None` where there is no miniupnpd.
pub(crate) fn run() -> Result<Option<Forwarded>, String> {
    let found = PROGRAMS.into_iter().find(|program| run::works(Command::new(program).arg("--version")));
    let Some(program) = found else { return Ok(None) };
    let cell = Cell { a: Kind::Masquerade, b: Kind::Public, transport: Transport::Tcp, one_router: false };
    let world = World::new(&cell, NUMBER, None)?;
    let router = world.between.first().ok_or("A has a router")?;
    let _miniupnpd = forward_ports(router, program, &world)?;
    let began = Instant::now();
    let own = [("GHOARD_MDNS", "false"), ("GHOARD_UPNP", "true"), ("RUNNER_NAME", "a")];
    let a = world.start(&world.a, "a", &own)?;
    let forwarded = Transport::Tcp.address(ROUTER, &a.peer_id);
    let known = forwarded.rsplit_once("/p2p/").map(|(place, _)| place).unwrap_or_default().to_owned();
    until("A knows its forwarded address", CONNECT_TIME, || {
        let reach = &a.peers()?["connectivity"]["reach"];
        Ok(reach["external_addresses"].to_string().contains(&known))
    })
    .map_err(|why| {
        let said = fs::read_to_string(world.home().join(LOG)).unwrap_or_default();
        format!("{why}; log: {}; the router:\n{said}", a.keep_log("upnp-a"))
    })?;
    let known = began.elapsed();
    let b = world.start_host(&world.b, "b", &forwarded, "tcp")?;
    until("B is connected to A", CONNECT_TIME, || Ok(is_direct(&b.member(&a.peer_id)?)))
        .map_err(|why| format!("{why}; log: {}", b.keep_log("upnp-b")))?;
    cross(&a, &b, BODY_BYTES)?;
    Ok(Some(Forwarded { known, reached: began.elapsed() }))
}

fn forward_ports(router: &Namespace, program: &str, world: &World) -> Result<Process, String> {
    router.rules(CHAINS)?;
    let settings = world.home().join("miniupnpd.conf");
    fs::write(&settings, SETTINGS).map_err(|cause| format!("{}: {cause}", settings.display()))?;
    let mut command = router.command(program);
    // -d: it stays in the foreground, and ends with us.
    command.arg("-d").arg("-f").arg(&settings).arg("-P").arg(world.home().join("miniupnpd.pid"));
    daemon::spawn(&mut command, &world.home().join(LOG))
}
