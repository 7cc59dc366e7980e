//! One pair of hosts: laid out, watched, and judged.

use std::{
    fmt::{self, Display, Formatter},
    time::{Duration, Instant},
};

use super::{
    daemon::Daemon,
    expected::{self, Expected},
    kind::{Kind, PORT},
    wire::Wire,
    world::{CONNECT_TIME, RELAYS, World, cross, cross_slowly, is_connected, is_direct, until},
};

/// How long a direct connection may take where one is possible.
const DIRECT_TIME: Duration = Duration::from_secs(60);
/// How long a pair that has a relay is watched where no direct connection is expected.
const WATCH_TIME: Duration = Duration::from_secs(20);
/// After this a pair that became direct has one connection.
const SETTLE_TIME: Duration = Duration::from_secs(10);
/// More than a relay passes on with libp2p's default limits.
pub(crate) const BODY_BYTES: usize = 300_000;

/// Over slow wires GitHub would be asked as well before A's answer is there, and might be the first.
const NO_GITHUB: &str =
    "table ip no_github {\n chain o { type filter hook output priority 0; ip daddr 50.0.0.20 drop; }\n}\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Quic,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }

    pub(crate) fn address(self, ip: &str, peer: &str) -> String {
        match self {
            Self::Tcp => format!("/ip4/{ip}/tcp/{PORT}/p2p/{peer}"),
            Self::Quic => format!("/ip4/{ip}/udp/{PORT}/quic-v1/p2p/{peer}"),
        }
    }
}

/// A starts first and waits at the relay; B comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) a: Kind,
    pub(crate) b: Kind,
    pub(crate) transport: Transport,
    /// Both hosts are behind one router, of the kind `a`.
    pub(crate) one_router: bool,
}

/// What was seen of a cell.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From B's start until the two were connected somehow.
    pub(crate) connected_after: Option<Duration>,
    /// From then until they were directly.
    pub(crate) direct_after: Option<Duration>,
    /// Between the two, [`SETTLE_TIME`] later.
    pub(crate) connections: Option<u64>,
    /// B was given by A what A had asked for; of a direct pair after the relay was killed.
    pub(crate) has_crossed: bool,
    /// What went wrong.
    pub(crate) trouble: Option<String>,
    /// Where the logs of both are, if anything is wrong.
    pub(crate) logs: Option<String>,
}

impl Cell {
    pub(crate) fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for transport in [Transport::Tcp, Transport::Quic] {
            for a in Kind::ALL {
                cells.extend(Kind::ALL.map(|b| Self { a, b, transport, one_router: false }));
            }
            let behind = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Public);
            cells.extend(behind.map(|kind| Self { a: kind, b: kind, transport, one_router: true }));
        }
        cells
    }

    /// One of each way to become direct, and one that stays relayed.
    pub(crate) fn small() -> Vec<Self> {
        use Kind::{Masquerade, PortChanging, Public, Random};
        let pairs = [(Masquerade, Masquerade), (Random, Public), (Public, Random), (PortChanging, PortChanging)];
        let mut cells = Vec::new();
        for transport in [Transport::Tcp, Transport::Quic] {
            cells.extend(pairs.map(|(a, b)| Self { a, b, transport, one_router: false }));
            cells.push(Self { a: Masquerade, b: Masquerade, transport, one_router: true });
        }
        cells.push(Self { a: Random, b: Masquerade, transport: Transport::Quic, one_router: false });
        // Over TCP both SYNs have to cross; after three attempts libp2p gives up, once in some five runs.
        cells.retain(|cell| cell.a != PortChanging || cell.transport == Transport::Quic);
        cells
    }

    pub(crate) fn expected(&self) -> Expected {
        if self.one_router { Expected::Direct } else { expected::between(self.a, self.b) }
    }

    pub(crate) fn run(&self, number: usize, wire: Option<Wire>) -> Seen {
        let mut seen = Seen::default();
        if let Err(why) = self.watch(number, wire, &mut seen) {
            seen.trouble = Some(why);
        }
        seen
    }

    /// Says what is wrong with what was seen.
    pub(crate) fn judge(&self, seen: &Seen) -> Result<(), String> {
        if let Some(trouble) = &seen.trouble {
            return Err(trouble.clone());
        }
        if !seen.has_crossed {
            return Err("no data crossed".to_owned());
        }
        match (self.expected(), seen.direct_after, seen.connections) {
            (Expected::Direct, None, _) => Err(format!("not direct within {} s", DIRECT_TIME.as_secs())),
            (_, Some(_), Some(count)) if count != 1 => {
                Err(format!("{count} connections {} s after it became direct", SETTLE_TIME.as_secs()))
            }
            _ => Ok(()),
        }
    }

    fn watch(&self, number: usize, wire: Option<Wire>, seen: &mut Seen) -> Result<(), String> {
        let world = World::new(self, number, wire)?;
        let relay = world.start_relay(0)?;
        let bootstrap = self.transport.address(RELAYS[0], &relay.peer_id);
        let transport = self.transport.name();
        let a = world.start_host(&world.a, "a", &bootstrap, transport)?;
        until("A is connected to the relay", CONNECT_TIME, || Ok(is_connected(&a.member(&relay.peer_id)?)))?;
        let started = Instant::now();
        let b = world.start_host(&world.b, "b", &bootstrap, transport)?;
        let watched = self.watch_pair(&a, &b, started, seen);
        let crossed = watched.and_then(|()| {
            if seen.direct_after.is_some() {
                drop(relay);
            }
            if wire.is_none() {
                return cross(&a, &b, BODY_BYTES);
            }
            world.b.rules(NO_GITHUB)?;
            cross_slowly(&a, &b, BODY_BYTES)
        });
        seen.has_crossed = crossed.is_ok();
        if self.judge(seen).is_err() {
            let logs = [(&a, "a"), (&b, "b")].map(|(host, name)| host.keep_log(&format!("{self}-{name}")));
            seen.logs = Some(logs.join(", "));
        }
        crossed
    }

    fn watch_pair(&self, a: &Daemon, b: &Daemon, started: Instant, seen: &mut Seen) -> Result<(), String> {
        until("A and B are connected", CONNECT_TIME, || {
            Ok(is_connected(&a.member(&b.peer_id)?) && is_connected(&b.member(&a.peer_id)?))
        })?;
        let connected = Instant::now();
        seen.connected_after = Some(connected - started);
        let patience = if self.expected() == Expected::Direct { DIRECT_TIME } else { WATCH_TIME };
        let direct = until("A and B are connected directly", patience, || {
            Ok(is_direct(&a.member(&b.peer_id)?) && is_direct(&b.member(&a.peer_id)?))
        });
        if direct.is_ok() {
            seen.direct_after = Some(connected.elapsed());
            // What is shown is the state at a time, so that there is nothing to wait for but the time.
            std::thread::sleep(SETTLE_TIME);
            let counts = [a.member(&b.peer_id)?, b.member(&a.peer_id)?].map(|row| row["connections"].as_u64());
            seen.connections = counts.into_iter().flatten().max();
        }
        Ok(())
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (a, b, transport) = (self.a, self.b, self.transport.name());
        if self.one_router { write!(f, "one-router:{a}:{transport}") } else { write!(f, "{a}/{b}:{transport}") }
    }
}
