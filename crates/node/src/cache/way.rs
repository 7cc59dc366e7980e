//! The way of one question that memory cannot answer: the disk, the fleet, the origin.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use fleet::{Across, OriginTime, Want};
use gateway::{Answer, How};
use github::Ask;
use http::HeaderValue;
use store::{EntryKey, Source, StoredRecord};
use wire::{FamilyId, LeaseEnd, Millis};

use super::{Flown, Mode, NodeCache, now, will_do};
use crate::{
    fill::{Filled, Keep, Told},
    keeper::{Loaded, answer_of},
    limits, refusal,
    sharing::{Lead, Lease, Word},
};

impl NodeCache {
    /// Finds an answer, by whatever way there is. The order is the way of a request.
    pub(super) async fn ask_around(self: Arc<Self>, ask: Ask) -> Flown {
        if self.mode == Mode::Shadow {
            return self.ask_in_shadow(ask).await;
        }
        let at = self.keeper.key_of(&ask);
        let family = self.keeper.family_of(&ask);
        let may_keep = self.exclusions.may_keep(&ask);
        if let Some(answer) = self.just_told(&ask, at, family).await {
            self.count_hit(&ask, &answer);
            return Flown::Answer { answer, how: How::PeerHit };
        }
        let mut own = if may_keep { self.keeper.known(&ask, at).await } else { None };
        if let Some(known) = own.as_ref().filter(|known| will_do(&ask, &known.answer)) {
            self.keeper.remember(&ask, at, &known.stored.record, &known.answer);
            self.count_hit(&ask, &known.answer);
            return Flown::Answer { answer: known.answer.clone(), how: How::Hit };
        }
        let mut offer = None;
        let (word, lease) = self.ask_fleet(&ask, at, own.as_ref(), self.claim_of(&ask)).await;
        match word {
            Word::Told(lead) => {
                let told = self.take_up(&ask, at, family, lead, own.as_ref());
                if let Some(answer) = told.as_ref().map(|told| &told.answer).filter(|answer| will_do(&ask, answer)) {
                    self.count_hit(&ask, answer);
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
            Word::Refused(announcement) => {
                if let Some((told, began, date_secs)) = refusal::read(*announcement) {
                    self.counters.told_again.one();
                    let filled = self.filler.told_elsewhere(&ask, told, began, date_secs);
                    return self.settle(ask, at, family, may_keep, own.as_ref(), filled, None).await;
                }
            }
            Word::Failed(status) => {
                self.counters.told_again.one();
                let filled = Filled::Unavailable { told: Told::failed_elsewhere(status), is_its_own: false };
                return self.settle(ask, at, family, may_keep, own.as_ref(), filled, None).await;
            }
            Word::Nothing => {}
        }
        if ask.wants.directives.only_if_cached {
            return Flown::Told(Told::not_cached());
        }
        self.ask_origin(ask, at, family, may_keep, own.as_ref(), offer.as_ref(), lease).await
    }

    /// What this credential was told elsewhere a moment ago: the body has come along, and is newer than what
    /// the disk may hold, which need not be read for it.
    async fn just_told(&self, ask: &Ask, at: EntryKey, family: FamilyId) -> Option<Arc<Answer>> {
        let is_plain = ask.wants.directives == github::ClientDirectives::default();
        let sharing = self.sharing_of(ask).filter(|sharing| is_plain && sharing.is_at_hand(ask))?;
        let Word::Told(lead) = sharing.ask(ask, Want::Fresh, Across::Nothing, None, None).await.0 else { return None };
        let told = self.take_up(ask, at, family, lead, None)?;
        Some(told.answer).filter(|answer| will_do(ask, answer))
    }

    /// Asks the origin, with what may be confirmed, and keeps what it says if that may be kept.
    pub(super) async fn ask_origin(
        self: Arc<Self>,
        ask: Ask,
        at: EntryKey,
        family: FamilyId,
        may_keep: bool,
        own: Option<&Loaded>,
        offer: Option<&Loaded>,
        lease: Option<Lease>,
    ) -> Flown {
        self.counters.misses.one();
        let began = now();
        let filled = match self.fill(&ask, at, family, own, offer).await {
            Ok(filled) => filled,
            Err(answer) => {
                lease.into_iter().for_each(|lease| lease.ended(LeaseEnd::Alone));
                self.counters.stale.one();
                return Flown::Answer { answer, how: How::Stale };
            }
        };
        if let (Some(offer), Filled::Kept { how: How::Filled, .. }, Some(sharing)) = (offer, &filled, &self.sharing) {
            sharing.refuted(&ask, offer.stored.record.version.digest);
        }
        let lease = self.tell_waiters(&ask, &filled, began, lease);
        self.settle(ask, at, family, may_keep, own, filled, lease).await
    }

    /// Tells who waits for this question, at other machines, what is no answer to keep. An answer is
    /// told when it is kept.
    fn tell_waiters(&self, ask: &Ask, filled: &Filled, began: Millis, lease: Option<Lease>) -> Option<Lease> {
        let (lease, sharing) = (lease?, self.sharing.as_ref()?);
        let end = match filled {
            Filled::Kept { keep: Keep::Everywhere, .. } => return Some(lease),
            Filled::Brief { told, date_secs, .. } | Filled::Refused { told, date_secs, .. } => {
                refusal::lease_end(sharing, ask, told, began, *date_secs)
            }
            Filled::Unavailable { told, is_its_own: true } => {
                refusal::lease_end(sharing, ask, told, began, began.as_secs())
            }
            // That the origin cannot be reached from here says nothing of others: let the next one try.
            Filled::Unavailable { is_its_own: false, told } if told.status.is_server_error() => return None,
            _ => LeaseEnd::Alone,
        };
        lease.ended(end);
        None
    }

    /// Keeps, drops and answers, as what came of the question says.
    async fn settle(
        &self,
        ask: Ask,
        at: EntryKey,
        family: FamilyId,
        may_keep: bool,
        own: Option<&Loaded>,
        filled: Filled,
        lease: Option<Lease>,
    ) -> Flown {
        match filled {
            Filled::Kept { stored, body, answer, how, keep } => {
                // What was asked before a tombstone was heard may be what it buries.
                let called = self.keeper.graves.called(&ask);
                if !may_keep || self.keeper.graves.heard_since(called.as_ref(), stored.record.validated_at) {
                    lease.into_iter().for_each(|lease| lease.ended(LeaseEnd::Alone));
                    return Flown::Answer { answer, how };
                }
                if keep == Keep::InMemory {
                    // An older answer without a credential may be on the disk: it must not outlive this one.
                    self.keeper.forget(at).await;
                }
                self.names.learn(&ask, &stored.record, &answer.plain);
                self.keeper.remember(&ask, at, &stored.record, &answer);
                if keep == Keep::Everywhere {
                    self.keep(ask, at, stored, body, lease);
                }
                Flown::Answer { answer, how }
            }
            Filled::Brief { told, answer, date_secs } => {
                self.keeper.graves.denied(&ask, false, date_secs, now());
                self.keeper.deny(at, now()).await;
                if let Some(sharing) = &self.sharing {
                    sharing.denied(&ask, false, date_secs);
                }
                if may_keep {
                    self.keeper.remember_brief(&ask, at, family, date_secs, &answer);
                }
                Flown::Told(told)
            }
            Filled::Refused { whole_credential, date_secs, told } => {
                self.keeper.graves.denied(&ask, whole_credential, date_secs, now());
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
            Filled::Spared => Flown::Told(Told::limited(None)),
            Filled::Unavailable { told, .. } => match self.stale(&ask, at, family, own).await {
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

    /// Asks the origin, unless little is left of its budget and an old answer will do.
    async fn fill(
        &self,
        ask: &Ask,
        at: EntryKey,
        family: FamilyId,
        own: Option<&Loaded>,
        offer: Option<&Loaded>,
    ) -> Result<Filled, Arc<Answer>> {
        let may_be_stale = |own: &&Loaded| self.mode == Mode::Serve && self.may_be_stale(ask, at, own);
        let stale = own.filter(may_be_stale).map(|own| own.answer.clone());
        match (self.filler.fill(ask, family, own, offer, stale.is_some()).await, stale) {
            (Filled::Spared, Some(stale)) => Err(stale),
            (filled, _) => Ok(filled),
        }
    }

    /// Whether an old answer may be served, marked.
    fn may_be_stale(&self, ask: &Ask, at: EntryKey, own: &Loaded) -> bool {
        let (answer, now, called) = (&own.answer, now(), self.keeper.graves.called(ask));
        let past = now.since(answer.fresh_until.min(answer.proved_until));
        now < answer.stale_until
            && !self.keeper.is_doubtful(called.as_ref(), at, &own.stored.record, answer.from_peer)
            && ask.wants.directives.accepts_stale(past)
    }

    /// Asks the fleet what it knows for this credential.
    pub(super) async fn ask_fleet(
        &self,
        ask: &Ask,
        at: EntryKey,
        own: Option<&Loaded>,
        claim: Option<OriginTime>,
    ) -> (Word, Option<Lease>) {
        let Some(sharing) = self.sharing_of(ask) else { return (Word::Nothing, None) };
        let want = if ask.wants.directives.revalidates() { Want::Offer } else { Want::Fresh };
        let mut across = sharing.share.across(ask);
        // Without its ETag another credential's answer cannot be offered.
        if across == Across::Offers && !self.filler.may_compute(ask.route)
            || across == Across::Trusted && !self.accepted.is_accepted(at.scope, now())
        {
            across = Across::Nothing;
        }
        sharing.ask(ask, want, across, own.map(|own| own.stored.record.version), claim).await
    }

    /// Whether the question is claimed before the origin is asked: how long the origin should take. Who
    /// has conditions of his own is not told what others got without them, and what GitHub would refuse
    /// nobody waits for.
    fn claim_of(&self, ask: &Ask) -> Option<OriginTime> {
        let is_plain = ask.wants.directives == github::ClientDirectives::default();
        let may_claim = is_plain && self.mode == Mode::Serve && !self.filler.budgets.is_stopped(ask);
        may_claim.then(|| self.filler.origin_time.expected(ask.route))
    }

    /// Takes up what this credential was told elsewhere, as if it had been told here.
    pub(super) fn take_up(
        &self,
        ask: &Ask,
        at: EntryKey,
        family: FamilyId,
        lead: Lead,
        own: Option<&Loaded>,
    ) -> Option<Loaded> {
        let digest = lead.record.version.digest;
        let own = own.filter(|own| own.stored.record.version.digest == digest);
        let source = own.map_or(Source::Peer, |own| own.stored.source);
        let etag = own.and_then(|own| own.stored.etag.clone());
        let (stored, body, plain) = self.as_own(family, lead, source, etag);
        let called = self.keeper.graves.called(ask);
        if self.keeper.is_doubtful(called.as_ref(), at, &stored.record, source == Source::Peer) {
            return None;
        }
        let mut answer = answer_of(&stored, &body, plain);
        if answer.etag.is_none() && answer.plain.len() <= limits::ETAG_AT_ONCE_BYTES_MAX {
            // So that a client that has it already is told so.
            let computed = self.filler.may_compute(ask.route).then(|| ask.expected_etag(&answer.plain));
            answer.etag = computed.and_then(|etag| HeaderValue::try_from(etag).ok());
        }
        let answer = Arc::new(answer);
        self.keeper.remember(ask, at, &stored.record, &answer);
        let (keeper, underway) = (self.keeper.clone(), self.keeping.begin());
        let told = Loaded { stored: stored.clone(), body: body.clone(), answer };
        self.tasks.spawn(async move {
            let _underway = underway;
            keeper.keep(called, at, stored, body).await;
        });
        Some(told)
    }

    /// What this credential was told once, as something that the origin may confirm.
    pub(super) fn told_once(&self, family: FamilyId, lead: Lead) -> Loaded {
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
    pub(super) fn offered(&self, ask: &Ask, family: FamilyId, lead: Lead) -> Option<Loaded> {
        let Lead { mut record, body, plain } = lead;
        record.headers = self.names.crossing(ask, self.filler.base(ask), &record)?;
        record.family = family;
        // Nobody has proved anything for this credential yet.
        (record.proved_until, record.stale_until) = (Millis::ZERO, Millis::ZERO);
        let stored = StoredRecord { record, etag: None, source: Source::Peer, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        Some(Loaded { stored, body, answer })
    }

    /// Serves what another credential was told, where the operator wants that. Memory alone keeps it:
    /// on the disk it would look as if this credential had been told it.
    pub(super) fn trust(&self, ask: &Ask, at: EntryKey, family: FamilyId, lead: &Lead) -> Option<Arc<Answer>> {
        let proved_until = self.accepted.until(at.scope)?;
        let Lead { record, body, plain } = lead.clone();
        let called = self.keeper.graves.called(ask);
        let accepted_for = u64::try_from(self.filler.policy.proof_window().as_millis()).unwrap_or(u64::MAX);
        let accepted_at = Millis(proved_until.0.saturating_sub(accepted_for));
        if self.keeper.graves.refused_since(called.as_ref(), accepted_at) {
            return None;
        }
        let headers = self.names.crossing(ask, self.filler.base(ask), &record)?;
        // Nor is it stale for longer than the credential is known to be good.
        let stale_until = record.stale_until.min(proved_until.after(self.filler.policy.stale_for));
        let record = wire::Record { family, headers, proved_until, stale_until, ..record };
        let stored = StoredRecord { record, etag: None, source: Source::Peer, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        let is_doubtful = self.keeper.is_doubtful(called.as_ref(), at, &stored.record, true);
        if is_doubtful || !will_do(ask, &answer) {
            return None;
        }
        self.keeper.remember(ask, at, &stored.record, &answer);
        Some(answer)
    }

    /// The best that is left while the origin cannot answer.
    async fn stale(&self, ask: &Ask, at: EntryKey, family: FamilyId, own: Option<&Loaded>) -> Option<Arc<Answer>> {
        if self.mode == Mode::Shadow {
            return None;
        }
        if let Some(own) = own.filter(|own| self.may_be_stale(ask, at, own)) {
            return Some(own.answer.clone());
        }
        if !ask.wants.directives.accepts_stale(Duration::ZERO) {
            return None;
        }
        let sharing = self.sharing_of(ask)?;
        match sharing.ask(ask, Want::Stale, sharing.share.across(ask), None, None).await.0 {
            Word::Told(lead) => self.take_up(ask, at, family, lead, own).map(|told| told.answer),
            Word::Trusted(lead) => self.trust(ask, at, family, &lead),
            Word::Offer(_) | Word::OwnOffer(_) | Word::Refused(_) | Word::Failed(_) | Word::Nothing => None,
        }
    }

    /// Keeps and announces in the background: the client does not wait for the disk.
    fn keep(&self, ask: Ask, at: EntryKey, stored: StoredRecord, body: wire::Body, lease: Option<Lease>) {
        let (keeper, sharing, underway) = (self.keeper.clone(), self.sharing_of(&ask).cloned(), self.keeping.begin());
        self.tasks.spawn(async move {
            let _underway = underway;
            assert!(!canary::sings(canary::Bug::PanicsInATask), "a canary sings");
            let called = keeper.graves.called(&ask);
            let share = {
                let keeper = keeper.clone();
                let (record, shared) = (stored.record.clone(), body.clone());
                move || {
                    let is_doubtful = keeper.is_doubtful(called.as_ref(), at, &record, false)
                        || keeper.graves.heard_since(called.as_ref(), record.validated_at);
                    let sharing = sharing.filter(|_| !is_doubtful)?;
                    let announcement = sharing.announcement(&ask, record, shared);
                    Some((sharing.hold(&announcement).then_some(announcement), sharing))
                }
            };
            match keeper.keep_and(called, at, stored, body, share).await.flatten() {
                Some((Some(announcement), sharing)) => sharing.announce(announcement, lease),
                // What is not held cannot be offered.
                Some((None, _)) => {}
                // For a second or two after a write no answer may be kept: were the waiters to ask one
                // after the other, each would wait for all before it.
                None => lease.into_iter().for_each(|lease| lease.ended(LeaseEnd::Alone)),
            }
        });
    }
}
