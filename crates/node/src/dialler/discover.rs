//! What others say of where they are, kind by kind, into the book.

use std::{
    collections::BTreeSet,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use net::Address;
use task::Tasks;
use tokio::time::Instant;
use tracing::{debug, warn};
use wire::{Exchange, Peer, SignedPeer};

use super::{Dialler, Kind, Resolve, resolve};
use crate::{cache::now, limits};

/// Names as the operating system knows them; text records it does not tell.
struct System(Tasks);

impl Resolve for System {
    fn addresses(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        let lookup = self.0.block(move || (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
        async {
            match lookup.await {
                Some(Ok(found)) => Ok(found.into_iter().map(|found| found.ip()).collect()),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("this machine goes down".to_owned()),
            }
        }
        .boxed()
    }

    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
        async move { Err(format!("the text records of {name} cannot be read here")) }.boxed()
    }
}

impl Dialler {
    /// What is configured and what runs, before anything has happened.
    pub(super) fn note_kinds(&mut self) {
        let discovery = &self.config.discovery;
        let is_configured = [
            (Kind::Static, !self.config.bootstrap.is_empty()),
            (Kind::Dns, discovery.service.is_some()),
            (Kind::File, !self.config.directories.is_empty()),
            (Kind::Issue, self.around.registry.is_some()),
            (Kind::Mdns, discovery.mdns),
            (Kind::Exchange, discovery.exchange),
        ];
        for (kind, configured) in is_configured {
            let state = self.kinds.entry(kind).or_default();
            (state.configured, state.running) = (configured, configured);
        }
    }

    /// Asks every kind that is asked.
    pub(super) async fn discover(&mut self) {
        self.read_directories().await;
        self.read_registry();
        if Instant::now() >= self.next_dns || self.book.len() == 0 {
            self.next_dns = Instant::now() + limits::DNS_INTERVAL;
            self.resolve_names().await;
        }
        self.around.known.lock().expect("no panic while held").has_looked = true;
    }

    /// Reads the directories. Of several peers at one place only the latest can still be there.
    async fn read_directories(&mut self) {
        let mut records = Vec::new();
        for directory in &self.config.directories {
            let directory = directory.clone();
            match self.around.tasks.block(move || directory.discover(now())).await {
                Some(Ok(found)) => {
                    for skipped in &found.skipped {
                        debug!(%skipped, "a record in the peer directory is left out");
                    }
                    records.extend(found.peers);
                }
                Some(Err(error)) => {
                    self.kinds.entry(Kind::File).or_default().trouble = Some(error.to_string());
                    return warn!(%error, "cannot read the peer directory");
                }
                None => return,
            }
        }
        records.sort_by_key(|record| std::cmp::Reverse(record.last_seen));
        let (mut places, mut peers) = (BTreeSet::new(), BTreeSet::new());
        let mut found = Vec::new();
        for record in records.into_iter().take(limits::KNOWN_ADDRESSES_MAX) {
            let Ok(address) = record.multiaddr.parse::<Address>() else { continue };
            let peer = Peer::new(record.peer_id);
            if places.insert(address.without_peer()) && peers.insert(peer.clone()) {
                found.push(address.with_peer(&peer));
            }
        }
        self.set(Kind::File, found);
    }

    /// What the registry in the issue holds; it is read by a task of its own.
    pub(super) fn read_registry(&mut self) {
        let Some(registry) = self.around.registry.clone() else { return };
        let (found, status) = {
            let registry = registry.lock().expect("no panic while held");
            (registry.found(now()), registry.status(now()))
        };
        self.kinds.entry(Kind::Issue).or_default().trouble = status.trouble;
        self.set(Kind::Issue, found.iter().flat_map(addresses).collect());
    }

    async fn resolve_names(&mut self) {
        let resolver = self.config.discovery.resolver.clone();
        let resolver = resolver.unwrap_or_else(|| Arc::new(System(self.around.tasks.clone())));
        let mut named = Vec::new();
        self.kinds.entry(Kind::Static).or_default().trouble = None;
        for address in self.config.bootstrap.clone() {
            match resolve::resolve(resolver.clone(), address.clone()).await {
                Ok(found) => named.extend(found),
                Err(why) => {
                    warn!(%address, why, "the name of a bootstrap peer does not resolve");
                    self.kinds.entry(Kind::Static).or_default().trouble = Some(format!("{address}: {why}"));
                }
            }
        }
        self.set(Kind::Static, named);
        if let Some((name, port)) = self.config.discovery.service.clone() {
            match resolve::service(&*resolver, &name, port).await {
                Ok(found) => {
                    self.kinds.entry(Kind::Dns).or_default().trouble = None;
                    self.set(Kind::Dns, found);
                }
                Err(why) => {
                    debug!(name, why, "the service name does not resolve");
                    self.kinds.entry(Kind::Dns).or_default().trouble = Some(format!("{name}: {why}"));
                }
            }
        }
    }

    /// A neighbour says where machines are.
    pub(super) fn on_exchange(&mut self, from: &Peer, exchange: Exchange) {
        if !self.config.discovery.exchange {
            return;
        }
        let signatures = self.around.signatures.clone();
        let is_signed =
            |record: &SignedPeer| signatures.verify(&record.peer, &record.signed_bytes(), &record.signature);
        let (taken, answer) = self.exchange.hear(from, exchange, is_signed, now());
        for record in &taken {
            let until = Instant::now() + record.expires_at.since(now());
            for address in addresses(record) {
                self.found(Kind::Exchange);
                self.book.add(Kind::Exchange, &address, until, Instant::now());
            }
        }
        answer.into_iter().for_each(|answer| self.say(from, answer));
    }

    /// A kind that is asked names all of these now.
    fn set(&mut self, kind: Kind, found: Vec<Address>) {
        let me = self.around.net.me();
        if found.iter().any(|address| address.peer().as_ref() != Some(me)) {
            self.found(kind);
        }
        self.book.set(kind, found, || rand::random_range(0.0..1.0), Instant::now());
    }

    pub(super) fn found(&mut self, kind: Kind) {
        self.kinds.entry(kind).or_default().found_at = Some(now());
    }
}

/// What can be dialled of a signed record. Each must be answered by the peer that signed it.
fn addresses(record: &SignedPeer) -> impl Iterator<Item = Address> {
    let parsed = record.addresses.iter().filter_map(|address| address.parse::<Address>().ok());
    // A name would let a member make others ask for it.
    let definite = parsed.filter(|address| address.ip().is_some());
    definite.map(|address| address.with_peer(&record.peer))
}
