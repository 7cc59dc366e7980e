//! The task that owns the core: inputs and the network's events in, effects out.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use fleet::{Fleet, Input};
use net::{Event, EventStream, Verdict};
use store::EntryKey;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use wire::{Holding, Message, Millis, Peer};

use super::{
    Sharing, Sizes,
    carry::{self, Carrier},
    memories::{Kept, Memories, Page},
    roster,
    shelf::Job,
};
use crate::{cache::now, dialler::Told, limits};

/// The task that owns the core.
pub(super) struct Running {
    pub sharing: Arc<Sharing>,
    pub fleet: Fleet,
    /// Comings and goings, for whoever dials.
    pub told: mpsc::Sender<Told>,
    /// The shelf has been told that a neighbour has told all that was missing.
    pub has_caught_up: bool,
    pub questions: roster::Questions,
}

impl Running {
    pub async fn run(mut self, mut queue: mpsc::Receiver<Input>, mut events: Option<EventStream>) {
        let mut memories = Memories::new(&self.sharing);
        // The newest first of all; the others meanwhile. A disk that hangs is a disk without records.
        match tokio::time::timeout(limits::DISK_PATIENCE, memories.next()).await {
            Ok(page) => self.remember(page),
            Err(_) => warn!("the disk is slow; starting before the fleet's records are read"),
        }
        self.tell_sizes();
        let mut counted_at = Millis::ZERO;
        loop {
            if now().since(counted_at) >= limits::COUNT_INTERVAL {
                counted_at = now();
                self.fleet.handle(self.sharing.counters.for_the_fleet(), counted_at);
            }
            let until = self.fleet.next_deadline().map_or(Duration::from_secs(60), |at| at.since(now()));
            tokio::select! {
                biased;
                input = queue.recv() => match input {
                    Some(input) => self.fleet.handle(input, now()),
                    None => return,
                },
                event = next(&mut events) => match event {
                    Some(event) => self.on_event(event),
                    None => return,
                },
                Some(question) = self.questions.recv() => {
                    let _ = question.send(self.fleet.members().collect());
                }
                page = memories.next(), if !memories.are_told() => self.remember(page),
                () = tokio::time::sleep(until) => self.fleet.wake(now()),
            }
            if self.sharing.doubt_all.swap(false, Ordering::Relaxed) {
                // All that peers told is doubted here, and the others learn what was buried.
                self.fleet.handle(Input::Doubted { date_secs: now().as_secs() }, now());
                self.fleet.handle(Input::Buried { tombstones: self.sharing.keeper.graves.all() }, now());
            }
            self.carry_out();
            if !self.has_caught_up && self.fleet.has_caught_up() {
                self.has_caught_up = true;
                self.sharing.shelve(Job::CaughtUp);
            }
            self.tell_sizes();
        }
    }

    fn tell_sizes(&self) {
        let (kept, led) = self.fleet.leases_len();
        let sizes = Sizes { index: self.fleet.index_len(), leases: kept + led, members: self.fleet.members_len() };
        self.sharing.sizes.send_if_modified(|told| std::mem::replace(told, sizes) != sizes);
    }

    /// Takes up what the store holds of the fleet's answers, so that a restarted node is useful at once.
    fn remember(&mut self, page: Page) {
        for Kept { at: EntryKey { scope, key }, stored, body_held } in page {
            let holding = Holding { record: stored.record, tag: stored.tag };
            self.fleet.handle(Input::Remembered { key, scope, holding, body_held }, now());
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected { ref peer, ref address, .. } => {
                // Of a circuit it would be the relay's.
                let near = !address.is_relayed() && address.ip().is_some_and(|ip| is_near(&ip));
                self.fleet.handle(Input::PeerConnected { peer: peer.clone(), near }, now());
            }
            Event::Ready { ref peer } => {
                // What it is told of this node is of now.
                self.fleet.handle(self.sharing.counters.for_the_fleet(), now());
                self.fleet.handle(Input::PeerReady { peer: peer.clone() }, now());
            }
            Event::Disconnected { ref peer, .. } => {
                self.sharing.roster.gone(peer);
                self.fleet.handle(Input::PeerGone { peer: peer.clone() }, now());
            }
            Event::Rtt { ref peer, rtt } => {
                let millis = u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX);
                self.fleet.handle(Input::RoundTrip { peer: peer.clone(), millis }, now());
            }
            Event::Gossip { source, data, id } => {
                let verdict = self.heard(source, &data, false);
                self.sharing.net.iter().for_each(|net| net.report(&id, verdict));
                return;
            }
            Event::Message { from, data } => {
                self.heard(from, &data, true);
                return;
            }
            Event::Pull { from, request, reply } => return self.sharing.clone().serve_pull(from, request, reply),
            _ => {}
        }
        // The dialler falls behind rather than the fleet.
        let _ = self.told.try_send(Told::Event(Box::new(event)));
    }

    /// Reads an announce. A member that says nonsense is named; what it said is not passed on.
    fn heard(&mut self, from: Peer, sealed: &[u8], is_direct: bool) -> Verdict {
        let carrier = Carrier::new(&self.sharing.keys);
        match carrier.open(sealed) {
            Ok(Message::Exchange(exchange)) => {
                // Of a neighbour alone, and lost rather than that the fleet waits.
                if is_direct {
                    let _ = self.told.try_send(Told::Exchange { from, exchange });
                }
                Verdict::Ignore
            }
            Ok(message) => {
                if let Message::Announce(records) = &message {
                    self.sharing.counters.entries_received.many(records.len());
                    debug!(%from, records = records.len(), "heard an announce");
                }
                self.fleet.handle(Input::Heard { from, message }, now());
                Verdict::Accept
            }
            Err(carry::BadMessage::Decode(error)) if carry::is_from_another_version(&error) => Verdict::Ignore,
            Err(carry::BadMessage::OtherSealing { there }) => {
                if self.sharing.roster.differs(&from) {
                    let here = if there { "off" } else { "on" };
                    let there = if there { "on" } else { "off" };
                    warn!(%from, "sealing is {there} there and {here} here: nothing is shared; set `seal` alike on all machines");
                }
                Verdict::Ignore
            }
            Err(error) => {
                self.sharing.counters.messages_bad.one();
                info!(%from, %error, "a member sent a message that makes no sense");
                Verdict::Reject
            }
        }
    }
}

/// The next event of the network, if there is one.
async fn next(events: &mut Option<EventStream>) -> Option<Event> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// Whether an address is of this machine or a private network: then a short wait is enough.
pub(crate) fn is_near(ip: &std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
