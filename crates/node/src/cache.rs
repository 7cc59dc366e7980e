use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::Bytes;
use fleet::{Across, Want};
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
    share::{Accepted, Exclusions},
    sharing::{Lead, Sharing, Word},
    underway::Underway,
};

/// The cache behind the doors: memory, then the disk, then the fleet, then the origin.
pub struct NodeCache {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) filler: Filler,
    pub(crate) sharing: Option<Arc<Sharing>>,
    pub(crate) accepted: Accepted,
    pub(crate) exclusions: Exclusions,
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
        if !self.exclusions.may_keep(ask) {
            return None;
        }
        let held = self.keeper.in_memory(&self.keeper.key_of(ask))?;
        if !held.answer.is_fresh(now) || !accepts(ask, &held.answer, now) {
            return None;
        }
        self.counters.requests.one();
        self.count_hit(&held.answer);
        Some(held.answer.clone())
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Fetched> {
        async move {
            self.counters.requests.one();
            // Who has conditions must not be given what was asked without them.
            if ask.wants.directives != github::ClientDirectives::default() || !self.exclusions.may_keep(&ask) {
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
                        Fetched::Answer { answer, how: How::Filled | How::Proved | How::Confirmed } => {
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

    fn denied(&self, ask: &Ask, date_secs: Option<u64>) -> BoxFuture<'_, ()> {
        let (at, now) = (self.keeper.key_of(ask), now());
        if let Some(sharing) = &self.sharing {
            sharing.denied(ask, false, date_secs.unwrap_or(now.as_secs()));
        }
        async move { self.keeper.deny(at, now).await }.boxed()
    }

    fn refused(&self, credential: Option<&Credential>) -> BoxFuture<'static, ()> {
        let now = now();
        let Some(credential) = credential else { return ready(()).boxed() };
        self.accepted.forget(self.keeper.scope_of(Some(credential)));
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
        let may_keep = self.exclusions.may_keep(&ask);
        let mut own = if may_keep { self.keeper.known(at).await } else { None };
        if let Some(known) = own.as_ref().filter(|known| will_do(&ask, &known.answer)) {
            self.keeper.remember(at, &known.stored.record, &known.answer);
            self.count_hit(&known.answer);
            return Flown::Answer { answer: known.answer.clone(), how: How::Hit };
        }
        let mut offer = None;
        match self.ask_fleet(&ask, at, own.as_ref()).await {
            Word::Told(lead) => {
                let told = self.take_up(at, family, lead, own.as_ref());
                if let Some(answer) = told.as_ref().map(|told| &told.answer).filter(|answer| will_do(&ask, answer)) {
                    self.count_hit(answer);
                    let how = if answer.from_peer { How::PeerHit } else { How::Hit };
                    return Flown::Answer { answer: answer.clone(), how };
                }
                own = told.or(own);
            }
            Word::Trusted(lead) => match self.trust(&ask, at, family, &lead) {
                Some(answer) => {
                    self.counters.peer_hits.one();
                    return Flown::Answer { answer, how: How::PeerHit };
                }
                None => offer = self.offered(&ask, family, lead),
            },
            Word::OwnOffer(lead) => own = Some(self.told_once(family, lead)),
            Word::Offer(lead) => offer = self.offered(&ask, family, lead),
            Word::Nothing => {}
        }
        if ask.wants.directives.only_if_cached {
            return Flown::Told(Told::not_cached());
        }
        self.counters.misses.one();
        let filled = self.filler.fill(&ask, family, own.as_ref(), offer.as_ref()).await;
        if !matches!(filled, Filled::Unavailable(_) | Filled::Refused { whole_credential: true, .. }) {
            self.accepted.note(at.scope, now().after(self.filler.policy.proof_window()));
        }
        if let (Some(offer), Filled::Kept { how: How::Filled, .. }, Some(sharing)) = (&offer, &filled, &self.sharing) {
            sharing.refuted(&ask, offer.stored.record.version.digest);
        }
        match filled {
            Filled::Kept { stored, body, answer, how, keep } => {
                if !may_keep {
                    return Flown::Answer { answer, how };
                }
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
                    self.accepted.forget(at.scope);
                    self.keeper.forget_scope(at.scope, now()).await;
                } else {
                    self.keeper.deny(at, now()).await;
                }
                if let Some(sharing) = &self.sharing {
                    sharing.denied(&ask, whole_credential, date_secs);
                }
                Flown::Told(told)
            }
            Filled::Unavailable(told) => match self.stale(&ask, at, family, own).await {
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

    /// Asks the fleet what it knows for this credential.
    async fn ask_fleet(&self, ask: &Ask, at: EntryKey, own: Option<&Loaded>) -> Word {
        let Some(sharing) = self.sharing_of(ask) else { return Word::Nothing };
        let want = if ask.wants.directives.revalidates() { Want::Offer } else { Want::Fresh };
        let mut across = sharing.share.across(ask);
        // Without its ETag another credential's answer cannot be offered.
        if across == Across::Offers && !self.filler.may_compute(ask.route)
            || across == Across::Trusted && !self.accepted.is_accepted(at.scope, now())
        {
            across = Across::Nothing;
        }
        sharing.ask(ask, want, across, own.map(|own| own.stored.record.version)).await
    }

    /// Takes up what this credential was told elsewhere, as if it had been told here.
    fn take_up(&self, at: EntryKey, family: FamilyId, lead: Lead, own: Option<&Loaded>) -> Option<Loaded> {
        let digest = lead.record.version.digest;
        let own = own.filter(|own| own.stored.record.version.digest == digest);
        let source = own.map_or(Source::Peer, |own| own.stored.source);
        let etag = own.and_then(|own| own.stored.etag.clone());
        let (stored, body, plain) = self.as_own(family, lead, source, etag);
        if self.keeper.doubts.cover(family, at, stored.record.validated_at) {
            return None;
        }
        let answer = Arc::new(answer_of(&stored, &body, plain));
        self.keeper.remember(at, &stored.record, &answer);
        let (keeper, underway) = (self.keeper.clone(), self.keeping.begin());
        let told = Loaded { stored: stored.clone(), body: body.clone(), answer };
        self.tasks.spawn(async move {
            let _underway = underway;
            keeper.keep(Space::Local, at, stored, body).await;
        });
        Some(told)
    }

    /// What this credential was told once, as something that the origin may confirm.
    fn told_once(&self, family: FamilyId, lead: Lead) -> Loaded {
        let (stored, body, plain) = self.as_own(family, lead, Source::Peer, None);
        let answer = Arc::new(answer_of(&stored, &body, plain));
        Loaded { stored, body, answer }
    }

    /// On this disk the family is named by this disk's key, and this node's own windows count.
    fn as_own(
        &self,
        family: FamilyId,
        lead: Lead,
        source: Source,
        etag: Option<String>,
    ) -> (StoredRecord, wire::Body, Bytes) {
        let Lead { mut record, body, plain } = lead;
        let policy = &self.filler.policy;
        record.family = family;
        record.proved_until = record.proved_until.min(record.validated_at.after(policy.proof_window()));
        record.stale_until = record.stale_until.min(record.proved_until.after(policy.stale_for));
        (StoredRecord { record, etag, source, tag: None }, body, plain)
    }

    /// What another credential was told, with what of it may cross.
    fn offered(&self, ask: &Ask, family: FamilyId, lead: Lead) -> Option<Loaded> {
        let Lead { mut record, body, plain } = lead;
        record.headers = github::crossing_headers(ask, &record.headers)?;
        record.family = family;
        // Nobody has proved anything for this credential yet.
        (record.proved_until, record.stale_until) = (Millis::ZERO, Millis::ZERO);
        let stored = StoredRecord { record, etag: None, source: Source::Peer, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        Some(Loaded { stored, body, answer })
    }

    /// Serves what another credential was told, where the operator wants that. Memory alone keeps it:
    /// on the disk it would look as if this credential had been told it.
    fn trust(&self, ask: &Ask, at: EntryKey, family: FamilyId, lead: &Lead) -> Option<Arc<Answer>> {
        let proved_until = self.accepted.until(at.scope)?;
        let Lead { record, body, plain } = lead.clone();
        if self.keeper.doubts.cover(family, at, record.validated_at) {
            return None;
        }
        let headers = github::crossing_headers(ask, &record.headers)?;
        let stale_until = record.stale_until;
        let record = wire::Record { family, headers, proved_until, stale_until, ..record };
        let stored = StoredRecord { record, etag: None, source: Source::Peer, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        if !will_do(ask, &answer) {
            return None;
        }
        self.keeper.remember(at, &stored.record, &answer);
        Some(answer)
    }

    /// The best that is left while the origin cannot answer.
    async fn stale(&self, ask: &Ask, at: EntryKey, family: FamilyId, own: Option<Loaded>) -> Option<Arc<Answer>> {
        let now = now();
        let doubtful = |known: &Loaded| self.keeper.doubts.cover(family, at, known.answer.validated_at);
        if let Some(own) = own.as_ref().filter(|own| now < own.answer.stale_until && !doubtful(own)) {
            return Some(own.answer.clone());
        }
        let sharing = self.sharing_of(ask)?;
        match sharing.ask(ask, Want::Stale, sharing.share.across(ask), None).await {
            Word::Told(lead) => self.take_up(at, family, lead, own.as_ref()).map(|told| told.answer),
            Word::Trusted(lead) => self.trust(ask, at, family, &lead),
            Word::Offer(_) | Word::OwnOffer(_) | Word::Nothing => None,
        }
    }

    /// Keeps and announces in the background: the client does not wait for the disk.
    fn keep(&self, ask: Ask, at: EntryKey, stored: StoredRecord, body: wire::Body) {
        let (keeper, sharing, underway) = (self.keeper.clone(), self.sharing_of(&ask).cloned(), self.keeping.begin());
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

    /// The fleet, for what may go there.
    fn sharing_of(&self, ask: &Ask) -> Option<&Arc<Sharing>> {
        let may_share = self.exclusions.may_keep(ask) && self.exclusions.may_share(ask);
        self.sharing.as_ref().filter(|_| may_share)
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

/// Whether an answer may be served unmarked, and to this client.
fn will_do(ask: &Ask, answer: &Answer) -> bool {
    let now = now();
    answer.is_fresh(now) && accepts(ask, answer, now)
}

fn accepts(ask: &Ask, answer: &Answer, now: Millis) -> bool {
    let until = answer.fresh_until.min(answer.proved_until);
    ask.wants.directives.accepts(now.since(answer.validated_at), until.since(now))
}

pub(crate) fn now() -> Millis {
    SystemTime::now().into()
}
