//! What others say of where they are, kind by kind, into the book.

use std::{collections::BTreeSet, sync::Arc};

use discovery::is_told;
use futures::future::join_all;
use net::Address;
use tokio::time::Instant;
use tracing::{debug, warn};
use wire::{Exchange, Millis, Peer, SignedPeer};

use super::{
    Dialler, Kind,
    book::Named,
    public::Step,
    resolve::{self, Resolve, System},
};
use crate::{cache::now, limits};

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
            (Kind::Kademlia, discovery.kademlia),
            (Kind::PublicBootstrap, !discovery.public.is_empty()),
            (Kind::Circuits, self.around.relay_client),
        ];
        for (kind, configured) in is_configured {
            let state = self.kinds.entry(kind).or_default();
            (state.configured, state.running) = (configured, configured);
        }
        for (kind, why) in &discovery.not_started {
            let state = self.kinds.entry(*kind).or_default();
            (state.configured, state.trouble) = (true, Some(why.clone()));
        }
    }

    /// Asks every kind that is asked.
    pub(super) async fn discover(&mut self) {
        self.read_registry();
        if !self.around.known.lock().expect("no panic while held").has_looked {
            // Whoever has an address of numbers is not waited for.
            let numbers = self.config.bootstrap.iter().filter(|address| address.ip().is_some()).cloned();
            self.set(Kind::Static, numbers.map(unsaid).collect());
            self.dial();
        }
        self.read_directories().await;
        if Instant::now() >= self.next_dns || self.book.len() == 0 {
            self.next_dns = Instant::now() + limits::DNS_INTERVAL;
            self.resolve_names().await;
        }
        self.around.known.lock().expect("no panic while held").has_looked = true;
    }

    /// Reads the directories. Of several places of one peer only the latest can still be it.
    async fn read_directories(&mut self) {
        let mut records = Vec::new();
        for folder in &self.folders {
            let trouble = match folder.ask(&self.around.tasks, |folder| folder.discover(now())).await {
                Ok(Ok(found)) => {
                    for skipped in &found.skipped {
                        debug!(%skipped, "a record in the peer directory is left out");
                    }
                    records.extend(found.peers);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(silent) => silent.to_string(),
            };
            warn!(trouble, "cannot read the peer directory");
            self.kinds.entry(Kind::File).or_default().trouble = Some(trouble);
            return;
        }
        records.sort_by_key(|record| std::cmp::Reverse(record.last_seen));
        let mut peers = BTreeSet::new();
        let mut found = Vec::new();
        for record in records.into_iter().take(limits::KNOWN_ADDRESSES_MAX) {
            let Ok(address) = record.multiaddr.parse::<Address>() else { continue };
            let peer = Peer::new(record.peer_id);
            if peers.insert(peer.clone()) {
                found.push(Named { address: address.with_peer(&peer), said_at: record.last_seen });
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

    pub(super) async fn resolve_names(&mut self) {
        let resolver = self.resolver();
        let mut named = Vec::new();
        let mut troubles: Vec<String> =
            self.config.discovery.not_started.get(&Kind::Static).cloned().into_iter().collect();
        // All at once: a name server that is gone costs one waiting, not one for each name.
        let answers = self.config.bootstrap.iter().map(|address| resolve::resolve(resolver.clone(), address.clone()));
        let answers = join_all(answers).await;
        for (address, answer) in self.config.bootstrap.iter().zip(answers) {
            match answer {
                Ok(found) => named.extend(found.into_iter().map(unsaid)),
                Err(why) => {
                    warn!(%address, why, "the name of a bootstrap peer does not resolve");
                    troubles.push(format!("{address}: {why}"));
                }
            }
        }
        self.kinds.entry(Kind::Static).or_default().trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
        self.set(Kind::Static, named);
        if let Some((name, port)) = self.config.discovery.service.clone() {
            match resolve::service(&*resolver, &name, port).await {
                Ok(found) => {
                    self.kinds.entry(Kind::Dns).or_default().trouble = None;
                    self.set(Kind::Dns, found.into_iter().map(unsaid).collect());
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
            for named in addresses(record) {
                self.found(Kind::Exchange);
                self.book.add(Kind::Exchange, &named, until, Instant::now());
            }
        }
        answer.into_iter().for_each(|answer| self.say(from, answer));
    }

    /// Another member's own word, that members keep for it.
    pub(super) fn on_looked_up(&mut self, record: &SignedPeer) {
        if !self.config.discovery.kademlia || !record.is_current(now()) {
            return;
        }
        let until = Instant::now() + record.expires_at.since(now());
        for named in addresses(record) {
            self.found(Kind::Kademlia);
            self.book.add(Kind::Kademlia, &named, until, Instant::now());
        }
    }

    /// Asks for those who are heard of and not known where, and has this node's own word kept.
    pub(super) fn use_kademlia(&mut self, connected: &BTreeSet<Peer>) {
        if !self.config.discovery.kademlia || connected.is_empty() {
            return;
        }
        let instant = Instant::now();
        if self.publishing.is_due(instant) {
            self.renew_own_record();
            self.publishing.begun(instant, rand::random_range(0.75..1.25));
            if let Some(own) = self.exchange.own() {
                self.around.net.publish_address(own);
            }
        }
        if connected.len() >= limits::NEIGHBOURS_WANTED {
            return;
        }
        let (known, me) = (self.book.peers(), self.around.net.me());
        let heard = self.around.heard.borrow().clone().into_iter().map(|heard| heard.peer);
        let missed: Vec<Peer> =
            heard.filter(|peer| peer != me && !connected.contains(peer) && !known.contains(peer)).collect();
        for peer in self.lookups.next(&missed, instant) {
            self.around.net.look_up(&peer);
        }
    }

    /// Goes to public nodes where there is nobody else, if that is wanted.
    pub(super) async fn use_public_nodes(&mut self) {
        let is_alone = self.connected().is_empty() && self.book.len() == 0;
        match self.public.next(is_alone, Instant::now()) {
            Step::Nothing => return,
            Step::Leave => return self.drop_public_nodes(),
            Step::Dial => {}
        }
        warn!("no other machine is known: going to public nodes, which know none either");
        let nodes = self.public.nodes().to_vec();
        let answers = join_all(nodes.into_iter().map(|node| resolve::resolve(self.resolver(), node))).await;
        let mut places = Vec::new();
        for answer in answers {
            match answer {
                Ok(found) => places.extend(found),
                Err(why) => self.kinds.entry(Kind::PublicBootstrap).or_default().trouble = Some(why),
            }
        }
        places.retain(|place| place.is_dialable_now() && !place.is_relayed() && self.is_public(Some(place)));
        if !places.is_empty() {
            self.found(Kind::PublicBootstrap);
        }
        places.iter().take(limits::PUBLIC_DIALS_MAX).for_each(|place| self.around.net.dial(place.clone()));
    }

    /// Somebody of our own is there.
    pub(super) fn leave_public_nodes(&mut self) {
        if self.public.next(false, Instant::now()) == Step::Leave {
            self.drop_public_nodes();
        }
    }

    pub(super) fn drop_public_nodes(&self) {
        for node in self.around.net.infrastructure() {
            self.around.net.drop_peer(&node.peer, "there are members");
        }
    }

    /// Whether one of the public nodes must answer there.
    pub(super) fn is_public(&self, place: Option<&Address>) -> bool {
        let peer = place.and_then(Address::peer);
        peer.is_some() && self.public.nodes().iter().any(|node| node.peer() == peer)
    }

    fn resolver(&self) -> Arc<dyn Resolve> {
        let configured = self.config.discovery.resolver.clone();
        configured.unwrap_or_else(|| Arc::new(System(self.around.tasks.clone())))
    }

    /// A kind that is asked names all of these now.
    fn set(&mut self, kind: Kind, found: Vec<Named>) {
        let me = self.around.net.me();
        if found.iter().any(|named| named.address.peer().as_ref() != Some(me)) {
            self.found(kind);
        }
        self.book.set(kind, found, || rand::random_range(0.0..1.0), Instant::now());
    }

    pub(super) fn found(&mut self, kind: Kind) {
        self.kinds.entry(kind).or_default().found_at = Some(now());
    }
}

/// What can be dialled of a signed record. Each must be answered by the peer that signed it.
fn addresses(record: &SignedPeer) -> impl Iterator<Item = Named> {
    let parsed = record.addresses.iter().filter_map(|address| address.parse::<Address>().ok());
    // A name would let a member make others ask for it.
    let definite =
        parsed.filter(|address| address.ip().is_some_and(|ip| ip.is_loopback() || is_told(&address.to_string())));
    definite.map(|address| Named { address: address.with_peer(&record.peer), said_at: record.issued_at })
}

fn unsaid(address: Address) -> Named {
    Named { address, said_at: Millis::ZERO }
}
