//! What runs on one machine: the node as it is shipped, and its clients.

use std::{
    io,
    net::Ipv4Addr,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crypto::{FleetKeys, Secret};
use discovery::Directory;
use futures::{FutureExt, future::BoxFuture};
use gateway::{Accept, Connection};
use net::{Address, RawTransport, Reach, RelayServer};
use node::{About, DiallerConfig, Env, Exclusions, External, FleetConfig, Node, Share};
use store::{DiskConfig, DiskStore, MemoryStore, Store};
use task::Tasks;
use tokio::{io::DuplexStream, sync::mpsc};
use wire::Millis;

use crate::{
    addresses, checkers,
    client::Client,
    directory::SharedDirectory,
    draw::Stream,
    github::SimOrigin,
    liar,
    plan::{self, Layer, Op, Place, Plan, Role},
    stage::{Machine, Order, Stage, lock},
    tasks::{MachineTasks, OnMachine},
    trace::{Event, Kind},
    watched::WatchedStore,
};

/// Bytes of a cache: room for everything that a world asks, so that nothing is evicted.
const STORE_BYTES: u64 = 256 << 20;

/// Memory for answers. Small, so that the disk is read, too.
const MEMORY_BYTES: u64 = 8 << 20;

/// Pages that the database holds. Small: a world has many.
const PAGE_CACHE_BYTES: usize = 2 << 20;

/// Machines whose address everybody knows.
const BOOTSTRAP: usize = 2;

/// The name that clients call their door by.
pub const DOOR: &str = "127.0.0.1:9120";

/// What turmoil calls a machine: `10.1.0.0` and up.
pub fn ip(node: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 1, 0, 1)) + node)
}

pub fn fleet_keys(seed: u64) -> FleetKeys {
    FleetKeys::derive(&Secret::generate(Stream::new(seed, "fleet secret").bytes()))
}

/// The first machines of a world, other than `not`: what an operator would put into
/// `CACHE_BOOTSTRAP_PEERS`.
pub fn bootstrap(plan: &Plan, not: u32) -> Vec<Address> {
    let honest = plan.nodes.iter().filter(|node| node.role == Role::Node && node.id != not);
    let known = honest.filter(|node| !plan.is_spread() || node.place == Place::Anchor);
    known.take(BOOTSTRAP).map(addresses::place).collect()
}

/// Everything that a machine does from a start until it dies.
pub async fn software(stage: Arc<Stage>, directory: SharedDirectory, id: u32) {
    let work = live(stage.clone(), directory, id);
    OnMachine::new(stage, id, work).await;
}

async fn live(stage: Arc<Stage>, directory: SharedDirectory, id: u32) {
    let machine = stage.machine(id);
    until(Duration::from_millis(machine.plan.starts_ms)).await;
    let tasks = Tasks::new(MachineTasks::new(stage.clone(), id));
    machine.alive().starts += 1;
    stage.tell(Event::new(Kind::Start, machine.lane(), format!("start {}", machine.alive().starts)));
    if machine.plan.role == Role::Liar {
        return liar::live(stage, id, tasks).await;
    }
    let is_old = machine.plan.old_until_ms.is_some_and(|until| det::elapsed() < Duration::from_millis(until));
    canary::make_old(machine.identity.peer().as_str(), is_old);
    machine.alive().is_old = is_old;
    let Some(store) = open_store(&stage, machine) else { return };
    let node = match Node::start(config(&stage, machine, directory), env(&stage, machine, &tasks, store)) {
        Ok(node) => Arc::new(node),
        Err(error) => return stage.violated(Some(machine.lane()), "start", error.to_string()),
    };
    let (door, comings) = mpsc::unbounded_channel();
    node.open("sim", format!("http://{DOOR}"), SimDoor(comings));
    let (orders, mut ordered) = mpsc::unbounded_channel::<Order>();
    {
        let mut alive = machine.alive();
        alive.node = Some(node.clone());
        alive.orders = Some(orders);
    }
    let client = Client { stage: stage.clone(), node: id, door, tasks: tasks.clone() };
    let now = det::elapsed();
    for op in stage.plan.ops.iter().filter(|op| op.what.node() == Some(id) && due(op) >= now) {
        let (client, op) = (client.clone(), op.clone());
        tasks.spawn(async move {
            until(due(&op)).await;
            client.carry_out(&op.what).await;
        });
    }
    let stops = machine.plan.stops_ms.map(Duration::from_millis);
    let orders = async {
        while let Some(order) = ordered.recv().await {
            let client = client.clone();
            tasks.spawn(async move { client.obey(order).await });
        }
    };
    match stops {
        None => orders.await,
        Some(at) => {
            tokio::select! {
                () = until(at) => {}
                () = orders => {}
            }
            machine.alive().node = None;
            machine.alive().orders = None;
            stage.tell(Event::new(Kind::Stop, machine.lane(), "told to stop"));
            let told = det::elapsed();
            node.stop().await;
            checkers::on_stopped(&stage, machine, told);
        }
    }
}

fn due(op: &Op) -> Duration {
    Duration::from_millis(op.at_ms)
}

/// Waits for a moment of the world.
pub async fn until(at: Duration) {
    tokio::time::sleep(at.saturating_sub(det::elapsed())).await;
}

/// Opens the store, and compares it with what it must remember.
fn open_store(stage: &Arc<Stage>, machine: &Machine) -> Option<Arc<dyn Store>> {
    let entropy = {
        // Another at each start: a store that is there keeps the key that it has.
        let purpose = format!("local key {} {}", machine.plan.id, machine.alive().starts);
        Stream::new(stage.plan.seed, &purpose).bytes()
    };
    let now = Millis::from(SystemTime::now());
    let lane = machine.lane();
    if !machine.plan.has_disk {
        return Some(Arc::new(MemoryStore::new(STORE_BYTES, entropy)));
    }
    let config = DiskConfig { page_cache_bytes: PAGE_CACHE_BYTES, ..DiskConfig::new(STORE_BYTES, entropy) };
    let store = match DiskStore::open(Box::new(machine.disk.plug_in()), config, now) {
        Ok((store, _)) => store,
        // The power may go at any write, those of opening included.
        Err(_) if machine.disk.is_cut() => return None,
        Err(error) => {
            stage.violated(Some(lane), "lossless.open", format!("the store does not open: {error}"));
            return None;
        }
    };
    if let Err(lost) = lock(&machine.memory).check(&store, now)
        && !machine.disk.is_cut()
    {
        stage.violated(Some(lane), "lossless.entry", lost);
    }
    Some(Arc::new(WatchedStore {
        inner: Arc::new(store),
        disk: machine.disk.clone(),
        memory: machine.memory.clone(),
        stage: stage.clone(),
        lane,
    }))
}

fn config(stage: &Stage, machine: &Machine, directory: SharedDirectory) -> node::Config {
    let plan = &stage.plan;
    let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
    let (is_spread, is_anchor) = (plan.is_spread(), machine.plan.place == Place::Anchor);
    let is_alone = plan.layer == Layer::Bare && plan.nodes.len() == 1;
    node::Config {
        origin_url: "https://api.github.com".to_owned(),
        more_origins: Vec::new(),
        policy: github::Policy {
            default_ttl: millis(plan.policy.default_ttl_ms),
            proof_window: millis(plan.policy.proof_window_ms),
            stale_for: Duration::from_millis(plan.policy.stale_for_ms),
        },
        share: match plan.sharing.share {
            plan::Share::Token => Share::Token,
            plan::Share::Proof => Share::Proof,
            plan::Share::Trusted => Share::Trusted,
        },
        exclusions: Exclusions {
            never_cache: patterns(&plan.sharing.never_cache),
            never_share: patterns(&plan.sharing.never_share),
        },
        mode: node::Mode::Serve,
        memory_bytes: MEMORY_BYTES,
        about: About::default(),
        fleet: (!is_alone).then(|| FleetConfig {
            keys: fleet_keys(plan.seed),
            role: if is_anchor { wire::Role::Anchor } else { wire::Role::default() },
            identity: machine.identity.clone(),
            listen: vec![addresses::listening(&machine.plan)],
            external: is_anchor.then(|| addresses::place(&machine.plan)).into_iter().collect(),
            transports: RawTransport::new(stage.network.transport(machine.id)).into(),
            reach: reach(machine.plan.place),
            dialler: DiallerConfig {
                bootstrap: bootstrap(plan, machine.plan.id),
                // Who is behind a router has no folder in common with the others.
                directories: if is_spread { Vec::new() } else { vec![Arc::new(directory) as Arc<dyn Directory>] },
                runner_name: format!("n{}", machine.plan.id),
                external: is_anchor.then(|| External::Ip(addresses::of(&machine.plan).into())),
                force_localhost: Some(false),
                discovery: node::Discovery { exchange: is_spread, ..node::Discovery::default() },
            },
        }),
    }
}

/// As the daemon has it by default. In one network nothing of it is needed, and those worlds are about
/// something else.
fn reach(place: Place) -> Reach {
    match place {
        Place::Lan => Reach::default(),
        Place::Anchor => Reach::full(RelayServer::On, false),
        Place::Public | Place::Site(_) => Reach::full(RelayServer::Auto, false),
    }
}

fn patterns(repos: &[String]) -> Vec<github::Pattern> {
    repos.iter().map(|repo| github::Pattern::parse(repo).expect("a plan was checked")).collect()
}

fn env(stage: &Arc<Stage>, machine: &Machine, tasks: &Tasks, store: Arc<dyn Store>) -> Env {
    let origin = Arc::new(SimOrigin { stage: stage.clone(), node: machine.plan.id, start: machine.alive().starts });
    Env { tasks: tasks.clone(), store, origin }
}

/// Where clients of the same machine come in.
pub struct SimDoor(mpsc::UnboundedReceiver<DuplexStream>);

impl Accept for SimDoor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Pin<Box<dyn Connection>>>> {
        async {
            match self.0.recv().await {
                Some(stream) => Ok(Box::pin(stream) as Pin<Box<dyn Connection>>),
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}
