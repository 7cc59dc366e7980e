use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use github::{Ask, Credential, LimitFigures, Touches};
use http::{HeaderMap, Response};
use wire::Millis;

use crate::{Answer, Body, How};

/// What a door needs of the cache behind it.
pub trait Cache: Send + Sync + 'static {
    /// Where memory keeps an answer.
    type Key: Copy + Send + 'static;

    /// Returns where the answer to `ask`, for its credential, is kept.
    fn key(&self, ask: &Ask) -> Self::Key;

    /// The same, for an `ask` with the credential of the one that has `other`.
    fn key_beside(&self, ask: &Ask, other: Self::Key) -> Self::Key;

    /// Returns an answer that may be served now, unmarked, if memory has one. Never waits. `key` is that
    /// of `ask`.
    fn fresh(&self, ask: &Ask, key: Self::Key, now: Millis) -> Option<Hit>;

    /// The answer to `/rate_limit` at a site, in compact JSON, with its headers; `None` if the origin must
    /// be asked.
    fn rate_limit(&self, site: &str, credential: &Credential, now: Millis) -> Option<(Bytes, HeaderMap)>;

    /// Gets an answer by whatever way there is. Always ends (promise 2).
    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Fetched>;

    /// A write that touches these goes out, or has been answered. What it touches is not served any
    /// more when this returns, and not after a crash either when the future has ended.
    fn written(&self, touches: &Touches, moment: Moment) -> BoxFuture<'static, ()>;

    /// The origin has denied this to its credential, on a request that passed through. `date_secs` is the
    /// origin's `Date`.
    fn denied(&self, ask: &Ask, date_secs: Option<u64>) -> BoxFuture<'_, ()>;

    /// The origin has refused this credential, on a request that passed through.
    fn refused(&self, credential: Option<&Credential>) -> BoxFuture<'static, ()>;
}

/// An answer that memory had.
pub struct Hit {
    pub answer: Arc<Answer>,
    /// What the `x-ratelimit-*` headers say that are true now.
    pub limits: Option<LimitFigures>,
}

/// When of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Sent,
    /// With success, or in a way that leaves open whether it had any. The origin's `Date`, if known.
    Answered {
        date_secs: Option<u64>,
    },
}

/// What a fetch brought.
pub enum Fetched {
    Answer {
        answer: Arc<Answer>,
        how: How,
        /// What the `x-ratelimit-*` headers say that are true now.
        limits: Option<LimitFigures>,
    },
    /// The origin's own answer, which is not kept: a denial, an error, or a body over the limit.
    Relayed(Response<Body>),
}
