//! The machines: real nodes in this process, connected on loopback.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crypto::{FleetKeys, Secret};
use gateway::HttpOrigin;
use github::Policy;
use net::{Address, Identity};
use node::{About, DiallerConfig, Env, Exclusions, FleetConfig, Node, Share};
use store::MemoryStore;
use task::Tasks;
use tokio::time::{Instant, sleep};
use wire::Role;

use super::{Failure, REQUEST_TIMEOUT};
use crate::listen::TcpDoor;

/// Name and role of each. The first is the anchor, where no job runs.
const MACHINES: [(&str, Role); 4] =
    [("anchor", Role::Anchor), ("runner-a", Role::Node), ("runner-b", Role::Node), ("runner-c", Role::Ephemeral)];

/// Short, so that a few seconds show answers that are confirmed and not only kept.
const FRESH_FOR: Duration = Duration::from_secs(2);

const MEMORY_BYTES: u64 = 64 << 20;

/// One machine of the fleet.
pub(super) struct Machine {
    pub(super) name: &'static str,
    pub(super) node: Arc<Node>,
    /// Of its door.
    pub(super) url: String,
    is_gone: AtomicBool,
}

impl Machine {
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Stops in order, once.
    pub(super) async fn leave(&self) {
        if !self.is_gone.swap(true, Ordering::Relaxed) {
            self.node.stop().await;
        }
    }
}

/// Starts all, and returns when each hears what any of them announces.
pub(super) async fn start(tasks: &Tasks, origin_url: &str) -> Result<Vec<Machine>, Failure> {
    let keys = FleetKeys::derive(&Secret::generate(rand::random()));
    let mut machines: Vec<Machine> = Vec::new();
    for (name, role) in MACHINES {
        let bootstrap = machines.iter().flat_map(|machine| machine.node.listening()).collect();
        let (node, url) = start_node(tasks, origin_url.to_owned(), keys.clone(), role, bootstrap).await?;
        machines.push(Machine { name, node, url, is_gone: AtomicBool::default() });
    }
    let others = machines.len() - 1;
    wait_until("the machines are connected", || machines.iter().all(|m| m.node.connected_peers().1 == others)).await?;
    Ok(machines)
}

async fn start_node(
    tasks: &Tasks,
    origin_url: String,
    keys: FleetKeys,
    role: Role,
    bootstrap: Vec<Address>,
) -> Result<(Arc<Node>, String), Failure> {
    let fleet = FleetConfig {
        keys,
        role,
        identity: Identity::generate(rand::random()),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        external: Vec::new(),
        transports: net::tcp_transport().into(),
        reach: net::Reach::default(),
        dialler: DiallerConfig {
            bootstrap,
            directories: Vec::new(),
            runner_name: "demo".to_owned(),
            external: None,
            force_localhost: Some(true),
            discovery: node::Discovery::default(),
        },
    };
    let config = node::Config {
        origin_url,
        more_origins: Vec::new(),
        policy: Policy {
            default_ttl: Some(FRESH_FOR),
            proof_window: Some(Duration::from_secs(60)),
            ..Policy::default()
        },
        share: Share::default(),
        exclusions: Exclusions::default(),
        mode: node::Mode::Serve,
        memory_bytes: MEMORY_BYTES,
        about: About::default(),
        fleet: Some(fleet),
    };
    let env = Env {
        tasks: tasks.clone(),
        store: Arc::new(MemoryStore::new(MEMORY_BYTES, rand::random())),
        origin: Arc::new(HttpOrigin::new(REQUEST_TIMEOUT)?),
    };
    let node = Arc::new(Node::start(config, env)?);
    let (door, bound) = TcpDoor::bind(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{bound}");
    node.open("demo", url.clone(), door);
    wait_until("a machine listens", || !node.listening().is_empty()).await?;
    Ok((node, url))
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("waited 20 s until {what}, in vain").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
