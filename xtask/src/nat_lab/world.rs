//! Two hosts, what is between them, and what is asked of them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    cell::Cell,
    daemon::{self, Daemon, GITHUB, Process},
    kind::Kind,
    namespace::Namespace,
    wire::Wire,
};

/// The anchors, members that everybody reaches.
pub(crate) const RELAYS: [&str; 2] = ["50.0.0.10", "50.0.0.11"];
/// How long a pair may take to exchange anything.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// The namespaces of a cell: the internet with GitHub in it, the relay, both hosts and their routers.
pub(crate) struct World {
    home: PathBuf,
    _github: Process,
    relays: [Namespace; 2],
    pub(crate) a: Namespace,
    pub(crate) b: Namespace,
    /// Routers and switches, the internet last.
    pub(crate) between: Vec<Namespace>,
    _wires: Option<Process>,
}

impl World {
    /// With `wire` between the internet and everybody but GitHub.
    pub(crate) fn new(cell: &Cell, number: usize, wire: Option<Wire>) -> Result<Self, String> {
        let home = PathBuf::from(format!("/run/lab/{number}"));
        fs::create_dir_all(&home).map_err(|cause| format!("{}: {cause}", home.display()))?;
        let named = |role: &str| Namespace::new(format!("lab{number}-{role}"));
        let internet = named("internet")?;
        internet.bridge()?;
        internet.ip(&format!("addr add {GITHUB}/24 dev switch"))?;
        let relays = [named("relay0")?, named("relay1")?];
        let mut plugs = Vec::new();
        let mut plug = |who: &Namespace, address: &str, plug: String| {
            who.plug("wan", &format!("{address}/24"), &internet, &plug)?;
            plugs.push(plug);
            Ok::<_, String>(())
        };
        for (number, relay) in relays.iter().enumerate() {
            plug(relay, RELAYS[number], format!("relay{number}"))?;
        }
        let (a, b) = (named("a")?, named("b")?);
        let mut between = Vec::new();
        for (side, host, kind) in [(1, &a, cell.a), (2, &b, cell.b)] {
            let (address, lan) = (format!("50.0.0.{side}"), format!("192.168.{side}"));
            if cell.one_router && side == 2 {
                let switch = between.last().expect("the router's LAN was made for A");
                host.plug("lan", "192.168.1.3/24", switch, "sibling")?;
                host.route("192.168.1.1")?;
            } else if kind == Kind::Public {
                plug(host, &address, format!("host{side}"))?;
            } else {
                let (router, switch) = (named(&format!("router{side}"))?, named(&format!("lan{side}"))?);
                switch.bridge()?;
                plug(&router, &address, format!("router{side}"))?;
                router.plug("lan", &format!("{lan}.1/24"), &switch, "router")?;
                router.make_router(&kind.rules(&address, &format!("{lan}.2")))?;
                host.plug("lan", &format!("{lan}.2/24"), &switch, "host")?;
                host.route(&format!("{lan}.1"))?;
                between.extend([router, switch]);
            }
        }
        let wires = wire.map(|wire| wire.lay(&internet, &plugs, &home)).transpose()?;
        let github = daemon::start_github(&internet, &home)?;
        between.push(internet);
        Ok(Self { home, _github: github, relays, a, b, between, _wires: wires })
    }

    /// For files of what runs beside the daemons.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A daemon with these settings.
    pub(crate) fn start(&self, namespace: &Namespace, name: &str, settings: &[(&str, &str)]) -> Result<Daemon, String> {
        Daemon::start(namespace, self.home.join(name), settings)
    }

    /// An anchor, the first or the second, at its place in [`RELAYS`].
    pub(crate) fn start_relay(&self, number: usize) -> Result<Daemon, String> {
        let name = format!("relay{number}");
        let settings = [
            ("GHOARD_ROLE", "anchor"),
            ("EXTERNAL_IP", RELAYS[number]),
            ("RUNNER_NAME", &name),
            ("GHOARD_MDNS", "false"),
        ];
        self.start(&self.relays[number], &name, &settings)
    }

    /// A host that knows nobody but these addresses; `transports` as in the setting.
    pub(crate) fn start_host(
        &self,
        namespace: &Namespace,
        name: &str,
        bootstrap: &str,
        transports: &str,
    ) -> Result<Daemon, String> {
        let settings = [
            ("CACHE_BOOTSTRAP_PEERS", bootstrap),
            ("GHOARD_TRANSPORTS", transports),
            ("GHOARD_MDNS", "false"),
            ("GHOARD_UPNP", "false"),
            ("RUNNER_NAME", name),
        ];
        self.start(namespace, name, &settings)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A asks GitHub for a body of so many bytes that nobody has asked for; B is given it by a peer.
pub(crate) fn cross(a: &Daemon, b: &Daemon, bytes: usize) -> Result<(), String> {
    let (path, body) = told(a, b, bytes)?;
    let second = b.get(&path)?;
    let is_from_a_peer = second.head.contains("detail=peer") && second.body == body;
    is_from_a_peer.then_some(()).ok_or_else(|| format!("B was answered {:?}", second.head))
}

/// The same over wires that delay and lose, to a B that cannot reach GitHub: what it is given is from a peer then.
/// Its client asks again until the answer is there, which a node waits for no longer than GitHub would take.
pub(crate) fn cross_slowly(a: &Daemon, b: &Daemon, bytes: usize) -> Result<(), String> {
    let (path, body) = told(a, b, bytes)?;
    let mut last = String::new();
    let crossed = until("the body has crossed", CONNECT_TIME, || {
        let answer = b.get(&path)?;
        let is_whole = answer.head.starts_with("http/1.1 200") && answer.body == body;
        last = answer.head;
        Ok(is_whole)
    });
    crossed.map_err(|why| format!("{why}; at last B was answered {last:?}"))
}

/// A asks GitHub for a body that nobody has asked for, and B hears of it.
fn told(a: &Daemon, b: &Daemon, bytes: usize) -> Result<(String, Vec<u8>), String> {
    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}");
    let known = b.peers()?["index_entries"].as_u64();
    let first = a.get(&path)?;
    if !first.head.starts_with("http/1.1 200") {
        return Err(format!("A was answered {:?} {}", first.head, String::from_utf8_lossy(&first.body)));
    }
    until("B has heard of A's answer", CONNECT_TIME, || Ok(b.peers()?["index_entries"].as_u64() > known))?;
    Ok((path, first.body))
}

pub(crate) fn is_connected(member: &Value) -> bool {
    member["connected"] == true
}

pub(crate) fn is_direct(member: &Value) -> bool {
    is_connected(member) && member["path"] != "relayed"
}

pub(crate) fn until(
    what: &str,
    patience: Duration,
    mut is_so: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        match is_so() {
            Ok(true) => return Ok(()),
            Ok(false) if Instant::now() > deadline => return Err(format!("waited in vain until {what}")),
            Err(why) if Instant::now() > deadline => return Err(format!("waited in vain until {what}: {why}")),
            _ => std::thread::sleep(POLL),
        }
    }
}
