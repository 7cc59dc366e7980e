//! Attacks that last: so many strangers at once, who come again when they are cut, on each transport.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use task::Tasks;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::sleep};

use crate::{
    Failure, members, print, quic_strangers::QuicStranger, relay, say, strangers::Stranger, verdict, victim::Victim,
};

/// What a node may grow by, and how long a member may wait outside meanwhile.
const GROWTH_BYTES_MAX: u64 = 10 << 20;
const MEMBER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Streams that an opening stranger keeps open.
const STREAMS: usize = 64;
/// Before a stranger that was cut comes again.
const PAUSE: Duration = Duration::from_millis(50);
const DRIP_INTERVAL: Duration = Duration::from_millis(250);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Members that come during an attack, one after the other.
const MEMBERS: u32 = 5;
/// Before anything is measured: a member's visit, and all that is made once.
const WARM_UP: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    HalfOpen,
    Dripping,
    Silent,
    Opening,
    Writing,
    Lingering,
}

const ON_STREAMS: [Kind; 4] = [Kind::HalfOpen, Kind::Dripping, Kind::Silent, Kind::Opening];
const ON_PACKETS: [Kind; 4] = [Kind::Silent, Kind::Opening, Kind::Writing, Kind::Lingering];
const ON_CIRCUITS: [Kind; 2] = [Kind::Silent, Kind::Opening];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::HalfOpen => "half-open",
            Self::Dripping => "dripping",
            Self::Silent => "silent",
            Self::Opening => "opening streams",
            Self::Writing => "writing early",
            Self::Lingering => "lingering",
        }
    }
}

/// One transport.
struct Front {
    name: &'static str,
    /// What the address has in it that the strangers come to.
    having: &'static str,
    /// And that of the members. Not the strangers' own address, whose places before the gate are few.
    members: &'static str,
    by_relay: bool,
    kinds: &'static [Kind],
}

const FRONTS: [Front; 4] = [
    Front { name: "TCP", having: "/ip4/127.0.0.1/tcp/", members: "/ip6/::1/tcp/", by_relay: false, kinds: &ON_STREAMS },
    Front {
        name: "WebSocket",
        having: "/ws",
        members: "/ip6/::1/tcp/",
        by_relay: false,
        kinds: &[Kind::HalfOpen, Kind::Dripping],
    },
    Front {
        name: "QUIC",
        having: "/ip4/127.0.0.1/udp/",
        members: "/ip6/::1/udp/",
        by_relay: false,
        kinds: &ON_PACKETS,
    },
    Front { name: "a circuit", having: "/p2p-circuit", members: "/ip6/::1/tcp/", by_relay: true, kinds: &ON_CIRCUITS },
];

/// Returns whether the node stood all of it, or what comes over the one transport.
pub(crate) async fn all(count: u32, lasting: Duration, over: Option<&str>) -> Result<bool, Failure> {
    print(
        "| over | strangers | knocks | refused | RSS before, MiB | most | grown | a member waited at most | messages taken |",
    );
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut stood = true;
    for front in FRONTS.iter().filter(|front| over.is_none_or(|name| front.name.eq_ignore_ascii_case(name))) {
        for kind in front.kinds {
            say(&format!("{count} strangers over {}, {}, for {} s", front.name, kind.name(), lasting.as_secs()));
            stood &= one(front, *kind, count, lasting).await?;
        }
    }
    print(&format!(
        "\nat most {} MiB more, and members in within {} s: {}\n",
        GROWTH_BYTES_MAX >> 20,
        MEMBER_WAIT_MAX.as_secs(),
        verdict(stood)
    ));
    Ok(stood)
}

async fn one(front: &Front, kind: Kind, count: u32, lasting: Duration) -> Result<bool, Failure> {
    let relay = if front.by_relay { Some(relay::start().await?) } else { None };
    let mut victim = Victim::start(relay.as_deref())?;
    let plain = victim.address(front.members)?.to_owned();
    let at: Multiaddr = victim.address(front.having)?.parse()?;
    members::visit(&plain).await?;
    sleep(WARM_UP).await;
    let (before, started) = (victim.resident_bytes()?, victim.counters()?);

    let knocks = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + lasting;
    let crowd: Vec<_> = (0..count).map(|_| spawn(come(kind, at.clone(), until, knocks.clone()))).collect();
    let (mut most, mut waited) = (before, Duration::ZERO);
    let mut visits = Vec::new();
    let mut next = Instant::now() + lasting / (2 * MEMBERS);
    while Instant::now() < until {
        most = most.max(victim.resident_bytes()?);
        if Instant::now() >= next {
            next += lasting / MEMBERS;
            let plain = plain.clone();
            visits.push(spawn(async move { members::visit(&plain).await }));
        }
        sleep(LOOK_INTERVAL).await;
    }
    for visit in visits {
        waited = waited.max(visit.await??);
    }
    drop(crowd);
    let ended = victim.counters()?;
    let grown = most - before;
    let messages = ended.messages - started.messages;
    print(&format!(
        "| {} | {count} {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.0} ms | {messages} |",
        front.name,
        kind.name(),
        knocks.load(Ordering::Relaxed),
        ended.refused - started.refused,
        before as f64 / f64::from(1 << 20),
        most as f64 / f64::from(1 << 20),
        grown as f64 / f64::from(1 << 20),
        waited.as_secs_f64() * 1000.0,
    ));
    // Nobody but the members came in.
    let strangers_in = ended.connects - started.connects - u64::from(MEMBERS);
    Ok(grown <= GROWTH_BYTES_MAX && waited <= MEMBER_WAIT_MAX && strangers_in == 0)
}

/// A task whose result is waited for.
fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> tokio::sync::oneshot::Receiver<T> {
    let (told, ended) = tokio::sync::oneshot::channel();
    Tasks::tokio().spawn(async move {
        // Who no longer waits does not want to know.
        let _ = told.send(work.await);
    });
    ended
}

/// One stranger, again and again until the attack is over.
async fn come(kind: Kind, at: Multiaddr, until: Instant, knocks: Arc<AtomicU64>) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::from_std(until);
    let all = async {
        let node = at.iter().filter_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None }).last();
        let node = node.ok_or("an address without a name")?;
        let address: net::Address = at.to_string().parse()?;
        let place = SocketAddr::new(address.ip().ok_or("no IP")?, address.port().ok_or("no port")?);
        let mut stranger = match kind {
            Kind::Silent => Who::Libp2p(Box::new(Stranger::new(0)?)),
            Kind::Opening => Who::Libp2p(Box::new(Stranger::new(STREAMS)?)),
            Kind::Writing | Kind::Lingering => Who::Quic(QuicStranger::new(node, kind == Kind::Lingering)?),
            Kind::HalfOpen | Kind::Dripping => Who::Socket,
        };
        loop {
            knocks.fetch_add(1, Ordering::Relaxed);
            match &mut stranger {
                Who::Libp2p(stranger) => {
                    stranger.knock(&at, node).await?;
                }
                // To be turned away is what these came for.
                Who::Quic(stranger) if kind == Kind::Writing => drop(stranger.write_early(place).await),
                Who::Quic(stranger) => drop(stranger.come_and_go(place).await),
                Who::Socket => drop(drip(place, kind == Kind::Dripping).await),
            }
            sleep(PAUSE).await;
        }
    };
    tokio::time::timeout_at(deadline, all).await.unwrap_or(Ok(()))
}

enum Who {
    Libp2p(Box<Stranger>),
    Quic(QuicStranger),
    Socket,
}

/// A connection that says nothing, or a byte now and then, until it is closed.
async fn drip(place: SocketAddr, drips: bool) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(place).await?;
    if !drips {
        loop {
            stream.readable().await?;
            if stream.try_read(&mut [0; 256]).is_ok_and(|bytes| bytes == 0) {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }
    for byte in b"\x13/multistream/1.0.0\n\x07/noise\n".iter().cycle() {
        stream.write_all(&[*byte]).await?;
        sleep(DRIP_INTERVAL).await;
    }
    Ok(())
}
