use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use wire::{Millis, Peer, ScopeId};

use crate::{Resource, limits};
use kin::Kin;
use share::Share;
use told::Told;

pub use answers::{LimitAnswer, LimitFigures};
pub use bucket::{BucketState, ResourceState};
pub use told::{View, Word};

/// What GitHub allows each credential, learnt from its answers, and what is on its way to it.
///
/// A *bucket* is a budget: usually that of one credential. Credentials of one user draw on one budget;
/// their buckets become one after their readings interleaved often enough, and part again at the
/// first reading that contradicts it. Of two views of one bucket the more careful counts, so that a
/// wrong guess costs patience and never a refusal. Anonymous requests are a bucket of their own.
///
/// Pure: it is told what goes out ([`Self::admit`], [`Self::done`]), what came back
/// ([`Self::learn`]) and what other machines know ([`Self::hear`]); it says what they should know
/// ([`Self::notice`]).
#[derive(Debug)]
pub struct Ledger {
    anonymous: ScopeId,
    scopes: BTreeMap<ScopeId, Scope>,
    buckets: BTreeMap<u64, Bucket>,
    made: u64,
    kin: Kin,
}

#[derive(Debug)]
struct Scope {
    bucket: u64,
    flying: Flying,
    used_at: Millis,
    /// What `/rate_limit` said to this credential last: names and figures.
    listed: Option<BTreeMap<String, ResourceState>>,
    /// The last refusal that this credential got, to be told again.
    refusal: Option<(StatusCode, Bytes)>,
}

#[derive(Debug, Default)]
struct Bucket {
    state: BucketState,
    flying: Flying,
    scopes: BTreeSet<ScopeId>,
    /// A stop on the word of a member alone, and when each last had such a word.
    hearsay_until: Option<Millis>,
    hearsay: BTreeMap<Peer, Millis>,
    told: Told,
    /// Other machines that use it, and when they last said so.
    users: BTreeMap<Peer, Millis>,
    shares: BTreeMap<Resource, Share>,
    /// What is known was last learnt from another machine.
    heard: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flying {
    charged: u32,
    proofs: u32,
}

/// Why a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A client waits for it. `has_stale`: there is an old answer that it may be given instead.
    Client { has_stale: bool },
    /// A conditional request with a validator that should match: it should cost nothing.
    Proof,
    /// Nobody waits.
    Background,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Admit {
    /// Send it, and return the ticket when the answer or its failure is there.
    Go(Ticket),
    /// Too many are on their way. Ask again when one is [`Ledger::done`]; at `until` send it all the
    /// same, by [`Ledger::go_ahead`].
    Wait { until: Millis },
    /// GitHub would refuse it: [`Ledger::limit_answer`], or an old answer, marked stale.
    Stopped { until: Millis, reason: StopReason },
    /// Little is left: give the old answer, marked stale; drop what nobody waits for.
    PreferStale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopReason {
    /// The budget of this resource is used up.
    Drained,
    /// GitHub asked us to stay away: a secondary limit.
    Refused,
    /// Little is left, and this machine has had its share of it.
    Shared,
}

/// A request on its way.
#[must_use = "a ticket that is not returned counts as on its way for ever"]
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    scope: ScopeId,
    is_proof: bool,
}

impl Ledger {
    /// `anonymous` is the scope of requests without a credential.
    pub fn new(anonymous: ScopeId) -> Self {
        Self { anonymous, scopes: BTreeMap::new(), buckets: BTreeMap::new(), made: 0, kin: Kin::default() }
    }

    /// Whether a request of `scope` may go out now.
    pub fn admit(&mut self, scope: ScopeId, resource: Resource, work: Work, now: Millis) -> Admit {
        let bucket = self.bucket_of(scope, now);
        if let Some((until, reason)) = bucket.stop(resource, now) {
            return Admit::Stopped { until, reason };
        }
        let is_scarce = bucket.state.resources.get(&resource).is_some_and(|state| {
            let state = state.at(resource, now);
            state.remaining.saturating_sub(bucket.flying.charged.into()) <= state.reserve()
        });
        let can_do_without = matches!(work, Work::Background | Work::Client { has_stale: true });
        let next_at = if work == Work::Proof { None } else { bucket.beyond_share(resource, now) };
        if can_do_without && (is_scarce || next_at.is_some()) {
            return Admit::PreferStale;
        }
        if let Some(until) = next_at.filter(|next_at| now < *next_at) {
            return Admit::Stopped { until, reason: StopReason::Shared };
        }
        let is_full = match work {
            Work::Proof => bucket.flying.proofs >= limits::PROOFS_IN_FLIGHT_MAX,
            _ => bucket.flying.charged >= limits::CHARGED_IN_FLIGHT_MAX,
        };
        if is_full {
            return Admit::Wait { until: now.after(limits::QUEUE_WAIT_MAX) };
        }
        Admit::Go(self.go_ahead(scope, resource, work, now))
    }

    /// Whether requests of `scope` would be refused now.
    pub fn is_stopped(&self, scope: ScopeId, resource: Resource, now: Millis) -> bool {
        self.state(scope).is_some_and(|state| state.stop(resource, now).is_some())
    }

    /// Counts a request that goes out however many are on their way.
    pub fn go_ahead(&mut self, scope: ScopeId, resource: Resource, work: Work, now: Millis) -> Ticket {
        let is_proof = work == Work::Proof;
        let bucket = self.bucket_of(scope, now);
        bucket.flying.add(is_proof);
        if !is_proof {
            bucket.use_share(resource, now);
        }
        if let Some(scope) = self.scopes.get_mut(&scope) {
            scope.flying.add(is_proof);
        }
        Ticket { scope, is_proof }
    }

    /// A request came back, or failed.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is returned once")]
    pub fn done(&mut self, ticket: Ticket) {
        let Some(scope) = self.scopes.get_mut(&ticket.scope) else { return };
        scope.flying.remove(ticket.is_proof);
        if let Some(bucket) = self.buckets.get_mut(&scope.bucket) {
            bucket.flying.remove(ticket.is_proof);
        }
    }

    /// Takes an answer of the origin in. `resource` is what the request was taken for; the answer's
    /// own `x-ratelimit-resource` wins.
    pub fn learn(
        &mut self,
        scope: ScopeId,
        resource: Resource,
        headers: &HeaderMap,
        status: StatusCode,
        body: &[u8],
        now: Millis,
    ) {
        let named = headers.get("x-ratelimit-resource").and_then(|name| name.to_str().ok());
        let resource = named.map_or(resource, |name| Resource::named(name.trim()));
        if let Some(reading) = ResourceState::read(headers, now) {
            self.leave_if_contradicted(scope, resource, &reading, now);
            if status.is_success() {
                self.find_kin(scope, resource, &reading, now);
            }
            self.bucket_of(scope, now).state.learn(resource, reading);
        }
        let bucket = self.bucket_of(scope, now);
        bucket.heard = false;
        bucket.state.judge(resource, status, headers, body, now);
        let is_refusal = matches!(status.as_u16(), 403 | 429) && bucket.state.stop(resource, now).is_some();
        if let Some(scope) = self.scopes.get_mut(&scope)
            && is_refusal
        {
            let body = if body.len() <= limits::LIMIT_BODY_BYTES_MAX { body } else { b"" };
            scope.refusal = Some((status, Bytes::copy_from_slice(body)));
        }
    }

    fn bucket(&self, scope: ScopeId) -> Option<&Bucket> {
        self.buckets.get(&self.scopes.get(&scope)?.bucket)
    }

    /// What is known of the budget that `scope` draws on.
    pub fn state(&self, scope: ScopeId) -> Option<&BucketState> {
        Some(&self.bucket(scope)?.state)
    }

    /// The figures of every bucket, by the first of its scopes.
    pub fn gauges(&self, now: Millis) -> impl Iterator<Item = Gauge> {
        self.buckets.values().flat_map(move |bucket| {
            let scope = bucket.scopes.first().copied();
            bucket.state.resources.iter().filter_map(move |(resource, state)| {
                let stopped_until = bucket.stop(*resource, now).map(|(until, _)| until);
                let state = state.at(*resource, now);
                Some(Gauge { scope: scope?, resource: *resource, state, stopped_until, heard: bucket.heard })
            })
        })
    }

    /// The bucket of `scope`, made if there is none.
    fn bucket_of(&mut self, scope: ScopeId, now: Millis) -> &mut Bucket {
        if !self.scopes.contains_key(&scope) {
            if self.scopes.len() >= limits::LEDGER_SCOPES_MAX {
                self.evict();
            }
            self.move_to_own(scope, Flying::default(), BucketState::default());
            let bucket = self.made;
            let known = Scope { bucket, flying: Flying::default(), used_at: now, listed: None, refusal: None };
            self.scopes.insert(scope, known);
        }
        let known = self.scopes.get_mut(&scope).expect("it was made above");
        known.used_at = now;
        self.buckets.get_mut(&known.bucket).expect("a scope's bucket is kept while the scope is")
    }

    /// The one that was not used for longest, and has nothing on its way.
    fn evict(&mut self) {
        let idle = self.scopes.iter().min_by_key(|(_, scope)| (scope.flying.count() > 0, scope.used_at));
        let Some(scope) = idle.map(|(scope, _)| *scope) else { return };
        self.take_out(scope);
        self.scopes.remove(&scope);
    }

    /// Takes a scope out of its bucket, and the bucket away if it was the last.
    fn take_out(&mut self, scope: ScopeId) {
        let Some(known) = self.scopes.get(&scope) else { return };
        let Some(bucket) = self.buckets.get_mut(&known.bucket) else { return };
        bucket.flying.charged = bucket.flying.charged.saturating_sub(known.flying.charged);
        bucket.flying.proofs = bucket.flying.proofs.saturating_sub(known.flying.proofs);
        bucket.scopes.remove(&scope);
        if bucket.scopes.is_empty() {
            self.buckets.remove(&known.bucket);
            self.kin.forget(known.bucket);
        }
    }

    fn move_to_own(&mut self, scope: ScopeId, flying: Flying, state: BucketState) {
        self.made += 1;
        self.buckets.insert(self.made, Bucket { state, flying, scopes: [scope].into(), ..Bucket::default() });
    }

    /// More is left than its bucket knows of: it is another budget. All else that is known of the
    /// bucket still holds for it: that is the careful side.
    fn leave_if_contradicted(&mut self, scope: ScopeId, resource: Resource, reading: &ResourceState, now: Millis) {
        let bucket = self.bucket_of(scope, now);
        // What the others have told may be later than this answer.
        let slack = limits::MERGE_GAP_MAX * bucket.machines(now) + u64::from(bucket.flying.count());
        let is_contradicted = bucket.scopes.len() > 1
            && bucket.state.resources.get(&resource).is_some_and(|known| {
                now < known.reset && (!known.is_of_window(reading) || reading.remaining > known.remaining + slack)
            });
        if is_contradicted {
            let mut state = bucket.state.clone();
            state.resources.remove(&resource);
            let flying = self.scopes.get(&scope).map(|scope| scope.flying).unwrap_or_default();
            self.take_out(scope);
            self.move_to_own(scope, flying, state);
            let own = self.made;
            self.scopes.entry(scope).and_modify(|scope| scope.bucket = own);
        }
    }

    fn find_kin(&mut self, scope: ScopeId, resource: Resource, reading: &ResourceState, now: Millis) {
        if scope == self.anonymous {
            return;
        }
        let _ = self.bucket_of(scope, now);
        let (own, anonymous) = (self.scopes[&scope].bucket, self.scopes.get(&self.anonymous).map(|s| s.bucket));
        let others = self.buckets.iter().filter(|(id, _)| **id != own && Some(**id) != anonymous);
        let kin = others.filter_map(|(id, bucket)| {
            let known = bucket.state.resources.get(&resource)?;
            known.is_of_window(reading).then_some((*id, known.remaining))
        });
        let kin: Vec<(u64, u64)> = kin.collect();
        for other in kin {
            if self.kin.compare((own, reading.remaining), other) {
                self.merge(other.0, own);
                return;
            }
        }
    }

    fn merge(&mut self, from: u64, into: u64) {
        let Some(from_bucket) = self.buckets.remove(&from) else { return };
        self.kin.forget(from);
        for scope in &from_bucket.scopes {
            self.scopes.entry(*scope).and_modify(|scope| scope.bucket = into);
        }
        if let Some(into) = self.buckets.get_mut(&into) {
            into.state.merge(&from_bucket.state);
            into.flying.charged += from_bucket.flying.charged;
            into.flying.proofs += from_bucket.flying.proofs;
            into.scopes.extend(from_bucket.scopes);
            into.hearsay_until = into.hearsay_until.max(from_bucket.hearsay_until);
            from_bucket.users.iter().for_each(|(by, at)| into.note_user(by, *at));
        }
    }
}

impl Bucket {
    /// Until when requests of `resource` would be refused, as far as anybody says, and why.
    fn stop(&self, resource: Resource, now: Millis) -> Option<(Millis, StopReason)> {
        let hearsay = self.hearsay_until.filter(|until| now < *until).map(|until| (until, StopReason::Refused));
        self.state.stop(resource, now).max(hearsay)
    }

    /// The last of its stops, of whatever resource.
    fn stopped_until(&self, now: Millis) -> Option<Millis> {
        let drained =
            self.state.resources.keys().filter_map(|resource| self.stop(*resource, now)).map(|(until, _)| until);
        drained.chain(self.state.stopped_until).chain(self.hearsay_until).filter(|until| now < *until).max()
    }
}

impl Flying {
    fn add(&mut self, is_proof: bool) {
        *if is_proof { &mut self.proofs } else { &mut self.charged } += 1;
    }

    fn remove(&mut self, is_proof: bool) {
        let count = if is_proof { &mut self.proofs } else { &mut self.charged };
        *count = count.saturating_sub(1);
    }

    fn count(self) -> u32 {
        self.charged + self.proofs
    }
}

/// One line of the gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// The first scope of the bucket: a keyed hash, and no credential.
    pub scope: ScopeId,
    pub resource: Resource,
    pub state: ResourceState,
    pub stopped_until: Option<Millis>,
    /// Another machine was the last to say something of it.
    pub heard: bool,
}

mod answers;
mod bucket;
mod kin;
mod share;
mod told;

#[cfg(test)]
mod tests;
