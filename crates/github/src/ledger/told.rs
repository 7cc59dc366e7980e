use std::collections::BTreeMap;

use wire::{Millis, Peer, ScopeId};

use super::{Bucket, BucketState, Ledger, ResourceState};
use crate::{Resource, limits};

/// What one machine knows of a budget, as it tells it to the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub state: BucketState,
    /// Other credentials that seem to draw on it.
    pub with: Vec<ScopeId>,
}

/// How far another machine's view of a budget can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// This very credential has confirmed that the machine was told so while it held it.
    Confirmed { by: &'a Peer },
    /// A member's word alone: another credential was told so, which seems to draw on the same budget.
    Hearsay { from: &'a Peer, received_at: Millis },
}

/// What the other machines know of a bucket, as far as this one has told or heard it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// When this machine last told them anything.
    at: Option<Millis>,
    stopped_until: Option<Millis>,
    readings: BTreeMap<Resource, ResourceState>,
}

impl Ledger {
    /// What is worth telling other machines after an answer to `scope`; it then counts as told.
    ///
    /// That is a new stop; a reading of another window than theirs, or one that is lower by a step
    /// ([`limits::TELL_PART`], and [`limits::TELL_STEP_SCARCE`] when little is left); and whatever
    /// there is, if this machine has said nothing for [`limits::TELL_AGAIN`]: who tells counts as one
    /// that uses the budget. `None` for the anonymous: theirs is the budget of an address.
    pub fn notice(&mut self, scope: ScopeId, now: Millis) -> Option<View> {
        if scope == self.anonymous {
            return None;
        }
        let bucket = self.buckets.get_mut(&self.scopes.get(&scope)?.bucket)?;
        let state = bucket.state.current(now);
        if !bucket.told.is_news(&state, now) {
            return None;
        }
        bucket.told.note(&state);
        bucket.told.at = Some(now);
        let with = bucket.scopes.iter().filter(|other| **other != scope).copied();
        Some(View { with: with.take(wire::limits::LIMIT_KIN_MAX).collect(), state })
    }

    /// Takes in what another machine says of the budget of `scope`.
    ///
    /// Of two views of one window the more careful counts, a later window replaces an earlier one, and
    /// no stop is longer than [`limits::STOP_MAX`]. Hearsay stops for [`limits::HEARSAY_STOP_MAX`] at
    /// most, of each member once in [`limits::HEARSAY_PAUSE`], and says nothing else; it is never told
    /// on. Returns whether it is a stop that this machine did not know.
    pub fn hear(&mut self, scope: ScopeId, view: &BucketState, word: Word<'_>, now: Millis) -> bool {
        if scope == self.anonymous {
            return false;
        }
        let bucket = self.bucket_of(scope, now);
        let known = bucket.stopped_until(now);
        match word {
            Word::Confirmed { by } => {
                let view = view.current(now).clamped(now);
                bucket.hear(&view);
                bucket.note_user(by, now);
            }
            Word::Hearsay { from, received_at } => {
                bucket.hear_say(view.stopped_until.filter(|until| now < *until), from, received_at);
            }
        }
        bucket.stopped_until(now) > known
    }
}

impl Bucket {
    fn hear(&mut self, view: &BucketState) {
        for (resource, reading) in &view.resources {
            let known = self.state.resources.get(resource);
            if known.is_none_or(|known| known.reset <= reading.reset || known.is_of_window(reading)) {
                self.state.learn(*resource, *reading);
                self.heard = true;
            }
        }
        self.heard |= view.stopped_until > self.state.stopped_until;
        self.state.stopped_until = self.state.stopped_until.max(view.stopped_until);
        self.state.refusals = self.state.refusals.max(view.refusals);
        self.told.note(view);
    }

    fn hear_say(&mut self, until: Option<Millis>, from: &Peer, received_at: Millis) {
        let Some(until) = until else { return };
        let last = self.hearsay.get(from).copied();
        let is_too_often = last.is_some_and(|last| received_at.since(last) < limits::HEARSAY_PAUSE);
        if is_too_often || last.is_none() && self.hearsay.len() >= limits::HEARSAY_MEMBERS_MAX {
            return;
        }
        self.hearsay.insert(from.clone(), received_at);
        let until = until.min(received_at.after(limits::HEARSAY_STOP_MAX));
        self.hearsay_until = self.hearsay_until.max(Some(until));
    }
}

impl Told {
    fn is_news(&self, state: &BucketState, now: Millis) -> bool {
        let is_longer = |until: Millis| until > self.stopped_until.unwrap_or_default().after(limits::TELL_STOP_STEP);
        let is_step = |(resource, reading): (&Resource, &ResourceState)| {
            self.readings.get(resource).is_none_or(|told| {
                let fell_by = told.remaining.saturating_sub(reading.remaining);
                let is_drained = reading.remaining == 0 && told.remaining > 0;
                !told.is_of_window(reading) && told.reset <= reading.reset || fell_by >= step(reading) || is_drained
            })
        };
        let is_due = self.at.is_none_or(|at| now.since(at) >= limits::TELL_AGAIN);
        state.stopped_until.is_some_and(is_longer)
            || state.resources.iter().any(is_step)
            || is_due && !state.resources.is_empty()
    }

    fn note(&mut self, state: &BucketState) {
        self.stopped_until = self.stopped_until.max(state.stopped_until);
        for (resource, reading) in &state.resources {
            self.readings.entry(*resource).and_modify(|told| told.update(*reading)).or_insert(*reading);
        }
    }
}

/// By how much a reading has to fall to be worth telling.
fn step(reading: &ResourceState) -> u64 {
    let part = reading.limit / limits::TELL_PART;
    let step = if reading.is_scarce() { part.min(limits::TELL_STEP_SCARCE) } else { part };
    step.max(1)
}

impl BucketState {
    /// What of it still holds at `now`, and has a name.
    fn current(&self, now: Millis) -> Self {
        let holds =
            |(resource, reading): &(&Resource, &ResourceState)| **resource != Resource::UNKNOWN && now < reading.reset;
        Self {
            resources: self.resources.iter().filter(holds).map(|(resource, reading)| (*resource, *reading)).collect(),
            stopped_until: self.stopped_until.filter(|until| now < *until),
            refusals: self.refusals,
        }
    }

    /// Whatever a member says: no time too far ahead.
    fn clamped(mut self, now: Millis) -> Self {
        let latest = now.after(limits::STOP_MAX);
        for reading in self.resources.values_mut() {
            reading.remaining = reading.remaining.min(reading.limit);
            (reading.reset, reading.seen) = (reading.reset.min(latest), reading.seen.min(now));
        }
        self.stopped_until = self.stopped_until.map(|until| until.min(latest));
        self.refusals = self.refusals.min(limits::REFUSALS_MAX);
        self
    }
}
