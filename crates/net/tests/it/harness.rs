use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crypto::{FleetKeys, MembershipKeys, Secret};
use futures::future::BoxFuture;
use net::{Address, Config, Event, EventStream, Identity, Net, Transports, WebSocket};
use tokio::{task::AbortHandle, time::timeout};
use wire::Peer;

/// For anything that should happen soon, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Node {
    pub net: Net,
    pub events: EventStream,
    pub peer: Peer,
    tasks: Killable,
}

/// Tasks that can die like a machine.
#[derive(Clone, Default)]
struct Killable(Arc<Mutex<Vec<AbortHandle>>>);

#[expect(clippy::disallowed_methods, reason = "this is a port that the ban points to")]
impl task::Spawn for Killable {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(tokio::spawn(work).abort_handle());
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }
}

pub fn keys(seed: u8) -> MembershipKeys {
    let keys = FleetKeys::derive(&Secret::generate([seed; 32]));
    MembershipKeys { current: keys.membership, next: None }
}

pub fn config(seed: u8, membership: MembershipKeys) -> Config {
    let mut config = Config::new(Identity::from_seed([seed; 32]), membership, "fleet".to_owned());
    config.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    config
}

pub fn start(config: Config) -> Node {
    start_with(config, net::tcp_transport())
}

pub fn start_with(config: Config, transports: impl Into<Transports>) -> Node {
    let tasks = Killable::default();
    let peer = config.identity.peer();
    let (net, events) = Net::start(config, transports, task::Tasks::new(tasks.clone()), [9; 32]).unwrap();
    Node { net, events, peer, tasks }
}

/// Every transport there is.
pub fn all_transports() -> Transports {
    Transports { raw: Some(net::tcp_transport()), quic: true, websocket: Some(WebSocket::default()) }
}

/// Two seeds whose peer ids order as the gate's initiator and responder.
pub fn ordered_seeds() -> (u8, u8) {
    let id = |seed| Identity::from_seed([seed; 32]).peer().as_str().parse::<libp2p::PeerId>().unwrap().to_bytes();
    if id(1) < id(2) { (1, 2) } else { (2, 1) }
}

impl Node {
    /// The first event that `pick` wants; those before it are gone.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.next().await.unwrap_or_else(|| panic!("the network ended before {what}"));
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    pub async fn listening(&mut self) -> Address {
        self.wait("listening", |event| match event {
            Event::Listening { address } => Some(address),
            _ => None,
        })
        .await
    }

    pub async fn connected_to(&mut self, other: &Peer) {
        self.wait("connection", |event| match event {
            Event::Connected { peer, .. } => (peer == *other).then_some(()),
            _ => None,
        })
        .await;
    }

    pub async fn ready_for(&mut self, other: &Peer) {
        self.wait("subscription", |event| match event {
            Event::Ready { peer } => (peer == *other).then_some(()),
            _ => None,
        })
        .await;
    }

    pub fn kill(&self) {
        for task in self.tasks.0.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

/// Returns once `done`: for what no event tells.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let polled = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !done() {
            tick.tick().await;
        }
    };
    timeout(PATIENCE, polled).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// `asker` pulls a body of so many bytes from `holder`, and gets it whole.
pub async fn carry_body(asker: &Node, holder: &mut Node, bytes: usize) {
    const FRAME_BYTES: usize = 64 << 10;
    let peer = holder.peer.clone();
    let serve = async {
        let mut reply = holder
            .wait("pull", |event| match event {
                Event::Pull { reply, .. } => Some(reply),
                _ => None,
            })
            .await;
        for at in 0..bytes / FRAME_BYTES {
            reply.write_frame(vec![at as u8; FRAME_BYTES].into()).await.unwrap();
        }
        reply.finish().await.unwrap();
    };
    let ask = async {
        let mut answer = asker.net.pull(&peer, "a body".into()).await.unwrap();
        let mut frames = 0;
        while let Some(frame) = answer.next_frame().await.unwrap() {
            assert!(frame.len() == FRAME_BYTES && frame.iter().all(|byte| *byte == frames as u8));
            frames += 1;
        }
        assert_eq!(frames * FRAME_BYTES, bytes);
    };
    timeout(PATIENCE, async { tokio::join!(serve, ask) }).await.expect("the body crosses in time");
}
