//! Whom to connect to: configured addresses and found ones, now and again.

mod reasons;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex},
    time::Duration,
};

use discovery::{Announced, Directory, PeerRecord};
use net::{Address, Event, Net};
use task::Tasks;
use tokio::{sync::mpsc, time::Instant};
use tracing::{debug, info, warn};
use wire::Peer;

use crate::{cache::now, limits};
use reasons::Reasons;

pub struct DiallerConfig {
    pub bootstrap: Vec<Address>,
    pub directories: Vec<Arc<dyn Directory>>,
    pub runner_name: String,
    /// How others reach this node, where the operator knows it.
    pub external: Option<External>,
    /// Advertise loopback only (`Some(true)`), never (`Some(false)`), or where there is nothing else.
    pub force_localhost: Option<bool>,
}

#[derive(Clone, Debug)]
pub enum External {
    Ip(IpAddr),
    Address(Address),
}

/// What the dialler knows, for the status page.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub listening: Vec<Address>,
    /// Where this node says that it is.
    pub advertised: Option<Address>,
    /// What the directories hold of it, to be taken back in the end.
    pub announced: Option<PeerRecord>,
    /// Peers found in directories, this node not counted.
    pub discovered: BTreeMap<Peer, Address>,
    pub bootstrap: usize,
    /// Whether the directories have been read at all.
    pub has_looked: bool,
    /// Why connections failed lately, by place.
    pub failures: BTreeMap<String, String>,
}

/// Keeps this node connected.
pub struct Dialler {
    config: DiallerConfig,
    net: Net,
    tasks: Tasks,
    known: Arc<Mutex<Known>>,
    reasons: Reasons,
    lonely_pause: Duration,
    dial_rounds: usize,
    next_lonely: Instant,
    next_refresh: Instant,
    next_heartbeat: Instant,
}

impl Dialler {
    pub fn new(config: DiallerConfig, net: Net, tasks: Tasks, known: Arc<Mutex<Known>>) -> Self {
        known.lock().expect("no panic while held").bootstrap = config.bootstrap.len();
        let now = Instant::now();
        Self {
            config,
            net,
            tasks,
            known,
            reasons: Reasons::default(),
            lonely_pause: limits::LONELY_DIAL_MIN,
            dial_rounds: 0,
            next_lonely: now,
            next_refresh: now + limits::REFRESH_INTERVAL,
            next_heartbeat: now,
        }
    }

    pub async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            let is_lonely = self.net.peers().is_empty();
            let next =
                [self.next_refresh, self.next_heartbeat].into_iter().chain(is_lonely.then_some(self.next_lonely));
            let next = next.min().expect("there are at least two");
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => self.on_event(event).await,
                    None => return,
                },
                () = tokio::time::sleep_until(next) => self.on_time().await,
            }
        }
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        if now >= self.next_refresh {
            self.next_refresh = now + limits::REFRESH_INTERVAL;
            info!("Refreshing bootstrap peer connections...");
            self.discover().await;
            let dialled = self.dial().await;
            info!("✓ Refreshed {dialled} bootstrap connection(s)");
        } else if now >= self.next_heartbeat {
            self.next_heartbeat = now + limits::HEARTBEAT_INTERVAL;
            self.announce().await;
            self.discover().await;
            self.dial().await;
        } else if now >= self.next_lonely {
            self.lonely_pause = (2 * self.lonely_pause).min(limits::LONELY_DIAL_MAX);
            // Some jitter, so that a fleet that starts together does not dial together.
            self.next_lonely = now + self.lonely_pause.mul_f64(rand::random_range(0.75..1.25));
            self.discover().await;
            self.dial().await;
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Listening { address } => {
                info!(%address, "listening for members");
                {
                    let mut known = self.known.lock().expect("no panic while held");
                    known.listening.push(address);
                    // What most others can dial comes first: it is what a directory has room for.
                    let rank = |address: &Address| (address.carrier(), address.ip().is_some_and(|ip| ip.is_ipv6()));
                    known.listening.sort_by_key(rank);
                }
                self.announce().await;
            }
            Event::ListenFailed { address, why } => warn!(%address, why, "cannot listen for members"),
            Event::Connected { .. } => self.lonely_pause = limits::LONELY_DIAL_MIN,
            Event::Disconnected { peer, why } => {
                info!(%peer, why, "a peer is gone");
                self.next_lonely = Instant::now() + limits::LONELY_DIAL_MIN;
            }
            Event::DialFailed { address, peer, why } => {
                let text = self.reasons.name("dialling", address.as_ref(), peer.as_ref(), &why);
                self.failed(address.map_or_else(|| "a peer".to_owned(), |address| address.to_string()), text);
            }
            Event::Refused { address, why } => {
                let text = self.reasons.name("refused", Some(&address), None, &why);
                let place = address.ip().map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
                self.failed(format!("a connection from {place}"), text);
            }
            _ => {}
        }
    }

    fn failed(&self, place: String, why: Option<String>) {
        let mut known = self.known.lock().expect("no panic while held");
        if known.failures.len() >= limits::FAILURES_MAX {
            known.failures.clear();
        }
        known.failures.extend(why.map(|why| (place, why)));
    }

    /// Tells the directories where this node is.
    async fn announce(&self) {
        let Some(address) = self.advertised() else { return };
        self.known.lock().expect("no panic while held").advertised = Some(address.with_peer(self.net.me()));
        let port = address.port().unwrap_or_default();
        let mut record = PeerRecord::new(
            self.net.me().as_str(),
            self.config.runner_name.clone(),
            port,
            address.with_peer(self.net.me()).to_string(),
        );
        record.public_ip = match &self.config.external {
            Some(External::Ip(ip)) => Some(*ip),
            _ => None,
        };
        self.known.lock().expect("no panic while held").announced = Some(record.clone());
        for directory in &self.config.directories {
            let (directory, record) = (directory.clone(), record.clone());
            match self.tasks.block(move || directory.announce(&record, now())).await {
                Some(Ok(Announced::Clash { other })) => warn!(
                    runner_name = self.config.runner_name,
                    other, "another live peer uses this RUNNER_NAME; give each machine its own"
                ),
                Some(Ok(_)) | None => {}
                Some(Err(error)) => warn!(%error, "cannot announce this node in the peer directory"),
            }
        }
    }

    /// The one address that a directory's record has room for.
    fn advertised(&self) -> Option<Address> {
        let listening = self.known.lock().expect("no panic while held").listening.clone();
        let is_loopback = |address: &&Address| address.ip().is_some_and(|ip| ip.is_loopback());
        let first = listening.first()?;
        if self.config.force_localhost == Some(true) {
            let loopback = listening.iter().find(is_loopback).cloned();
            return loopback.or_else(|| format!("/ip4/127.0.0.1/tcp/{}", first.port()?).parse().ok());
        }
        match &self.config.external {
            Some(External::Address(address)) => return Some(address.clone()),
            Some(External::Ip(ip)) => {
                let kind = if ip.is_ipv4() { "ip4" } else { "ip6" };
                return format!("/{kind}/{ip}/tcp/{}", first.port()?).parse().ok();
            }
            None => {}
        }
        let outside = listening.iter().find(|address| !is_loopback(address));
        match self.config.force_localhost {
            Some(false) => outside.cloned(),
            _ => Some(outside.unwrap_or(first).clone()),
        }
    }

    /// Reads the directories. Of several peers at one place only the latest can still be there.
    async fn discover(&self) {
        let mut records = Vec::new();
        for directory in &self.config.directories {
            let directory = directory.clone();
            match self.tasks.block(move || directory.discover(now())).await {
                Some(Ok(found)) => {
                    for skipped in &found.skipped {
                        debug!(%skipped, "a record in the peer directory is left out");
                    }
                    records.extend(found.peers);
                }
                Some(Err(error)) => return warn!(%error, "cannot read the peer directory"),
                None => return,
            }
        }
        records.sort_by_key(|record| std::cmp::Reverse(record.last_seen));
        let mut places = BTreeSet::new();
        let mut discovered = BTreeMap::new();
        for record in records.into_iter().take(limits::KNOWN_ADDRESSES_MAX) {
            let Ok(address) = record.multiaddr.parse::<Address>() else { continue };
            let peer = Peer::new(record.peer_id);
            if places.insert(address.without_peer()) && peer != *self.net.me() {
                discovered.entry(peer).or_insert(address);
            }
        }
        let mut known = self.known.lock().expect("no panic while held");
        known.discovered = discovered;
        known.has_looked = true;
    }

    /// Dials whoever is known and not connected; returns how many.
    async fn dial(&mut self) -> usize {
        let connected: BTreeSet<Peer> = self.net.peers().into_iter().map(|info| info.peer).collect();
        let mut found: Vec<Address> = {
            let known = self.known.lock().expect("no panic while held");
            let discovered = known.discovered.iter().filter(|(peer, _)| !connected.contains(peer));
            discovered.map(|(peer, address)| address.with_peer(peer)).collect()
        };
        // Another start each time, so that dead peers do not keep living ones from being dialled.
        self.dial_rounds += 1;
        let start = (self.dial_rounds * limits::DIALS_MAX) % found.len().max(1);
        found.rotate_left(start);
        let is_open = |address: &&Address| address.peer().is_none_or(|peer| !connected.contains(&peer));
        let bootstrap = self.config.bootstrap.iter().filter(is_open).cloned();
        let mut dialled = 0;
        for address in bootstrap.chain(found).take(limits::DIALS_MAX) {
            for address in self.resolve(address).await {
                if address.is_dialable_now() && address.peer().as_ref() != Some(self.net.me()) {
                    self.net.dial(address);
                    dialled += 1;
                }
            }
        }
        dialled
    }

    async fn resolve(&self, address: Address) -> Vec<Address> {
        let (Some(name), Some(port)) = (address.dns_name(), address.port()) else { return vec![address] };
        let lookup = self.tasks.block(move || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        match tokio::time::timeout(limits::RESOLVE_TIMEOUT, lookup).await {
            Ok(Some(Ok(found))) => found.into_iter().map(|found| address.resolved(found.ip())).collect(),
            _ => {
                warn!(%address, "the name of a bootstrap peer does not resolve");
                Vec::new()
            }
        }
    }
}
