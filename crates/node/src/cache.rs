mod way;

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use gateway::{Answer, Body as Stream, Cache, Fetched, Hit, How, Moment};
use github::{Ask, Credential, LimitFigures, Resource, Touches};
use http::{HeaderMap, Response};
use store::EntryKey;
use task::Tasks;
use tracing::debug;
use wire::Millis;

use crate::{
    Counters,
    fill::{Filler, Told},
    flights::{Boarding, Flights},
    keeper::Keeper,
    names::Names,
    share::{Accepted, Exclusions},
    sharing::Sharing,
    underway::Underway,
};

/// The cache behind the doors: memory, then the disk, then the fleet, then the origin.
pub struct NodeCache {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) filler: Filler,
    pub(crate) sharing: Option<Arc<Sharing>>,
    pub(crate) accepted: Arc<Accepted>,
    pub(crate) exclusions: Exclusions,
    pub(crate) names: Names,
    pub(crate) flights: Arc<Flights<Flown>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tasks: Tasks,
    pub(crate) mode: Mode,
    /// Answers on their way to the disk.
    pub(crate) keeping: Underway,
}

/// What a flight brings to all who are on it.
pub enum Flown {
    Answer {
        answer: Arc<Answer>,
        how: How,
    },
    Told(Told),
    /// For the first who takes it; the others ask for themselves.
    Stream(Mutex<Option<Response<Stream>>>),
}

impl Cache for NodeCache {
    type Key = EntryKey;

    fn key(&self, ask: &Ask) -> EntryKey {
        self.keeper.key_of(ask)
    }

    fn key_beside(&self, ask: &Ask, other: EntryKey) -> EntryKey {
        EntryKey { scope: other.scope, key: self.keeper.ids.key_id(&ask.key()) }
    }

    fn fresh(&self, ask: &Ask, at: EntryKey, now: Millis) -> Option<Hit> {
        if self.mode == Mode::Shadow || !self.exclusions.may_keep(ask) {
            return None;
        }
        let held = self.keeper.in_memory(&at)?;
        if !held.answer.is_fresh(now) || !accepts(ask, &held.answer, now) {
            return None;
        }
        self.counters.requests.one();
        self.count_hit(ask, &held.answer);
        self.counters.families.hit(&ask.family);
        Some(Hit { answer: held.answer.clone(), limits: self.limits(ask, at, now) })
    }

    fn fetch(self: Arc<Self>, mut ask: Ask) -> BoxFuture<'static, Fetched> {
        let (counters, family) = (self.counters.clone(), ask.family.clone());
        async move {
            self.names.resolve(&mut ask);
            self.counters.requests.one();
            let (site, resource) = (ask.host.clone(), Resource::of(&ask.target));
            let scope = self.keeper.key_of(&ask).scope;
            let cache = self.clone();
            let with_limits = move |fetched| match fetched {
                Fetched::Answer { answer, how, .. } => {
                    let limits = cache.filler.budgets.figures_for(&site, scope, resource, now());
                    Fetched::Answer { answer, how, limits }
                }
                relayed @ Fetched::Relayed(_) => relayed,
            };
            self.fetch_any(ask).map(with_limits).await
        }
        .inspect(move |fetched| counters.families.fetched(&family, fetched))
        .boxed()
    }

    fn rate_limit(&self, site: &str, credential: &Credential, now: Millis) -> Option<(Bytes, HeaderMap)> {
        if self.mode == Mode::Shadow {
            return None;
        }
        let scope = self.keeper.scope_of(Some(credential));
        // The ledger says nothing of whether the credential still is one.
        let is_accepted = self.accepted.is_accepted(scope, now);
        self.filler.budgets.rate_limit(site, scope, now).filter(|_| is_accepted)
    }

    fn written(&self, touches: &Touches, moment: Moment) -> BoxFuture<'static, ()> {
        let now = now();
        let date_secs = match moment {
            Moment::Sent => {
                self.counters.writes.one();
                None
            }
            Moment::Answered { date_secs } => date_secs,
        };
        // Without a Date, what the origin's clock shows by now.
        let date_secs = date_secs.unwrap_or_else(|| self.keeper.graves.origin_secs(site_of(touches), now));
        self.names.written(touches);
        self.keeper.graves.touched(touches, date_secs, now);
        if let Some(sharing) = &self.sharing {
            sharing.written(touches, date_secs);
        }
        match touches {
            Touches::Everything => self.keeper.forget_everything(now),
            Touches::Families(families) => {
                let ids = families.iter().map(|family| self.keeper.ids.family_id(family.as_str())).collect();
                self.keeper.forget_families(ids, now)
            }
        }
    }

    fn denied(&self, ask: &Ask, date_secs: Option<u64>) -> BoxFuture<'_, ()> {
        let (at, now) = (self.keeper.key_of(ask), now());
        let date_secs = date_secs.unwrap_or_else(|| self.keeper.graves.origin_secs(Some(&ask.host), now));
        self.keeper.graves.denied(ask, false, date_secs, now);
        if let Some(sharing) = &self.sharing {
            sharing.denied(ask, false, date_secs);
        }
        async move { self.keeper.deny(at, now).await }.boxed()
    }

    fn refused(&self, credential: Option<&Credential>) -> BoxFuture<'static, ()> {
        let now = now();
        let Some(credential) = credential else { return ready(()).boxed() };
        self.accepted.forget(self.keeper.scope_of(Some(credential)));
        let date_secs = self.keeper.graves.origin_secs(None, now);
        self.keeper.graves.refused(credential, date_secs, now);
        if let Some(sharing) = &self.sharing {
            sharing.credential_refused(credential, date_secs);
        }
        let (keeper, scope) = (self.keeper.clone(), self.keeper.scope_of(Some(credential)));
        async move { keeper.forget_scope(scope, now).await }.boxed()
    }
}

impl NodeCache {
    /// Joins who asks the same, or asks.
    async fn fetch_any(self: Arc<Self>, ask: Ask) -> Fetched {
        // Who has conditions must not be given what was asked without them.
        let is_alone = self.mode == Mode::Shadow || ask.wants.directives != github::ClientDirectives::default();
        if is_alone || !self.exclusions.may_keep(&ask) {
            let flown = self.clone().ask_around(ask).await;
            return Self::take(&flown).expect("nobody else is on this flight");
        }
        let (at, family) = (self.keeper.key_of(&ask), self.keeper.family_of(&ask));
        let called = self.keeper.graves.called(&ask);
        let is_doubtful = |began| {
            self.keeper.doubts.cover(family, at, began) || self.keeper.graves.heard_since(called.as_ref(), began)
        };
        let (flight, has_joined) = match self.flights.board(at, now(), is_doubtful) {
            Boarding::Lead(landing, flight) => {
                // In a task of its own: the others wait for it even if this client leaves.
                let (cache, ask) = (self.clone(), ask.clone());
                self.tasks.spawn(async move { landing.land(cache.ask_around(ask).await) });
                (flight, false)
            }
            Boarding::Join(flight) => (flight, true),
        };
        let fetched = flight.await.ok().and_then(|flown| Self::take(&flown));
        match fetched {
            Some(fetched) if has_joined => {
                self.counters.collapsed.one();
                match fetched {
                    Fetched::Answer { answer, how: How::Filled | How::Proved | How::Confirmed, limits } => {
                        Fetched::Answer { answer, how: How::Joined, limits }
                    }
                    other => other,
                }
            }
            Some(fetched) => fetched,
            // It landed without an answer for us: ask for ourselves, beside the others.
            None => {
                let flown = self.clone().ask_around(ask).await;
                Self::take(&flown).expect("nobody else is on this flight")
            }
        }
    }

    fn limits(&self, ask: &Ask, at: EntryKey, now: Millis) -> Option<LimitFigures> {
        self.filler.budgets.figures_for(&ask.host, at.scope, Resource::of(&ask.target), now)
    }

    /// The fleet, for what may go there.
    fn sharing_of(&self, ask: &Ask) -> Option<&Arc<Sharing>> {
        let may_share = ask.route.is_shareable() && self.exclusions.may_keep(ask) && self.exclusions.may_share(ask);
        self.sharing.as_ref().filter(|_| may_share)
    }

    fn take(flown: &Flown) -> Option<Fetched> {
        match flown {
            Flown::Answer { answer, how } => Some(Fetched::Answer { answer: answer.clone(), how: *how, limits: None }),
            Flown::Told(told) => Some(Fetched::Relayed(told.response())),
            Flown::Stream(response) => {
                let response = response.lock().expect("no panic while held").take();
                debug!(taken = response.is_some(), "an answer over the limit is streamed");
                response.map(Fetched::Relayed)
            }
        }
    }

    fn count_hit(&self, ask: &Ask, answer: &Answer) {
        if ask.query.is_some() {
            self.counters.graphql_hits.one();
        }
        if answer.from_peer {
            self.counters.peer_hits.one();
        } else {
            self.counters.local_hits.one();
        }
    }
}

/// Whether an answer may be served unmarked, and to this client.
fn will_do(ask: &Ask, answer: &Answer) -> bool {
    let now = now();
    answer.is_fresh(now) && accepts(ask, answer, now)
}

fn accepts(ask: &Ask, answer: &Answer, now: Millis) -> bool {
    let until = answer.fresh_until.min(answer.proved_until);
    ask.wants.directives.accepts(now.since(answer.validated_at), until.since(now))
}

/// The name of the site that a write goes to, where it says so.
fn site_of(touches: &Touches) -> Option<&str> {
    match touches {
        Touches::Families(families) => families.first()?.as_str().split('/').next(),
        Touches::Everything => None,
    }
}

pub(crate) fn now() -> Millis {
    SystemTime::now().into()
}

mod shadow;
mod why;

pub use shadow::Mode;
