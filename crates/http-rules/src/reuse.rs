use std::time::{Duration, SystemTime};

use crate::{Stored, Wishes};

/// What may be done with a stored response that matches a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    Fresh,
    /// Stale, and the client said that it would take it.
    Stale,
    /// Stale, and the origin said that it may be served while it is asked (RFC 5861, §3).
    StaleWhileRevalidating,
    /// The origin has to be asked first.
    Validate,
}

/// How asking the origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not reached, or did not answer.
    Disconnected,
    /// It answered with a 5xx.
    Error,
}

impl Stored {
    /// # Source
    /// RFC 9111, §4.2 and §5.2.1.
    pub fn reuse(&self, wishes: &Wishes, now: SystemTime) -> Reuse {
        let age = self.age(now);
        if self.no_cache || wishes.no_cache || wishes.max_age.is_some_and(|max_age| age > max_age) {
            return Reuse::Validate;
        }
        if self.lifetime > age && self.lifetime - age >= wishes.min_fresh.unwrap_or_default() {
            return Reuse::Fresh;
        }
        if self.never_stale || wishes.min_fresh.is_some() {
            return Reuse::Validate;
        }
        let stale_for = age.saturating_sub(self.lifetime);
        if wishes.max_stale.is_some_and(|max_stale| stale_for <= max_stale) {
            Reuse::Stale
        } else if stale_for < self.while_revalidating {
            Reuse::StaleWhileRevalidating
        } else {
            Reuse::Validate
        }
    }

    /// Whether it may be served although the origin could not confirm it.
    ///
    /// `disconnected_max` is how long after its end an operator lets a response be used when the origin is
    /// out of reach (RFC 9111, §4.2.4); a 5xx needs `stale-if-error` of the origin or the client (RFC 5861, §4).
    pub fn outlives(&self, failure: Failure, wishes: &Wishes, disconnected_max: Duration, now: SystemTime) -> bool {
        if self.never_stale || wishes.no_cache {
            return false;
        }
        let allowed = self.if_error.max(wishes.stale_if_error.unwrap_or_default());
        let allowed = if failure == Failure::Disconnected { allowed.max(disconnected_max) } else { allowed };
        self.age(now).saturating_sub(self.lifetime) < allowed
    }

    /// Whether an error must be told to the client as one of this cache: 504 (RFC 9111, §5.2.2.2).
    pub fn must_not_be_stale(&self) -> bool {
        self.never_stale
    }
}
