//! One network, and one way at a time to find each other: how long each takes.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    cell::{BODY_BYTES, Transport},
    daemon::{self, Daemon, GITHUB, Process, TOKEN},
    kind::PORT,
    names,
    namespace::Namespace,
    world::{CONNECT_TIME, cross, is_connected, is_direct, until},
};
use crate::run;

/// One way to find each other, all others off.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// The daemons' own word for it, or for both of which it takes.
    kinds: &'static [&'static str],
    /// Of what is tried in CI, too.
    pub(crate) is_quick: bool,
    run: fn(&Lan) -> Result<Found, String>,
}

/// From the start of who came last, daemon start included.
pub(crate) struct Found {
    pub(crate) first_peer: Duration,
    /// Directly connected to all that are to be found: one, or as many as end the search.
    pub(crate) direct: Duration,
    /// What is on at who came last.
    running: Vec<String>,
}

pub(crate) static WAYS: &[Way] = &[
    Way { name: "static-list", kinds: &["static"], is_quick: true, run: static_list },
    Way { name: "dnsaddr", kinds: &["static"], is_quick: false, run: dnsaddr },
    Way { name: "dns-name", kinds: &["dns"], is_quick: true, run: dns_name },
    Way { name: "file-registry", kinds: &["file"], is_quick: true, run: file_registry },
    Way { name: "issue-registry", kinds: &["issue_registry"], is_quick: true, run: issue_registry },
    Way { name: "mdns", kinds: &["mdns"], is_quick: true, run: mdns },
    Way { name: "peer-exchange", kinds: &["peer_exchange", "static"], is_quick: false, run: peer_exchange },
];

/// What two hosts on one network may take to their first connection.
const GOAL: Duration = Duration::from_secs(5);
/// Hosts of the mesh, the last one included.
const MESH: usize = 12;
/// With so many neighbours a node looks for no more.
const NEIGHBOURS: usize = 8;
const NAME: &str = "fleet.lab";
const REPOSITORY: &str = "octocat/Hello-World";

impl Way {
    pub(crate) fn run(&self, number: usize) -> Result<Found, String> {
        let lan = Lan::new(number)?;
        let found = (self.run)(&lan)?;
        if found.running != self.kinds {
            return Err(format!("{:?} were at work, not {:?}", found.running, self.kinds));
        }
        if found.first_peer > GOAL {
            return Err(format!("the first peer after {:.1} s, not {GOAL:?}", found.first_peer.as_secs_f64()));
        }
        Ok(found)
    }
}

/// A switch with GitHub and a name server on it. Hosts are plugged in as they come.
struct Lan {
    home: PathBuf,
    number: usize,
    switch: Namespace,
    _github: Process,
}

struct Host {
    daemon: Daemon,
    _namespace: Namespace,
}

impl Lan {
    fn new(number: usize) -> Result<Self, String> {
        let home = PathBuf::from(format!("/run/lab/way{number}"));
        fs::create_dir_all(&home).map_err(|cause| format!("{}: {cause}", home.display()))?;
        let switch = Namespace::new(format!("way{number}-lan"))?;
        switch.bridge()?;
        for address in [GITHUB, SERVER] {
            switch.ip(&format!("addr add {address}/24 dev switch"))?;
        }
        let github = daemon::start_github(&switch, &home)?;
        Ok(Self { home, number, switch, _github: github })
    }

    /// The host with this number, its daemon with these settings and nothing else that leads to anybody.
    fn start(&self, host: usize, settings: &[(&str, &str)]) -> Result<Host, String> {
        let namespace = Namespace::new(format!("way{}-host{host}", self.number))?;
        namespace.plug("lan", &format!("{}/24", ip(host)), &self.switch, &format!("host{host}"))?;
        namespace.route(SERVER)?;
        let name = format!("host{host}");
        let mut all = vec![
            ("RUNNER_NAME", name.as_str()),
            ("GHOARD_MDNS", "false"),
            ("GHOARD_PEER_EXCHANGE", "false"),
            ("GHOARD_UPNP", "false"),
            ("IPFS_ACCELERATE_P2P_CACHE_DIR", "off"),
        ];
        all.extend_from_slice(settings);
        Ok(Host { daemon: Daemon::start(&namespace, self.home.join(&name), &all)?, _namespace: namespace })
    }

    /// Two hosts with the same settings.
    fn pair(&self, settings: &[(&str, &str)]) -> Result<Found, String> {
        let a = self.start(1, settings)?;
        self.follow(&a, settings)
    }

    /// The second host comes, and finds the first.
    fn follow(&self, a: &Host, settings: &[(&str, &str)]) -> Result<Found, String> {
        let began = Instant::now();
        let b = self.start(2, settings)?;
        let (a, b) = (&a.daemon, &b.daemon);
        until("B is connected to A", CONNECT_TIME, || Ok(is_connected(&b.member(&a.peer_id)?)))?;
        let first_peer = began.elapsed();
        until("A and B are connected directly", CONNECT_TIME, || {
            Ok(is_direct(&a.member(&b.peer_id)?) && is_direct(&b.member(&a.peer_id)?))
        })?;
        let direct = began.elapsed();
        cross(a, b, BODY_BYTES)?;
        Ok(Found { first_peer, direct, running: running(b)? })
    }

    /// Serves `records` to every host of the network.
    fn serve_names(&self, records: &[String]) -> Result<Names, String> {
        let file = self.home.join("resolv.conf");
        fs::write(&file, format!("nameserver {SERVER}\n")).map_err(|cause| format!("{}: {cause}", file.display()))?;
        // The mounts of this run are its own.
        run::output(Command::new("mount").arg("--bind").arg(&file).arg(RESOLVER))?;
        let mut server = self.switch.command(daemon::this_program()?);
        server.args(["nat-lab", names::COMMAND, SERVER]).args(records);
        Ok(Names { _server: daemon::spawn(&mut server, &self.home.join("names.log"))? })
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A name server that all hosts ask.
struct Names {
    _server: Process,
}

const RESOLVER: &str = "/etc/resolv.conf";

impl Drop for Names {
    fn drop(&mut self) {
        // It ends with the run at the latest.
        let _ = run::output(Command::new("umount").arg(RESOLVER));
    }
}

/// What answers names, and the hosts' way to GitHub.
const SERVER: &str = "192.168.7.254";

fn ip(host: usize) -> String {
    format!("192.168.7.{host}")
}

fn place(host: usize, daemon: &Daemon) -> String {
    Transport::Tcp.address(&ip(host), &daemon.peer_id)
}

fn static_list(lan: &Lan) -> Result<Found, String> {
    let a = lan.start(1, &[])?;
    lan.follow(&a, &[("CACHE_BOOTSTRAP_PEERS", &place(1, &a.daemon))])
}

fn dnsaddr(lan: &Lan) -> Result<Found, String> {
    let a = lan.start(1, &[])?;
    let _names = lan.serve_names(&[format!("_dnsaddr.{NAME}=dnsaddr={}", place(1, &a.daemon))])?;
    lan.follow(&a, &[("CACHE_BOOTSTRAP_PEERS", &format!("/dnsaddr/{NAME}"))])
}

fn dns_name(lan: &Lan) -> Result<Found, String> {
    let _names = lan.serve_names(&[1, 2].map(|host| format!("{NAME}={}", ip(host))))?;
    lan.pair(&[("GHOARD_DNS_NAME", &format!("{NAME}:{PORT}"))])
}

fn file_registry(lan: &Lan) -> Result<Found, String> {
    let shared = lan.home.join("shared").display().to_string();
    lan.pair(&[("IPFS_ACCELERATE_P2P_CACHE_DIR", &shared)])
}

fn issue_registry(lan: &Lan) -> Result<Found, String> {
    let settings = [("GITHUB_REPOSITORY", REPOSITORY), ("GITHUB_TOKEN", TOKEN)];
    let a = lan.start(1, &settings)?;
    until("A has left its comment", CONNECT_TIME, || {
        let kinds = &a.daemon.peers()?["connectivity"]["discovery"]["kinds"];
        Ok(kinds["issue_registry"]["registry"]["is_writer"] == true)
    })?;
    lan.follow(&a, &settings)
}

fn mdns(lan: &Lan) -> Result<Found, String> {
    lan.pair(&[("GHOARD_MDNS", "true")])
}

/// Everybody is told one address, that of the first; the last one to come is watched.
fn peer_exchange(lan: &Lan) -> Result<Found, String> {
    let on = ("GHOARD_PEER_EXCHANGE", "true");
    let first = lan.start(1, &[on])?;
    let bootstrap = place(1, &first.daemon);
    let settings = [on, ("CACHE_BOOTSTRAP_PEERS", bootstrap.as_str())];
    let mut mesh = vec![first];
    for host in 2..MESH {
        mesh.push(lan.start(host, &settings)?);
    }
    let enough = |daemon: &Daemon| Ok::<_, String>(neighbours(daemon)? >= NEIGHBOURS);
    for host in &mesh {
        until("the mesh is there", CONNECT_TIME, || enough(&host.daemon))?;
    }
    let began = Instant::now();
    let last = lan.start(MESH, &settings)?;
    until("the last one has a peer", CONNECT_TIME, || Ok(neighbours(&last.daemon)? > 0))?;
    let first_peer = began.elapsed();
    until("the last one has neighbours enough", CONNECT_TIME, || enough(&last.daemon))?;
    let direct = began.elapsed();
    cross(&mesh[MESH / 2].daemon, &last.daemon, BODY_BYTES)?;
    Ok(Found { first_peer, direct, running: running(&last.daemon)? })
}

/// Its ways of finding peers that are on.
fn running(daemon: &Daemon) -> Result<Vec<String>, String> {
    let peers = daemon.peers()?;
    let kinds = peers["connectivity"]["discovery"]["kinds"].as_object().into_iter().flatten();
    // Circuits lead to whom another way has told of.
    let ways = kinds.filter(|(name, kind)| *name != "circuits" && kind["running"] == true);
    let mut running: Vec<_> = ways.map(|(name, _)| name.clone()).collect();
    running.sort_unstable();
    Ok(running)
}

/// Members to which it is connected directly.
fn neighbours(daemon: &Daemon) -> Result<usize, String> {
    let peers = daemon.peers()?;
    Ok(peers["members"].as_array().into_iter().flatten().filter(|row| is_direct(row)).count())
}
