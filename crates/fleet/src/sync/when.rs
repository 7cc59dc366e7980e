//! When a node begins a session, and with whom.

use std::{collections::BTreeMap, time::Duration};

use wire::{Millis, Peer, Role};

use super::{Out, Sync, View};
use crate::{
    asks::PeerState,
    limits,
    spread::{jittered, turn_of},
};

impl Sync {
    pub(super) fn begin_if_due(&mut self, view: View, out: &mut Out) {
        if self.begins_at(view.peers).is_none_or(|at| at > view.now) {
            return;
        }
        if let Some(peer) = self.choose(view) {
            self.begin(peer, view, out);
        }
    }

    /// When the next session is due; `None` while there is nobody, or no room for one.
    pub(super) fn begins_at(&self, peers: &BTreeMap<Peer, PeerState>) -> Option<Millis> {
        if self.begun.is_some() || self.served.len() >= limits::SYNC_SESSIONS_MAX || peers.is_empty() {
            return None;
        }
        // A snapshot that was cut off goes on with the next neighbour at once.
        if self.is_cut_off() && peers.keys().any(|peer| self.failed.as_ref() != Some(peer)) {
            return Some(Millis::ZERO);
        }
        let welcome = (!self.newcomers.is_empty())
            .then(|| self.begun_at.map_or(Millis::ZERO, |at| at.after(limits::SYNC_START_INTERVAL)));
        welcome.into_iter().chain(self.next_at).min()
    }

    fn is_cut_off(&self) -> bool {
        self.moves_on && matches!(self.snapshot, Some(Some(_)))
    }

    fn choose(&mut self, view: View) -> Option<Peer> {
        if !self.is_cut_off()
            && let Some(newcomer) = self.newcomers.pop_first()
        {
            return Some(newcomer);
        }
        self.moves_on = false;
        let failed = self.failed.take();
        let mut peers: Vec<&Peer> = view.peers.keys().filter(|peer| !self.served.contains_key(*peer)).collect();
        if peers.len() > 1 {
            peers.retain(|peer| failed.as_ref() != Some(*peer));
        }
        let chosen = turn_of(&self.me, self.count) % u64::try_from(peers.len().max(1)).unwrap_or(1);
        let chosen = peers.get(usize::try_from(chosen).unwrap_or_default()).map(|peer| (*peer).clone());
        if chosen.is_none() {
            // Its only neighbours are comparing with this node at the moment.
            self.next_at = Some(view.now.after(limits::SYNC_START_INTERVAL));
        }
        chosen
    }

    /// The session that this node began has done what it was for.
    pub(super) fn succeed(&mut self, view: View) {
        self.begun = None;
        self.failed = None;
        self.synced(view.now);
        self.next_at = self.period(view.members).map(|period| view.now.after(period));
    }

    /// The session that this node began has come to nothing: another neighbour is asked soon.
    pub(super) fn fail(&mut self, now: Millis) {
        self.failed = self.begun.take().map(|begun| begun.peer);
        self.next_at = Some(now.after(limits::SYNC_START_INTERVAL));
    }

    pub(super) fn synced(&mut self, now: Millis) {
        self.synced_at = Some(now);
        self.has_caught_up = true;
        // Who was only compared with by others begins, too, in its time.
        self.next_at.get_or_insert(now.after(limits::SYNC_PERIOD));
    }

    /// `None` for who does not live long enough: it has the newest, and hears the rest by gossip.
    fn period(&self, members: usize) -> Option<Duration> {
        let period = match self.role {
            Role::Ephemeral => return None,
            Role::Anchor => limits::SYNC_PERIOD_ANCHOR,
            Role::Node if members >= limits::LARGE_FLEET_NODES => limits::SYNC_PERIOD_LARGE,
            Role::Node => limits::SYNC_PERIOD,
        };
        Some(jittered(period, turn_of(&self.me, self.count)))
    }
}
