//! What all in a world share: the plan, the network, GitHub, the record, and what was found wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fabric::{MachineId, Network};
use net::Identity;
use node::Node;
use serde::{Deserialize, Serialize};
use store::sim_disk::SimDisk;
use tokio::sync::mpsc;
use wire::Peer;

use crate::{
    addresses,
    checkers::Ledger,
    draw::Stream,
    github::GitHub,
    plan::{self, Place, Plan},
    tasks::Running,
    trace::{Event, Kind, Trace},
    watched::Memory,
};

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    pub at_ms: f64,
    pub lane: Option<usize>,
    /// Which promise, as `right.scope`.
    pub invariant: String,
    pub text: String,
}

/// One machine: what stays when its process dies.
pub struct Machine {
    pub plan: plan::Node,
    pub id: MachineId,
    pub disk: SimDisk,
    pub identity: Identity,
    /// What its store must remember.
    pub memory: Arc<Mutex<Memory>>,
    pub state: Mutex<Alive>,
}

/// What runs on a machine now.
#[derive(Default)]
pub struct Alive {
    /// How often it was started.
    pub starts: u32,
    pub node: Option<Arc<Node>>,
    /// Asks its clients for something that is not in the plan.
    pub orders: Option<mpsc::UnboundedSender<Order>>,
    /// Each access to its disk takes this much longer.
    pub disk_delay: Duration,
    /// It is of the version before.
    pub is_old: bool,
    /// When it had stopped as it was told to.
    pub stopped_at: Option<Duration>,
    /// In the layer bare: no new task begins, and what runs is known.
    pub is_down: bool,
    pub tasks: Running,
}

/// A question that the world itself asks, to see whether it has come to rest.
pub struct Order {
    pub token: Option<usize>,
    pub path: String,
    pub number: usize,
}

/// The shared state. One thread runs it all; the locks are there because the ports demand it, and
/// none is held across an await.
pub struct Stage {
    pub plan: Plan,
    pub network: Network,
    pub machines: BTreeMap<u32, Machine>,
    /// By site.
    pub routers: BTreeMap<u32, MachineId>,
    github: Mutex<GitHub>,
    trace: Mutex<Trace>,
    ledger: Mutex<Ledger>,
    violation: Mutex<Option<Violation>>,
    lanes: BTreeMap<Peer, usize>,
}

impl Stage {
    pub fn new(plan: Plan, network: Network, lie_about_sync: bool, echo: bool) -> Self {
        let router =
            |site: &plan::Site| (site.id, network.add_router(addresses::of_router(site.id), site.router.nat()));
        let routers: BTreeMap<u32, MachineId> = plan.sites.iter().map(router).collect();
        let machines = plan.nodes.iter().map(|node| {
            let id = match node.place {
                Place::Site(site) => network.add_machine_behind(routers[&site], addresses::of(node)),
                _ => network.add_machine(addresses::of(node)),
            };
            (node.id, machine(plan.seed, node, id, lie_about_sync))
        });
        let machines: BTreeMap<u32, Machine> = machines.collect();
        let lanes = machines.values().map(|machine| (machine.identity.peer(), machine.lane())).collect();
        let github = GitHub::new(&plan);
        Self {
            plan,
            network,
            machines,
            routers,
            github: Mutex::new(github),
            trace: Mutex::new(Trace::new(echo)),
            ledger: Mutex::default(),
            violation: Mutex::default(),
            lanes,
        }
    }

    pub fn machine(&self, id: u32) -> &Machine {
        &self.machines[&id]
    }

    pub fn github(&self) -> MutexGuard<'_, GitHub> {
        lock(&self.github)
    }

    pub fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub fn tell(&self, event: Event) {
        self.trace().add(event);
    }

    /// The lane of a peer that is named in a log line.
    pub fn lane_of(&self, text: &str) -> Option<usize> {
        self.lanes.iter().find(|(peer, _)| text.contains(peer.as_str())).map(|(_, lane)| *lane)
    }

    /// Says that a promise was broken. The first one counts, and ends the world.
    pub fn violated(&self, lane: Option<usize>, invariant: &str, text: impl Into<String>) {
        let mut violation = lock(&self.violation);
        if violation.is_some() {
            return;
        }
        let text = text.into();
        let at_ms = det::elapsed().as_secs_f64() * 1000.0;
        *violation = Some(Violation { at_ms, lane, invariant: invariant.to_owned(), text: text.clone() });
        drop(violation);
        self.tell(Event { lane, ..Event::new(Kind::Violation, 0, format!("{invariant}: {text}")) }.ok(false));
    }

    pub fn violation(&self) -> Option<Violation> {
        lock(&self.violation).clone()
    }
}

impl Machine {
    pub fn lane(&self) -> usize {
        self.plan.id as usize + 1
    }

    pub fn alive(&self) -> MutexGuard<'_, Alive> {
        lock(&self.state)
    }

    pub fn node(&self) -> Option<Arc<Node>> {
        self.alive().node.clone()
    }
}

fn machine(seed: u64, node: &plan::Node, id: MachineId, lie_about_sync: bool) -> Machine {
    let disk = SimDisk::new(Stream::new(seed, &format!("disk {}", node.id)).next());
    if lie_about_sync {
        disk.lie_about_sync();
    }
    Machine {
        id,
        disk,
        identity: Identity::from_seed(Stream::new(seed, &format!("identity {}", node.id)).bytes()),
        memory: Arc::default(),
        state: Mutex::default(),
        plan: node.clone(),
    }
}

/// A panic elsewhere has been reported already; what it left is good enough to end the world.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
