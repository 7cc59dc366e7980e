use std::time::Duration;

use wire::{Millis, Peer};

use super::{Bucket, ResourceState};
use crate::{Resource, limits};

/// What this machine has had of a window since little is left of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// The reading at which it became scarce here.
    began: ResourceState,
    used: u64,
    /// Beyond its share: when the next one may go.
    next_at: Millis,
}

impl ResourceState {
    /// Whether so little is left that each machine may have its share of it, and no more.
    pub(super) fn is_scarce(&self) -> bool {
        let scarce =
            limits::SCARCE_MIN.max(self.limit / limits::SCARCE_PART).min(self.limit / limits::RESERVE_PART_MAX);
        self.remaining <= scarce
    }
}

/// The fair share of what is left.
///
/// When a window of a resource becomes scarce ([`limits::SCARCE_MIN`]), what is left is divided by the
/// machines that use the budget: this one, and each that has told of it in the last
/// [`limits::SHARER_AGE`]. Charged requests count against the share. Beyond it, an old answer is given
/// where there is one, work that nobody waits for stops, and a client without an old answer is still
/// served, but at a pace: what is left now is divided anew and spread over the rest of the window, and
/// who comes before his turn is told when it is. So a machine that only asks leaves the others most of
/// what is left, while GitHub's last word is never anticipated. Proofs are free, and not counted.
impl Bucket {
    /// Beyond this machine's share: when the next charged request may go, which may be now.
    pub(super) fn beyond_share(&mut self, resource: Resource, now: Millis) -> Option<Millis> {
        let machines = self.machines(now);
        let share = self.share_of(resource, now)?;
        let is_beyond = machines > 1 && share.used >= share.began.remaining.div_ceil(machines);
        is_beyond.then_some(share.next_at)
    }

    /// A charged request goes out.
    pub(super) fn use_share(&mut self, resource: Resource, now: Millis) {
        let machines = self.machines(now);
        let Some(state) = self.state.resources.get(&resource).map(|state| state.at(resource, now)) else { return };
        let Some(share) = self.share_of(resource, now) else { return };
        share.used += 1;
        if share.used >= share.began.remaining.div_ceil(machines) {
            let turns = u32::try_from(state.remaining / machines).unwrap_or(u32::MAX).max(1);
            let pause: Duration = state.reset.since(now) / turns;
            share.next_at = now.after(pause.min(limits::SHARE_PAUSE_MAX));
        }
    }

    /// A machine that uses the budget.
    pub(super) fn note_user(&mut self, by: &Peer, now: Millis) {
        if self.users.len() >= limits::SHARERS_MAX && !self.users.contains_key(by) {
            self.users.retain(|_, at| now.since(*at) <= limits::SHARER_AGE);
        }
        if self.users.len() < limits::SHARERS_MAX {
            self.users.insert(by.clone(), now);
        }
    }

    /// How many machines use the budget, this one among them.
    pub(super) fn machines(&self, now: Millis) -> u64 {
        1 + self.users.values().filter(|at| now.since(**at) <= limits::SHARER_AGE).count() as u64
    }

    /// `None` while there is enough.
    fn share_of(&mut self, resource: Resource, now: Millis) -> Option<&mut Share> {
        let state = self.state.resources.get(&resource)?.at(resource, now);
        if !state.is_scarce() {
            self.shares.remove(&resource);
            return None;
        }
        let fresh = Share { began: state, used: 0, next_at: now };
        let share = self.shares.entry(resource).or_insert(fresh);
        if !share.began.is_of_window(&state) {
            *share = fresh;
        }
        Some(share)
    }
}
