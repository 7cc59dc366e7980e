use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crypto::{FleetKeys, Secret};
use discovery::{Directory, IssueConfig, IssueRegistry};
use futures::future::join_all;
use gateway::{Accept, Cache, Door, Drained, Fetched, Handle, Origin, Service};
use github::{Ask, Policy, Route, Site};
use net::{Address, Identity, Net, PeerInfo, Reach, Transports};
use store::Store;
use task::Tasks;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::warn;
use wire::{Message, Millis, Peer, Role};

use crate::{
    Counters, DiallerConfig, Mode, NodeCache, Receipt, Receipts, SmokeEntry,
    budgets::Budgets,
    cache::now,
    circuits,
    commit::{commit_in_time, flush},
    dialler::{Dialler, Known, RegistryConfig, Signer, Surroundings, registry::Registrar},
    fill::Filler,
    flights::Flights,
    graveyard::Graveyard,
    keeper::Keeper,
    limits,
    names::Names,
    origin::MeteredOrigin,
    origin_clock::OriginClock,
    origin_time::OriginTimes,
    savings::Saving,
    share::{Accepted, Exclusions, Share},
    sharing::{Sharing, Sizes},
    smoke::{self, Awaited},
    status::reach,
    underway::Underway,
};

/// What a node needs of the world. Production fills it with files and sockets, the simulator with
/// simulated ones.
pub struct Env {
    pub tasks: Tasks,
    pub store: Arc<dyn Store>,
    pub origin: Arc<dyn Origin>,
}

pub struct Config {
    /// Base URL of the API, without a slash at the end.
    pub origin_url: String,
    /// Base URLs of further APIs, each of a name ([`Site`]) of its own.
    pub more_origins: Vec<String>,
    pub policy: Policy,
    pub memory_bytes: u64,
    pub about: About,
    pub share: Share,
    pub exclusions: Exclusions,
    pub mode: Mode,
    /// `None`: a cache for this machine alone; the P2P port stays closed.
    pub fleet: Option<FleetConfig>,
}

pub struct FleetConfig {
    pub keys: FleetKeys,
    pub role: Role,
    pub identity: Identity,
    pub listen: Vec<Address>,
    pub external: Vec<Address>,
    pub transports: Transports,
    pub reach: Reach,
    pub dialler: DiallerConfig,
}

/// What the status page repeats.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub cache_dir: Option<PathBuf>,
    /// Why the cache directory is not the one that was wanted.
    pub degraded: Option<String>,
    pub p2p_requested: bool,
    pub role: Role,
    pub peer: Option<Peer>,
}

/// How full a bounded table is, in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub len: usize,
    pub len_max: usize,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not start the network")]
    Net(#[from] net::StartError),
}

/// One machine of the fleet.
pub struct Node {
    pub counters: Arc<Counters>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sharing: Option<Arc<Sharing>>,
    pub(crate) about: About,
    known: Arc<Mutex<Known>>,
    directories: Vec<Arc<dyn Directory>>,
    pub(crate) registrar: Option<Arc<Registrar>>,
    pub(crate) cache: Arc<NodeCache>,
    origin: Arc<dyn Origin>,
    /// The first is the main one.
    pub(crate) sites: Arc<[Site]>,
    pub(crate) tasks: Tasks,
    /// What was asked of the origin before has lost the names of its families.
    pub(crate) started_at: Millis,
    stop: watch::Sender<bool>,
    started: Instant,
    doors: Mutex<Vec<Drained>>,
}

impl Node {
    /// Starts the tasks of a node; doors are opened with [`Node::open`].
    ///
    /// # Errors
    /// [`StartError`] if the network's configuration contradicts itself. A port that is taken or a
    /// peer that is down is no error: the node goes on.
    pub fn start(config: Config, env: Env) -> Result<Self, StartError> {
        let Env { tasks, store, origin } = env;
        let (counters, started_at) = (Arc::<Counters>::default(), now());
        let others = config.more_origins.iter().map(|url| Site::other(url));
        let sites: Arc<[Site]> = std::iter::once(Site::main(&config.origin_url)).chain(others).collect();
        let clock = Arc::<OriginClock>::default();
        let graves = Graveyard::new(config.fleet.as_ref().map(|fleet| &fleet.keys), clock.clone());
        let keeper = Keeper::new(store.clone(), graves, config.memory_bytes, tasks.clone(), counters.clone());
        let keeper = Arc::new(keeper);
        let budgets = Arc::new(Budgets::new(keeper.ids.clone(), &sites));
        let accepted = Arc::<Accepted>::default();
        let origin: Arc<dyn Origin> = Arc::new(MeteredOrigin::new(
            origin,
            counters.clone(),
            budgets.clone(),
            sites.clone(),
            accepted.clone(),
            config.policy.proof_window(),
            clock,
        ));
        let doubtful_until = keeper.restore_doubts();

        let known = Arc::<Mutex<Known>>::default();
        let directories = config.fleet.as_ref().map(|fleet| fleet.dialler.directories.clone()).unwrap_or_default();
        let (mut about, mut registrar) = (config.about, None);
        let Config { policy, share, .. } = config;
        let start = |keys, role, net: Option<_>| {
            // What this machine keeps of its own, its removals have reached.
            let doubtful_until = if net.is_some() { doubtful_until } else { Millis::ZERO };
            let (counters, budgets) = (counters.clone(), budgets.clone());
            Sharing::start(keys, role, net, share, keeper.clone(), policy, doubtful_until, &tasks, counters, budgets)
        };
        let sharing = match config.fleet {
            None if share == Share::Token => None,
            // A fleet of one: what one credential is told may help another of this machine.
            None => {
                // Under the keys of this store: what is kept for its clients is the index.
                let secret = Secret::generate(store.local_key());
                let keys = FleetKeys { ids: keeper.ids.clone(), ..FleetKeys::derive(&secret) };
                Some(start(keys, Role::default(), None).0)
            }
            Some(fleet) => {
                (about.peer, about.role) = (Some(fleet.identity.peer()), fleet.role);
                let FleetConfig { keys, role, identity, listen, external, transports, reach, mut dialler } = fleet;
                let membership = crypto::MembershipKeys { current: keys.membership.clone(), next: None };
                let mut config = net::Config::new(identity.clone(), membership, keys.topic.clone());
                (config.listen, config.external, config.reach) = (listen, external, reach);
                (config.mdns, config.kademlia) = (dialler.discovery.mdns, dialler.discovery.kademlia);
                config.infrastructure = dialler.discovery.public.iter().filter_map(Address::peer).collect();
                let (net, events) = Net::start(config, transports, tasks.clone(), rand::random())?;
                let (sharing, told) = start(keys, role, Some((net.clone(), events)));
                let (tell_heard, heard) = watch::channel(Vec::new());
                let looks_up = dialler.discovery.kademlia;
                tasks.spawn(circuits::keep_hearing(net.clone(), sharing.clone(), looks_up, tell_heard));
                let (signatures, look) = (Arc::new(Signer(identity)), Arc::<Notify>::default());
                let registry = dialler.discovery.registry.as_ref().map(|registry| {
                    let (me, sealing) = (net.me().clone(), sharing.keys.sealing.clone());
                    let (repository, signatures) = (registry.repository.clone(), signatures.clone());
                    Arc::new(Mutex::new(IssueRegistry::new(IssueConfig { repository, me, role, sealing, signatures })))
                });
                registrar = registry.clone().zip(dialler.discovery.registry.take()).map(|(registry, config)| {
                    let RegistryConfig { credential, .. } = config;
                    let (site, origin, budgets) = (sites[0].clone(), origin.clone(), budgets.clone());
                    let (sharing, net, look) = (sharing.clone(), net.clone(), look.clone());
                    Arc::new(Registrar { registry, site, credential, origin, budgets, sharing, net, look })
                });
                let say = {
                    let sharing = sharing.clone();
                    Box::new(move |to: &Peer, message: &Message| sharing.send(to, message))
                };
                let around = Surroundings {
                    net,
                    relay_client: reach.relay_client,
                    tasks: tasks.clone(),
                    known: known.clone(),
                    signatures,
                    role,
                    say,
                    registry,
                    look,
                    heard,
                };
                tasks.spawn(Dialler::new(dialler, around).run(told));
                registrar.iter().for_each(|registrar| tasks.spawn(registrar.clone().run()));
                Some(sharing)
            }
        };
        let filler = Filler {
            origin: origin.clone(),
            sites: sites.clone(),
            policy,
            drift: Mutex::default(),
            origin_time: OriginTimes::default(),
            tasks: tasks.clone(),
            counters: counters.clone(),
            budgets,
        };
        let cache = Arc::new(NodeCache {
            keeper,
            filler,
            sharing: sharing.clone(),
            accepted,
            exclusions: config.exclusions,
            names: Names::default(),
            flights: Arc::new(Flights::default()),
            counters: counters.clone(),
            tasks: tasks.clone(),
            mode: config.mode,
            keeping: Underway::default(),
        });
        let (stop, stopped) = watch::channel(false);
        tasks.spawn(commit_in_time(store.clone(), tasks.clone(), stopped));
        Ok(Self {
            counters,
            store,
            sharing,
            about,
            known,
            directories,
            registrar,
            cache,
            origin,
            sites,
            tasks,
            started_at,
            stop,
            started: Instant::now(),
            doors: Mutex::default(),
        })
    }

    /// Opens a door with a base URL to the main site: `client_url` is what its clients call that.
    pub fn open(&self, name: &'static str, client_url: String, accept: impl Accept) {
        self.open_site(name, 0, client_url, accept);
    }

    /// The same to any site: the main one is the first, `more_origins` follow in their order.
    ///
    /// # Panics
    /// If there is no such site.
    pub fn open_site(&self, name: &'static str, at: usize, client_url: String, accept: impl Accept) {
        let (site, tasks) = (self.sites[at].clone(), self.tasks.clone());
        let service = Service::by_base_url(client_url, site, self.cache.clone(), self.origin.clone(), tasks);
        self.serve(name, gateway::limits::CONNECTIONS_MAX, Arc::new(service), accept);
    }

    /// Opens the socket, whose clients name every site by its own host.
    pub fn open_socket(&self, name: &'static str, accept: impl Accept) {
        let (cache, origin) = (self.cache.clone(), self.origin.clone());
        let service = Service::by_host(self.sites.to_vec(), cache, origin, self.tasks.clone());
        self.serve(name, gateway::limits::CONNECTIONS_MAX, Arc::new(service), accept);
    }

    /// Opens a door to something else than the API, with the same bounds: the status page.
    pub fn open_to(&self, name: &'static str, handler: Arc<dyn Handle>, accept: impl Accept) {
        self.serve(name, gateway::limits::STATUS_CONNECTIONS_MAX, handler, accept);
    }

    fn serve(&self, name: &'static str, connections_max: usize, handler: Arc<dyn Handle>, accept: impl Accept) {
        let door = Door::new(name, connections_max, self.tasks.clone(), self.stop.subscribe());
        self.doors.lock().expect("no panic while held").push(door.drained());
        self.tasks.spawn(door.run(accept, handler));
    }

    /// Asks as a client would, but without a door.
    pub async fn ask(&self, ask: Ask) -> Fetched {
        self.cache.clone().fetch(ask).await
    }

    pub async fn write_smoke(&self, entry: SmokeEntry) {
        if let Some(sharing) = &self.sharing {
            smoke::write(sharing, entry).await;
        }
    }

    /// What comes from peers from now on. `None` if this node does not share.
    pub fn receipts(&self) -> Option<Receipts> {
        self.net()?;
        Some(Receipts(self.sharing.as_ref()?.received()))
    }

    /// Waits for a synthetic entry of that target from a peer; `None` after `patience`.
    pub async fn read_smoke(&self, target: &str, receipts: Receipts, patience: Duration) -> Option<Receipt> {
        let awaited = Awaited::synthetic(self.sharing.as_ref()?, target);
        self.await_receipt(awaited, receipts, patience).await
    }

    /// Waits for a real answer to `ask` from a peer; `None` after `patience`.
    pub async fn read_shared(&self, ask: &Ask, receipts: Receipts, patience: Duration) -> Option<Receipt> {
        let awaited = Awaited::answer_to(self.sharing.as_ref()?, ask);
        self.await_receipt(awaited, receipts, patience).await
    }

    async fn await_receipt(&self, awaited: Awaited, receipts: Receipts, patience: Duration) -> Option<Receipt> {
        let read = smoke::read(self.sharing.as_ref()?, awaited, receipts);
        let receipt = tokio::time::timeout(patience, read).await.ok()?;
        if matches!(receipt, Receipt::Body { .. }) {
            self.counters.peer_hits.one();
        }
        Some(receipt)
    }

    /// Peers that are connected, and those that hear what is announced.
    pub fn connected_peers(&self) -> (usize, usize) {
        let peers = self.net().map(Net::peers).unwrap_or_default();
        (peers.len(), peers.iter().filter(|peer| peer.ready).count())
    }

    /// The other members, as this node has heard of them.
    pub async fn members(&self) -> Vec<fleet::MemberView> {
        match &self.sharing {
            Some(sharing) if sharing.net.is_some() => sharing.members().await,
            _ => Vec::new(),
        }
    }

    /// The peers that hear what is announced.
    pub fn ready_peers(&self) -> Vec<Peer> {
        let peers = self.net().map(Net::peers).unwrap_or_default();
        peers.into_iter().filter(|info| info.ready).map(|info| info.peer).collect()
    }

    /// The members that are connected, each with its best way.
    pub fn links(&self) -> Vec<PeerInfo> {
        self.net().map(Net::peers).unwrap_or_default()
    }

    /// What would let others reach this node, if nothing does.
    pub fn needs(&self) -> Option<&'static str> {
        reach::needs(&self.net()?.reach())
    }

    /// Answers of the fleet that this node has heard of.
    pub fn index_len(&self) -> usize {
        self.sharing.as_ref().map_or(0, |sharing| sharing.sizes().index)
    }

    /// What this node holds in tables that others can make grow, with the bound of each.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![
            Table { name: "flights", len: self.cache.flights.len(), len_max: limits::FLIGHTS_MAX },
            Table { name: "families", len: self.counters.families.len(), len_max: limits::FAMILIES_MAX },
            Table { name: "doubts", len: self.cache.keeper.doubts.len(), len_max: limits::DOUBTS_MAX },
            Table { name: "tombstones", len: self.cache.keeper.graves.len(), len_max: fleet::limits::DOUBTS_MAX },
        ];
        if let Some(sharing) = &self.sharing {
            let peers = self.net().map(Net::peers).unwrap_or_default().len();
            let Sizes { index, leases, members } = sharing.sizes();
            tables.extend([
                Table { name: "index", len: index, len_max: fleet::limits::INDEX_ENTRIES_MAX },
                Table { name: "leases", len: leases, len_max: fleet::limits::LEASES_MAX },
                Table { name: "members", len: members, len_max: fleet::limits::MEMBERS_MAX },
                Table { name: "asks", len: sharing.waiting_len(), len_max: fleet::limits::ASKS_MAX },
                Table { name: "limits", len: self.cache.filler.budgets.heard_len(), len_max: limits::HEARD_MAX },
                Table { name: "peers", len: peers, len_max: fleet::limits::PEERS_MAX },
            ]);
        }
        tables
    }

    /// What the origin allows each credential, by site: the scope is a keyed hash.
    pub(crate) fn budgets(&self) -> Vec<(String, github::Gauge)> {
        self.cache.filler.budgets.gauges(now())
    }

    pub fn mode(&self) -> Mode {
        self.cache.mode
    }

    /// What each repository has cost and saved since the start, the most first. For the operator alone.
    pub fn savings(&self) -> Vec<Saving> {
        self.counters.families.savings()
    }

    /// Routes whose ETags do not come as the observed rule says.
    pub fn drifted(&self) -> Vec<Route> {
        self.cache.filler.drifted()
    }

    /// Whether requests are answered as well as they will be: a neighbour has told what this node
    /// missed, or there is none, or none answered in time.
    pub fn is_ready(&self) -> bool {
        let Some(sharing) = self.sharing.as_ref().filter(|sharing| sharing.net.is_some()) else { return true };
        let known = self.known();
        let is_alone = known.has_looked && known.bootstrap == 0 && known.discovered == 0;
        sharing.is_caught_up() || is_alone || self.started.elapsed() >= limits::CATCH_UP_PATIENCE
    }

    /// Where this node says that it is, once it listens.
    pub fn advertised(&self) -> Option<Address> {
        self.known().advertised
    }

    /// The addresses at which members reach this node.
    pub fn listening(&self) -> Vec<Address> {
        let known = self.known();
        let me = self.about.peer.as_ref();
        known.listening.iter().map(|address| me.map_or_else(|| address.clone(), |me| address.with_peer(me))).collect()
    }

    /// Why connections failed lately, by address.
    pub fn failures(&self) -> Vec<(String, String)> {
        let known = self.known();
        known.failures(now()).map(|(place, why)| (place.to_owned(), why.to_owned())).collect()
    }

    /// What is wrong with the ways of finding others: the way's name, and the reason.
    pub fn finding_troubles(&self) -> Vec<(&'static str, String)> {
        self.known().troubles().map(|(kind, why)| (kind.name(), why.to_owned())).collect()
    }

    /// Closes the doors, lets what is under way end, hands over what it alone holds, leaves the fleet and commits what is not committed yet.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let doors = std::mem::take(&mut *self.doors.lock().expect("no panic while held"));
        let drained = join_all(doors.into_iter().map(Drained::wait));
        let kept = self.cache.keeping.wait();
        let handed_over = async {
            if let Some(sharing) = &self.sharing {
                sharing.leave().await;
            }
        };
        let all = async { tokio::join!(drained, kept, handed_over) };
        let _ = tokio::time::timeout(limits::DRAIN_PATIENCE, all).await;
        self.withdraw().await;
        if let Some(registrar) = &self.registrar {
            registrar.leave().await;
        }
        if let Some(net) = self.net() {
            net.shutdown().await;
        }
        flush(&self.store, &self.tasks).await;
    }

    /// Takes this node's record out of the directories, so that nobody dials a dead place.
    async fn withdraw(&self) {
        let Some(record) = self.known().announced else { return };
        for directory in &self.directories {
            let (directory, record) = (directory.clone(), record.clone());
            if let Some(Err(error)) = self.tasks.block(move || directory.withdraw(&record)).await {
                warn!(%error, "this node's record stays in the peer directory until it expires");
            }
        }
    }

    /// `None` if this node is a fleet of one.
    pub(crate) fn net(&self) -> Option<&Net> {
        self.sharing.as_ref()?.net.as_ref()
    }

    pub(crate) fn known(&self) -> Known {
        self.known.lock().expect("no panic while held").clone()
    }
}
