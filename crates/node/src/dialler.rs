//! Whom to connect to: configured addresses and found ones, now and again.

mod announce;
mod book;
mod discover;
mod exchange;
mod failures;
mod folder;
mod kinds;
mod lookups;
mod neighbours;
mod networks;
mod public;
mod publishing;
mod reasons;
pub(crate) mod registry;
mod resolve;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use discovery::{Directory, IssueRegistry, Signatures};
use github::Credential;
use net::{Address, Direction, Event, GateError, Identity, Net, PeerInfo, Refusal};
use task::Tasks;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tracing::{info, warn};
use wire::{Exchange, Message, Millis, Peer, Role};

use crate::{
    cache::now,
    circuits::{self, Heard, Scene},
    limits,
};
use book::{Book, Named};
use exchange::PeerExchange;
use failures::INBOUND;
pub(crate) use failures::Known;
use folder::Folder;
pub use kinds::Kind;
pub(crate) use kinds::Kinds;
use lookups::Lookups;
use networks::Networks;
use public::PublicNodes;
use publishing::Publishing;
use reasons::Reasons;
pub(crate) use reasons::{OTHER_SECRET, OWN_ADDRESS};
pub use resolve::{Resolve, System, resolve};

pub struct DiallerConfig {
    pub bootstrap: Vec<Address>,
    pub directories: Vec<Arc<dyn Directory>>,
    pub runner_name: String,
    /// How others reach this node, where the operator knows it.
    pub external: Option<External>,
    /// Advertise loopback only (`Some(true)`), never (`Some(false)`), or where there is nothing else.
    pub force_localhost: Option<bool>,
    pub discovery: Discovery,
}

/// Further ways of finding peers. None of them is there by default, but peer exchange.
pub struct Discovery {
    /// A service whose name stands for all of its machines, and their port.
    pub service: Option<(String, u16)>,
    /// `None`: names are left to the operating system, and `dnsaddr` is not there.
    pub resolver: Option<Arc<dyn Resolve>>,
    pub registry: Option<RegistryConfig>,
    /// For real networks only.
    pub mdns: bool,
    pub exchange: bool,
    /// Members keep each other's addresses in a Kademlia of their own. For real networks only.
    pub kademlia: bool,
    /// Public nodes to go to while nobody else is found, each with its peer id; empty: none, ever.
    pub public: Vec<Address>,
    /// Members that are neither dialled nor kept.
    pub blocked: BTreeSet<Peer>,
    /// Ways that are configured and could not be opened, with the reason.
    pub not_started: BTreeMap<Kind, String>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            service: None,
            resolver: None,
            registry: None,
            mdns: false,
            exchange: true,
            kademlia: false,
            public: Vec::new(),
            blocked: BTreeSet::new(),
            not_started: BTreeMap::new(),
        }
    }
}

/// The registry in an issue of a repository at the main origin.
pub struct RegistryConfig {
    /// `owner/repo`.
    pub repository: String,
    /// May read issues there, and should be able to comment.
    pub credential: Credential,
}

#[derive(Clone, Debug)]
pub enum External {
    Ip(IpAddr),
    Address(Address),
}

/// What the dialler is told.
#[derive(Debug)]
pub enum Told {
    Event(Box<Event>),
    /// By a neighbour.
    Exchange {
        from: Peer,
        exchange: Exchange,
    },
}

/// Sends a message to a neighbour.
pub type Say = Box<dyn Fn(&Peer, &Message) + Send>;

/// What the dialler has from the rest of the node.
pub struct Surroundings {
    pub net: Net,
    /// Members that were heard of are looked for through relays ([`net::Reach::relay_client`]).
    pub relay_client: bool,
    pub tasks: Tasks,
    pub known: Arc<Mutex<Known>>,
    pub signatures: Arc<dyn Signatures>,
    pub role: Role,
    pub say: Say,
    /// The registry, and what says that it has something new.
    pub registry: Option<Arc<Mutex<IssueRegistry>>>,
    pub look: Arc<Notify>,
    /// The members that say that they are there, as far as somebody may be missed.
    pub heard: watch::Receiver<Vec<Heard>>,
}

/// Signs as this machine.
pub struct Signer(pub Identity);

impl Signatures for Signer {
    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes)
    }

    fn verify(&self, peer: &Peer, bytes: &[u8], signature: &[u8; 64]) -> bool {
        net::signed_by(peer, bytes, signature)
    }
}

/// Keeps this node connected.
pub struct Dialler {
    config: DiallerConfig,
    around: Surroundings,
    book: Book,
    folders: Vec<Folder>,
    kinds: Kinds,
    exchange: PeerExchange,
    lookups: Lookups,
    publishing: Publishing,
    public: PublicNodes,
    reasons: Reasons,
    lonely_pause: Duration,
    next_lonely: Instant,
    next_refresh: Instant,
    next_heartbeat: Instant,
    next_dns: Instant,
}

impl Dialler {
    pub fn new(config: DiallerConfig, around: Surroundings) -> Self {
        around.known.lock().expect("no panic while held").bootstrap = config.bootstrap.len();
        let now = Instant::now();
        let me = around.net.me().clone();
        let mut dialler = Self {
            book: Book::new(me.clone(), config.discovery.blocked.clone()),
            folders: config.directories.iter().cloned().map(Folder::new).collect(),
            kinds: kinds::all(),
            exchange: PeerExchange::new(me),
            lookups: Lookups::default(),
            publishing: Publishing::new(now),
            public: PublicNodes::new(config.discovery.public.clone()),
            reasons: Reasons::default(),
            lonely_pause: limits::LONELY_DIAL_MIN,
            next_lonely: now,
            next_refresh: now + limits::REFRESH_INTERVAL,
            next_heartbeat: now,
            next_dns: now,
            config,
            around,
        };
        dialler.note_kinds();
        dialler
    }

    pub async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        loop {
            let connected = self.connected();
            let next = [self.next_refresh, self.next_heartbeat].into_iter();
            let next = next.chain(connected.is_empty().then_some(self.next_lonely));
            let next = next.chain(self.book.next_due(&connected)).min().expect("there are at least two");
            tokio::select! {
                biased;
                told = told.recv() => match told {
                    Some(Told::Event(event)) => self.on_event(*event).await,
                    Some(Told::Exchange { from, exchange }) => self.on_exchange(&from, exchange),
                    None => return,
                },
                () = self.around.look.notified() => self.read_registry(),
                Ok(()) = self.around.heard.changed() => self.on_heard(),
                () = tokio::time::sleep_until(next) => self.on_time().await,
            }
            self.tell_status();
        }
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        if now >= self.next_refresh {
            self.next_refresh = now + limits::REFRESH_INTERVAL;
            info!("Refreshing bootstrap peer connections...");
            self.discover().await;
            self.book.refresh(Instant::now());
            let dialled = self.dial();
            info!("✓ Refreshed {dialled} bootstrap connection(s)");
        } else if now >= self.next_heartbeat {
            self.next_heartbeat = now + limits::HEARTBEAT_INTERVAL;
            self.announce().await;
            self.discover().await;
            self.dial();
            self.use_public_nodes().await;
            self.exchange_with_one();
        } else if self.connected().is_empty() && now >= self.next_lonely {
            self.lonely_pause = (2 * self.lonely_pause).min(limits::LONELY_DIAL_MAX);
            // Some jitter, so that a fleet that starts together does not look together.
            self.next_lonely = now + self.lonely_pause.mul_f64(rand::random_range(0.75..1.25));
            self.discover().await;
            self.dial();
            self.use_public_nodes().await;
        } else {
            self.dial();
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Listening { address } => {
                info!(%address, "listening for members");
                {
                    let mut known = self.around.known.lock().expect("no panic while held");
                    known.listening.retain(|other| *other != address);
                    known.listening.push(address);
                    // What most others can dial comes first: it is what a directory has room for.
                    let rank = |address: &Address| (address.carrier(), address.ip().is_some_and(|ip| ip.is_ipv6()));
                    known.listening.sort_by_key(rank);
                    self.book.set_networks(Networks::of(&known.listening));
                }
                self.announce().await;
            }
            Event::NotListening { address } => {
                info!(%address, "not listening there any more");
                {
                    let mut known = self.around.known.lock().expect("no panic while held");
                    known.listening.retain(|other| *other != address);
                    self.book.set_networks(Networks::of(&known.listening));
                }
                self.announce().await;
            }
            Event::ListenFailed { address, why } => {
                warn!(%address, why, "cannot listen for members");
                self.around.known.lock().expect("no panic while held").not_listening.insert(address.to_string(), why);
            }
            Event::Connected { peer, address, direction } if self.config.discovery.blocked.contains(&peer) => {
                warn!(%peer, "a member that `blocked_peers` names is not let in");
                self.around.net.drop_peer(&peer, "it is in blocked_peers");
                if direction == Direction::Outbound {
                    self.book.put_off(&address, Instant::now() + limits::REFRESH_INTERVAL);
                }
                self.failed(address.to_string(), Some(format!("blocked_peers of this machine names {peer}")));
            }
            Event::Disconnected { peer, .. } if self.config.discovery.blocked.contains(&peer) => {}
            Event::Connected { peer, address, direction } => {
                self.lonely_pause = limits::LONELY_DIAL_MIN;
                self.around.known.lock().expect("no panic while held").forgive(&peer, &address);
                let is_dialled = direction == Direction::Outbound;
                let by = if is_dialled { self.book.connected(&address, &peer) } else { Vec::new() };
                for kind in by {
                    self.kinds.entry(kind).or_default().worked_at = Some(now());
                }
                self.leave_public_nodes();
            }
            Event::Ready { peer } => self.greet(&peer),
            Event::Found { peer, address } => {
                self.found(Kind::Mdns);
                let named = Named { address: address.with_peer(&peer), said_at: now() };
                let now = Instant::now();
                self.book.add(Kind::Mdns, &named, now + limits::MDNS_LIFE, now);
            }
            Event::Lost { peer, address } => {
                self.book.remove(Kind::Mdns, &address.with_peer(&peer), Instant::now());
            }
            Event::InfrastructureUp { peer, .. } => {
                info!(%peer, "a public node answers; it is no member, and knows none");
                let state = self.kinds.entry(Kind::PublicBootstrap).or_default();
                (state.worked_at, state.trouble) = (Some(now()), None);
                if !self.connected().is_empty() {
                    self.drop_public_nodes();
                }
            }
            Event::LookedUp { record } => self.on_looked_up(&record),
            Event::AddressGiven => self.publishing.given(Instant::now(), rand::random_range(0.75..1.25)),
            Event::Disconnected { peer, why } => {
                info!(%peer, why, "a peer is gone");
                let soon = Instant::now() + limits::LONELY_DIAL_MIN;
                self.next_lonely = soon;
                self.book.gone(&peer, self.connected().is_empty(), soon);
            }
            Event::DialFailed { address, peer, why } => {
                let text = self.reasons.name("dialling", address.as_ref(), peer.as_ref(), &why);
                if let (Some(address), Refusal::WrongPeer { found }) = (&address, &why) {
                    self.book.answered_by(address, found, Instant::now());
                }
                if let Some(text) = text.as_ref().filter(|_| self.is_public(address.as_ref())) {
                    self.kinds.entry(Kind::PublicBootstrap).or_default().trouble = Some(text.clone());
                }
                let is_own = why == Refusal::Gate(GateError::SelfDial);
                let place = address.map_or_else(|| "a peer".to_owned(), |address| address.to_string());
                self.failed(place, if is_own { Some(OWN_ADDRESS.to_owned()) } else { text });
            }
            Event::Refused { address, why } => {
                let text = self.reasons.name("refused", Some(&address), None, &why);
                let place = address.ip().map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
                self.failed(format!("{INBOUND} {place}"), text);
            }
            _ => {}
        }
    }

    /// Members say that they are there: where they may be reached through a relay goes into the book.
    fn on_heard(&mut self) {
        let peers = self.around.net.peers();
        let relays = peers.iter().filter_map(|info| Some((info.peer.clone(), info.relays_at.clone()?)));
        let is_on = self.kinds.get(&Kind::Circuits).is_some_and(|state| state.running);
        let now = Instant::now();
        let places = {
            let heard = self.around.heard.borrow_and_update();
            let scene = Scene {
                me: self.around.net.me(),
                heard: heard.iter().map(|heard| &heard.peer).collect(),
                connected: peers.iter().map(|info| info.peer.clone()).collect(),
                relays: relays.filter(|_| is_on).collect(),
            };
            circuits::places(&scene, now)
        };
        for (address, at) in places {
            self.found(Kind::Circuits);
            let named = Named { address, said_at: Millis::ZERO };
            self.book.add(Kind::Circuits, &named, now + limits::CIRCUIT_LIFE, at);
        }
        let connected = peers.iter().map(|info| info.peer.clone()).collect();
        self.use_kademlia(&connected);
        self.give_up(peers);
    }

    /// Lets neighbours go that are too many.
    fn give_up(&self, peers: Vec<PeerInfo>) {
        if peers.len() <= limits::NEIGHBOURS_MAX {
            return;
        }
        let mut anchors = self.anchors();
        // What holds a place for this node is worth as much.
        anchors.extend(self.around.net.reach().circuits.into_iter().map(|circuit| circuit.relay));
        let connected = peers.into_iter().map(|info| (info.peer, info.address)).collect();
        for peer in self.book.superfluous(connected, &anchors) {
            self.around.net.drop_peer(&peer, "there are others enough");
        }
    }

    /// Members that say that they are anchors.
    fn anchors(&self) -> BTreeSet<Peer> {
        let heard = self.around.heard.borrow();
        let heard = heard.iter().filter(|heard| heard.role == Role::Anchor).map(|heard| &heard.peer);
        heard.chain(self.exchange.anchors()).cloned().collect()
    }

    fn failed(&self, place: String, why: Option<String>) {
        if let Some(why) = why {
            self.around.known.lock().expect("no panic while held").note_failure(place, why, now());
        }
    }

    /// Dials whoever is due and not connected; returns how many.
    fn dial(&mut self) -> usize {
        let connected = self.connected();
        let anchors = if self.book.is_large() { self.anchors() } else { BTreeSet::new() };
        self.book.choose(&anchors, &connected, Instant::now());
        let due = self.book.due(&connected, limits::DIALS_MAX, || rand::random_range(0.75..1.0), Instant::now());
        let due: Vec<Address> = due.into_iter().filter(Address::is_dialable_now).collect();
        due.iter().for_each(|address| self.around.net.dial(address.clone()));
        due.len()
    }

    fn connected(&self) -> BTreeSet<Peer> {
        self.around.net.members()
    }

    fn tell_status(&mut self) {
        for (kind, state) in &mut self.kinds {
            state.addresses = self.book.of_kind(*kind);
        }
        let mut known = self.around.known.lock().expect("no panic while held");
        if let Some(mdns) = self.kinds.get_mut(&Kind::Mdns).filter(|state| state.configured) {
            mdns.trouble = known.lacks_ipv4().then(|| "it goes by IPv4 only, and this machine has none".to_owned());
        }
        (known.addresses, known.dialled) = (self.book.len(), self.book.dialled());
        known.discovered = self.book.peers().len();
        known.kinds.clone_from(&self.kinds);
        known.exchange_last = self.exchange.last();
        known.exchange_by_peer = self.exchange.last_by_peer().map(|(peer, at)| (peer.clone(), at)).collect();
    }
}
