use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use gateway::{Answer, Body as Stream, Cache, Fetched, How, Moment};
use github::{Ask, Credential, Touches};
use http::Response;
use store::{EntryKey, Source, Space, StoredRecord};
use task::Tasks;
use tracing::debug;
use wire::{FamilyId, Millis};

use crate::{
    Counters,
    fill::{Filled, Filler, Keep, Told},
    flights::{Boarding, Flights},
    keeper::{Keeper, Loaded, answer_of},
    sharing::Sharing,
    underway::Underway,
};

/// The cache behind the doors: memory, then the disk, then the fleet, then the origin.
pub struct NodeCache {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) filler: Filler,
    pub(crate) sharing: Option<Arc<Sharing>>,
    pub(crate) flights: Arc<Flights<Flown>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tasks: Tasks,
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
    fn fresh(&self, ask: &Ask, now: Millis) -> Option<Arc<Answer>> {
        let held = self.keeper.in_memory(&self.keeper.key_of(ask))?;
        if !held.answer.is_fresh(now) {
            return None;
        }
        self.counters.requests.one();
        self.count_hit(&held.answer);
        Some(held.answer.clone())
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Fetched> {
        async move {
            self.counters.requests.one();
            // Who asks for validation must not be given what was asked before.
            if ask.wants.revalidate {
                let flown = self.clone().ask_around(ask).await;
                return Self::take(&flown).expect("nobody else is on this flight");
            }
            let (at, family) = (self.keeper.key_of(&ask), self.keeper.family_of(&ask));
            let is_doubtful = |began| self.keeper.doubts.cover(family, at, began);
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
                        Fetched::Answer { answer, how: How::Filled | How::Confirmed } => {
                            Fetched::Answer { answer, how: How::Joined }
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
        .boxed()
    }

    fn written(&self, touches: &Touches, moment: Moment) -> BoxFuture<'static, ()> {
        let now = now();
        let date_secs = match moment {
            Moment::Sent => {
                self.counters.writes.one();
                now.as_secs()
            }
            Moment::Answered { date_secs } => date_secs.unwrap_or(now.as_secs()),
        };
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

    fn refused(&self, credential: Option<&Credential>) -> BoxFuture<'static, ()> {
        let now = now();
        let Some(credential) = credential else { return ready(()).boxed() };
        if let Some(sharing) = &self.sharing {
            sharing.credential_refused(credential, now.as_secs());
        }
        let (keeper, scope) = (self.keeper.clone(), self.keeper.scope_of(Some(credential)));
        async move { keeper.forget_scope(scope, now).await }.boxed()
    }
}

impl NodeCache {
    /// Finds an answer, by whatever way there is. The order is the way of a request.
    async fn ask_around(self: Arc<Self>, ask: Ask) -> Flown {
        let at = self.keeper.key_of(&ask);
        let family = self.keeper.family_of(&ask);
        let known = self.keeper.known(at).await;
        if !ask.wants.revalidate {
            if let Some(known) = known.as_ref().filter(|known| known.answer.is_fresh(now())) {
                self.keeper.remember(at, &known.stored.record, &known.answer);
                self.count_hit(&known.answer);
                return Flown::Answer { answer: known.answer.clone(), how: How::Hit };
            }
            if let Some(answer) = self.ask_fleet(&ask, at, family, false).await {
                self.counters.peer_hits.one();
                return Flown::Answer { answer, how: How::PeerHit };
            }
        }
        self.counters.misses.one();
        match self.filler.fill(&ask, family, known.as_ref()).await {
            Filled::Kept { stored, body, answer, how, keep } => {
                if keep == Keep::InMemory {
                    // An older answer without a credential may be on the disk: it must not outlive this one.
                    self.keeper.forget(at).await;
                }
                self.keeper.remember(at, &stored.record, &answer);
                if keep == Keep::Everywhere {
                    self.keep(ask, at, stored, body);
                }
                Flown::Answer { answer, how }
            }
            Filled::Refused { whole_credential, date_secs, told } => {
                if whole_credential {
                    self.keeper.forget_scope(at.scope, now()).await;
                } else {
                    self.keeper.deny(at, now()).await;
                }
                if let Some(sharing) = &self.sharing {
                    sharing.denied(&ask, whole_credential, date_secs);
                }
                Flown::Told(told)
            }
            Filled::Unavailable(told) => match self.stale(&ask, at, family, known).await {
                Some(answer) => {
                    self.counters.stale.one();
                    Flown::Answer { answer, how: How::Stale }
                }
                None => Flown::Told(told),
            },
            Filled::Told(told) => Flown::Told(told),
            Filled::Stream(response) => Flown::Stream(Mutex::new(Some(response))),
        }
    }

    /// Asks the fleet whether this credential was told this elsewhere.
    async fn ask_fleet(&self, ask: &Ask, at: EntryKey, family: FamilyId, stale_too: bool) -> Option<Arc<Answer>> {
        let sharing = self.sharing.as_ref()?;
        let (mut record, body, plain) = sharing.ask(ask, stale_too).await?;
        if self.keeper.doubts.cover(family, at, record.validated_at) {
            return None;
        }
        // On this disk the family is named by this disk's key, and this node's own windows count.
        let policy = &self.filler.policy;
        record.family = family;
        record.proved_until = record.proved_until.min(record.validated_at.after(policy.proof_window()));
        record.stale_until = record.stale_until.min(record.proved_until.after(policy.stale_for));
        let stored = StoredRecord { record, etag: None, source: Source::Peer, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        self.keeper.remember(at, &stored.record, &answer);
        let (keeper, underway) = (self.keeper.clone(), self.keeping.begin());
        self.tasks.spawn(async move {
            let _underway = underway;
            keeper.keep(Space::Local, at, stored, body).await;
        });
        Some(answer)
    }

    /// The best that is left while the origin cannot answer.
    async fn stale(&self, ask: &Ask, at: EntryKey, family: FamilyId, known: Option<Loaded>) -> Option<Arc<Answer>> {
        let now = now();
        let doubtful = |known: &Loaded| self.keeper.doubts.cover(family, at, known.answer.validated_at);
        if let Some(known) = known.filter(|known| now < known.answer.stale_until && !doubtful(known)) {
            return Some(known.answer);
        }
        self.ask_fleet(ask, at, family, true).await
    }

    /// Keeps and announces in the background: the client does not wait for the disk.
    fn keep(&self, ask: Ask, at: EntryKey, stored: StoredRecord, body: wire::Body) {
        let (keeper, sharing, underway) = (self.keeper.clone(), self.sharing.clone(), self.keeping.begin());
        self.tasks.spawn(async move {
            let _underway = underway;
            assert!(!canary::sings(canary::Bug::PanicsInATask), "a canary sings");
            keeper.keep(Space::Local, at, stored.clone(), body.clone()).await;
            let doubtful = keeper.doubts.cover(stored.record.family, at, stored.record.validated_at);
            if let Some(sharing) = sharing.filter(|_| !doubtful) {
                sharing.filled(&ask, stored.record, body).await;
            }
        });
    }

    fn take(flown: &Flown) -> Option<Fetched> {
        match flown {
            Flown::Answer { answer, how } => Some(Fetched::Answer { answer: answer.clone(), how: *how }),
            Flown::Told(told) => Some(Fetched::Relayed(told.response())),
            Flown::Stream(response) => {
                let response = response.lock().expect("no panic while held").take();
                debug!(taken = response.is_some(), "an answer over the limit is streamed");
                response.map(Fetched::Relayed)
            }
        }
    }

    fn count_hit(&self, answer: &Answer) {
        if answer.from_peer {
            self.counters.peer_hits.one();
        } else {
            self.counters.local_hits.one();
        }
    }
}

pub(crate) fn now() -> Millis {
    SystemTime::now().into()
}
