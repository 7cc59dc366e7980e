use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode, header};
use wire::Millis;

use crate::{Resource, limits, verdict};

/// What is known of one budget: plain data, so that it can be told to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketState {
    pub resources: BTreeMap<Resource, ResourceState>,
    /// A secondary limit, or one that did not say what it is: nothing goes out until then.
    pub stopped_until: Option<Millis>,
    /// How often in a row GitHub refused without saying for how long.
    pub refusals: u32,
}

/// What GitHub last said of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceState {
    pub limit: u64,
    pub remaining: u64,
    pub used: u64,
    /// When the window ends and `remaining` is `limit` again.
    pub reset: Millis,
    pub seen: Millis,
}

/// Two ends of windows this close are one window: GitHub's differ by a second now and then.
const SAME_WINDOW_MILLIS: u64 = 2000;

impl ResourceState {
    /// Reads `x-ratelimit-*`. `None` if any is missing: half a reading is none.
    pub(super) fn read(headers: &HeaderMap, now: Millis) -> Option<Self> {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let (limit, remaining) = (number("x-ratelimit-limit")?, number("x-ratelimit-remaining")?);
        let reset = Millis::from_secs(number("x-ratelimit-reset")?.min(now.after(limits::STOP_MAX).as_secs()));
        let used = number("x-ratelimit-used").unwrap_or(limit.saturating_sub(remaining));
        Some(Self { limit, remaining, used, reset, seen: now })
    }

    /// The figures as they are at `now`: after the end of the window all is there again, and the next
    /// window begins with the next request.
    pub fn at(&self, resource: Resource, now: Millis) -> Self {
        if now < self.reset {
            return *self;
        }
        Self { remaining: self.limit, used: 0, reset: now.after(resource.window()), ..*self }
    }

    pub(super) fn is_of_window(&self, other: &Self) -> bool {
        self.limit == other.limit && self.reset.0.abs_diff(other.reset.0) <= SAME_WINDOW_MILLIS
    }

    /// Below this, what is left is kept for those who wait for an answer.
    pub fn reserve(&self) -> u64 {
        limits::RESERVE_MIN.max(self.limit / limits::RESERVE_PART).min(self.limit / limits::RESERVE_PART_MAX)
    }

    /// Takes a later reading in. Within a window `remaining` only falls, so that answers which come
    /// back in another order than they were made do not raise it.
    pub(super) fn update(&mut self, new: Self) {
        if self.is_of_window(&new) {
            if new.remaining < self.remaining {
                (self.remaining, self.used) = (new.remaining, new.used);
            }
            self.seen = self.seen.max(new.seen);
        } else if new.reset >= self.reset || new.limit != self.limit {
            *self = new;
        }
    }
}

impl BucketState {
    pub(super) fn learn(&mut self, resource: Resource, reading: ResourceState) {
        self.resources.entry(resource).and_modify(|state| state.update(reading)).or_insert(reading);
    }

    /// Takes a status in: a limit stops the bucket, an answer after that ends the doubling.
    ///
    /// Those who were refused together are refused once: what comes back during a stop lengthens it
    /// only by what it names.
    pub(super) fn judge(
        &mut self,
        resource: Resource,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Millis,
    ) {
        let is_stopped = self.stopped_until.is_some_and(|until| now < until);
        // GraphQL may refuse in a 200, too; then this header alone says it.
        let is_graphql_refusal =
            resource == Resource::GRAPHQL && status == StatusCode::OK && headers.contains_key(header::RETRY_AFTER);
        let as_if = if is_graphql_refusal { StatusCode::FORBIDDEN } else { status };
        let pause = match verdict::limit(as_if, headers, body, now) {
            // The reading of the resource says it, and stops this resource alone.
            Some(verdict::Limit::Drained(Some(_))) => return,
            Some(verdict::Limit::Until(until)) => until,
            Some(verdict::Limit::Unnamed | verdict::Limit::Drained(None)) => {
                if is_stopped {
                    return;
                }
                let doubled = limits::LIMIT_PAUSE * (1 << self.refusals);
                self.refusals = (self.refusals + 1).min(limits::REFUSALS_MAX);
                now.after(doubled.min(limits::LIMIT_PAUSE_MAX))
            }
            None => {
                if status.is_success() || status == StatusCode::NOT_MODIFIED {
                    self.refusals = if is_stopped { self.refusals } else { 0 };
                }
                return;
            }
        };
        self.stopped_until = self.stopped_until.max(Some(pause.min(now.after(limits::STOP_MAX))));
    }

    /// Until when requests of `resource` would be refused, and why.
    pub(super) fn stop(&self, resource: Resource, now: Millis) -> Option<(Millis, super::StopReason)> {
        if let Some(until) = self.stopped_until.filter(|until| now < *until) {
            return Some((until, super::StopReason::Refused));
        }
        let state = self.resources.get(&resource)?.at(resource, now);
        (state.remaining == 0).then_some((state.reset, super::StopReason::Drained))
    }

    /// The more careful of two views of what may be one budget.
    pub(super) fn merge(&mut self, other: &Self) {
        for (resource, state) in &other.resources {
            self.learn(*resource, *state);
        }
        self.stopped_until = self.stopped_until.max(other.stopped_until);
        self.refusals = self.refusals.max(other.refusals);
    }
}
