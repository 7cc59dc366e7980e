use std::{
    cell::Cell,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use canary::Bug;
use crypto::IdKeys;
use futures::{FutureExt, future::BoxFuture};
use gateway::Answer;
use github::{Ask, Credential};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use store::{EntryKey, Hot, Source, Space, Store, StoredRecord};
use task::Tasks;
use tracing::warn;
use wire::{Body, Digest, FamilyId, Form, Millis, Record, ScopeId, Tombstone, Version};

use crate::{
    Counters,
    doubts::Doubts,
    graveyard::{Called, Graveyard},
    limits,
};

/// What this node holds for its own clients: the memory tier before the store, one key for both.
pub struct Keeper {
    pub ids: IdKeys,
    pub store: Arc<dyn Store>,
    pub doubts: Doubts,
    pub graves: Graveyard,
    hot: Hot<Held>,
    /// Held while an answer takes the place of another, in memory and on disk.
    replacing: [Arc<Mutex<()>>; 2],
    tasks: Tasks,
    counters: Arc<Counters>,
}

/// An answer in memory, the family whose writes drop it, the names by which the fleet would bury it,
/// and the version that a 304 would confirm.
pub struct Held {
    called: Option<Called>,
    pub family: FamilyId,
    pub version: Version,
    pub answer: Arc<Answer>,
}

impl Held {
    fn is_buried(&self, covers: &dyn Fn(&Called, u64, Millis, bool) -> bool) -> bool {
        let Answer { status, validated_at, from_peer, .. } = *self.answer;
        // What is told again for a moment is itself a denial.
        let called = self.called.as_ref().filter(|_| status == StatusCode::OK);
        called.is_some_and(|called| covers(called, self.version.date_secs, validated_at, from_peer))
    }

    fn is_newer_than(&self, record: &Record) -> bool {
        let Answer { validated_at, from_peer, .. } = *self.answer;
        is_newer_by(self.version.date_secs, validated_at, from_peer, record)
    }
}

fn is_newer(found: &Record, from_peer: bool, than: &Record) -> bool {
    is_newer_by(found.version.date_secs, found.validated_at, from_peer, than)
}

/// Whether what is kept is newer than `record`. What this node asked itself is ordered by when it
/// asked: an answer that took long may be dated later and still be the older one. What a peer asked
/// is ordered by GitHub's `Date`, since no clock but GitHub's is common to both.
fn is_newer_by(date_secs: u64, validated_at: Millis, from_peer: bool, record: &Record) -> bool {
    if from_peer { date_secs > record.version.date_secs } else { validated_at > record.validated_at }
}

/// An answer from the store, and what a conditional request needs.
pub struct Loaded {
    pub stored: StoredRecord,
    pub body: Body,
    pub answer: Arc<Answer>,
}

impl Keeper {
    pub fn new(
        store: Arc<dyn Store>,
        graves: Graveyard,
        memory_bytes: u64,
        tasks: Tasks,
        counters: Arc<Counters>,
    ) -> Self {
        let ids = IdKeys::derive(&store.local_key());
        Self {
            ids,
            store,
            doubts: Doubts::default(),
            graves,
            hot: Hot::new(memory_bytes),
            replacing: Default::default(),
            tasks,
            counters,
        }
    }

    pub fn key_of(&self, ask: &Ask) -> EntryKey {
        EntryKey { scope: self.scope_of(ask.credential.as_ref()), key: self.ids.key_id(&ask.key()) }
    }

    pub fn scope_of(&self, credential: Option<&Credential>) -> ScopeId {
        let credential = credential.filter(|_| !canary::sings(Bug::ServesAcrossScopes));
        self.ids.scope_id(credential.map(Credential::reveal))
    }

    pub fn family_of(&self, ask: &Ask) -> FamilyId {
        self.counters.families.note(&ask.family);
        self.ids.family_id(ask.family.as_str())
    }

    pub fn in_memory(&self, at: &EntryKey) -> Option<Arc<Held>> {
        self.hot.get(at)
    }

    /// Whether a record of this disk's own may not be served: it is older than a write, or than a refusal,
    /// that this node has heard of.
    pub fn is_doubtful(&self, called: Option<&Called>, at: EntryKey, record: &Record, from_peer: bool) -> bool {
        self.doubts.cover(record.family, at, record.validated_at) || self.graves.covers(called, record, from_peer)
    }

    /// Puts an answer into memory, unless it has become doubtful meanwhile.
    pub fn remember(&self, ask: &Ask, at: EntryKey, record: &Record, answer: &Arc<Answer>) {
        let Record { family, version, .. } = *record;
        let called = self.graves.called(ask);
        let doubtful = || self.is_doubtful(called.as_ref(), at, record, answer.from_peer);
        let _replacing = self.replacing[0].lock().expect("no panic while held");
        let is_older = |held: Arc<Held>| held.is_newer_than(record);
        if doubtful() || self.hot.get(&at).is_some_and(is_older) {
            return;
        }
        self.hot.insert(at, Arc::new(Held { called, family, version, answer: answer.clone() }), answer.weight());
        // A write may have looked just before this was in.
        if doubtful() {
            self.hot.remove(&at);
        }
    }

    /// Keeps an answer that is true for a moment in memory, after the drop that it brings with it.
    pub fn remember_brief(&self, ask: &Ask, at: EntryKey, family: FamilyId, date_secs: u64, answer: &Arc<Answer>) {
        let called = self.graves.called(ask);
        let doubtful = || {
            self.doubts.cover_but_key(family, at.scope, answer.validated_at)
                || self.graves.covers_but_denial(called.as_ref(), date_secs)
        };
        let _replacing = self.replacing[0].lock().expect("no panic while held");
        // What is there was asked after the drop.
        if doubtful() || self.hot.get(&at).is_some() {
            return;
        }
        let version = Version { date_secs, digest: Digest::of(&answer.plain) };
        self.hot.insert(at, Arc::new(Held { called, family, version, answer: answer.clone() }), answer.weight());
        if doubtful() {
            self.hot.remove(&at);
        }
    }

    /// What this node was told before, from memory or the store, whatever its clocks say.
    pub async fn known(self: &Arc<Self>, ask: &Ask, at: EntryKey) -> Option<Loaded> {
        match self.in_memory(&at) {
            // Nothing to confirm, and whatever was kept went when this was told.
            Some(held) if held.answer.status != StatusCode::OK => None,
            Some(held) => Some(Loaded::from_memory(&held)),
            None => self.load(ask, at).await,
        }
    }

    /// Reads a record and its body from the store. A store that fails is a store without the record.
    async fn load(self: &Arc<Self>, ask: &Ask, at: EntryKey) -> Option<Loaded> {
        let (store, called) = (self.store.clone(), self.graves.called(ask));
        let read = move || -> Result<Option<Loaded>, store::GetError> {
            let Some((stored, body)) = store.load(Space::Local, &at)? else { return Ok(None) };
            let digest = stored.record.version.digest;
            let plain = match body.verified(digest, stored.record.body_bytes) {
                Ok(plain) => plain,
                Err(error) => {
                    warn!(%error, "a body on the disk is damaged; it is dropped, and asked for again");
                    store.report_damage(&digest);
                    return Ok(None);
                }
            };
            let answer = Arc::new(answer_of(&stored, &body, plain));
            Ok(Some(Loaded { stored, body, answer }))
        };
        // A disk that hangs is a disk without the record.
        match tokio::time::timeout(limits::DISK_PATIENCE, self.tasks.block(read)).await.ok()?? {
            Ok(loaded) => {
                let StoredRecord { record, source, .. } = &loaded.as_ref()?.stored;
                if self.is_doubtful(called.as_ref(), at, record, *source == Source::Peer) {
                    self.forget(at).await;
                    return None;
                }
                loaded
            }
            Err(error) => {
                warn!(%error, "cannot read the store; going on without it");
                None
            }
        }
    }

    /// Writes a record and its body. Failing costs hits, nothing else.
    pub async fn keep(&self, called: Option<Called>, at: EntryKey, stored: StoredRecord, body: Body) {
        self.keep_and(called, at, stored, body, || ()).await;
    }

    /// The same, and then does `next`, where it may block, and whether it was kept or not. `None` if the
    /// answer is doubtful, or the machine went down.
    pub async fn keep_and<R: Send + 'static>(
        &self,
        called: Option<Called>,
        at: EntryKey,
        stored: StoredRecord,
        body: Body,
        next: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        if self.is_doubtful(called.as_ref(), at, &stored.record, stored.source == Source::Peer) {
            return None;
        }
        let (store, replacing) = (self.store.clone(), self.replacing[1].clone());
        let put = move || {
            let _replacing = replacing.lock().expect("no panic while held");
            let found = store.get(Space::Local, &at).ok().flatten();
            if found.is_some_and(|found| is_newer(&found.record, found.source == Source::Peer, &stored.record)) {
                return Ok(());
            }
            store.put(Space::Local, at, stored, Some(body))
        };
        // One job for both: a way to another thread and back takes as long as the work there.
        let (kept, done) = self.tasks.block(move || (put(), next())).await?;
        if let Err(error) = kept {
            self.counters.keep_failures.one();
            warn!(%error, "an answer was served but not kept");
        }
        Some(done)
    }

    /// Drops what is kept for one key and scope, and what is still on its way. Durable on return.
    pub async fn deny(self: &Arc<Self>, at: EntryKey, now: Millis) {
        if canary::sings(Bug::KeepsADeniedKey) {
            return;
        }
        self.doubts.key(at, now);
        self.hot.remove(&at);
        self.in_store(Some(now), move |store| store.remove(Space::Local, &at)).await;
    }

    /// Drops what is kept for one key and scope.
    pub async fn forget(self: &Arc<Self>, at: EntryKey) {
        self.hot.remove(&at);
        self.in_store(None, move |store| store.remove(Space::Local, &at)).await;
    }

    /// Drops all that is kept for a scope. Durable on return.
    pub async fn forget_scope(self: &Arc<Self>, scope: ScopeId, now: Millis) {
        if canary::sings(Bug::KeepsADroppedScope) {
            return;
        }
        self.doubts.scope(scope, now);
        self.hot.remove_scope(&scope);
        self.in_store(Some(now), move |store| store.remove_scope(Space::Local, &scope).map(drop)).await;
    }

    /// Buries what the fleet says; memory drops it at once, and the disk when it is asked for it. Returns
    /// whether there was something new, which is to be saved.
    pub fn bury(&self, tombstones: Vec<Tombstone>, now: Millis) -> bool {
        let is_news = self.graves.bury(tombstones, now);
        if is_news {
            self.graves.with_covers(|covers| self.hot.retain(|_, held| !held.is_buried(covers)));
        }
        is_news
    }

    /// Drops all that is kept for some families: memory at once, the disk by the end of the future,
    /// so that a crash after the write does not bring the old answers back.
    pub fn forget_families(self: &Arc<Self>, families: Vec<FamilyId>, now: Millis) -> BoxFuture<'static, ()> {
        for family in &families {
            self.doubts.family(*family, now);
        }
        self.hot.remove_family(|held| families.contains(&held.family));
        let keeper = self.clone();
        async move {
            let remove = move |store: &dyn Store| {
                families.iter().try_for_each(|family| store.remove_family(Space::Local, family).map(drop))
            };
            keeper.in_store(Some(now), remove).await;
        }
        .boxed()
    }

    /// How many answers of some families memory holds. Looks at each that it holds.
    pub fn count_in_memory(&self, families: &[FamilyId]) -> usize {
        let count = Cell::new(0);
        self.hot.retain(|_, held| {
            count.set(count.get() + usize::from(families.contains(&held.family)));
            true
        });
        count.get()
    }

    /// Doubts all that is kept, in this run and, once the future has ended, in the next ones.
    pub fn forget_everything(self: &Arc<Self>, now: Millis) -> BoxFuture<'static, ()> {
        self.doubts.everything(now);
        self.hot.clear();
        self.doubt_on_disk(now)
    }

    /// Doubts what was asked of the origin at or before `moment`, and what peers tell that is no newer
    /// than `told_until`, in this run and, once the future has ended, in the next ones.
    pub fn forget_before(self: &Arc<Self>, moment: Millis, told_until: Millis, now: Millis) -> BoxFuture<'static, ()> {
        self.doubts.everything(moment);
        self.hot.retain(|_, held| held.answer.validated_at > moment);
        let (keeper, doubted) = (self.clone(), self.doubt_on_disk(now));
        let told = move |store: &dyn Store| store.set_meta(PEER_DOUBT_META, told_until.0.to_be_bytes().to_vec());
        async move {
            keeper.in_store(None, told).await;
            doubted.await;
        }
        .boxed()
    }

    fn doubt_on_disk(self: &Arc<Self>, now: Millis) -> BoxFuture<'static, ()> {
        let (keeper, until) = (self.clone(), self.doubts.everything_until());
        let doubt = move |store: &dyn Store| store.set_meta(DOUBT_META, until.0.to_be_bytes().to_vec());
        async move { keeper.in_store(Some(now), doubt).await }.boxed()
    }

    /// Gives the disk what was buried; durable with its next commit. Blocks on it.
    pub fn save_graves(&self, now: Millis) {
        self.graves.save(&*self.store, now);
    }

    /// Takes up the doubts of an earlier run. Returns up to when what peers tell is doubtful.
    pub fn restore_doubts(&self) -> Millis {
        let moment = |name| {
            let bytes = self.store.meta(name).ok().flatten().and_then(|bytes| bytes.try_into().ok());
            Millis(u64::from_be_bytes(bytes.unwrap_or_default()))
        };
        let foreign = self.graves.restore(&*self.store).unwrap_or_default();
        let doubted = moment(DOUBT_META).max(foreign);
        self.doubts.everything(doubted);
        if foreign > Millis::ZERO {
            // Its tombstones are gone from the disk, or will be when there is a fleet again.
            let kept = self.store.set_meta(DOUBT_META, doubted.0.to_be_bytes().to_vec());
            kept.unwrap_or_else(|error| warn!(%error, "the next run may not doubt what this one does"));
        }
        moment(PEER_DOUBT_META).max(foreign)
    }

    /// Changes the store; with a time, the change is committed. A disk that hangs is not waited for.
    async fn in_store(
        self: &Arc<Self>,
        commit: Option<Millis>,
        change: impl FnOnce(&dyn Store) -> Result<(), store::PutError> + Send + 'static,
    ) {
        let (keeper, store) = (self.clone(), self.store.clone());
        let changed = self.tasks.block(move || {
            if let Err(error) = change(&*store) {
                warn!(%error, "could not remove an entry from the store; it is not served in this run");
            }
            if let Some(now) = commit {
                keeper.commit_doubts(now);
            }
            if let Some(Err(error)) = commit.map(|now| store.flush(now)) {
                warn!(%error, "a removal is not committed yet");
            }
        });
        if tokio::time::timeout(limits::DISK_PATIENCE, changed).await.is_err() {
            warn!("the disk is slow; going on before a removal is committed");
        }
    }
}

impl Keeper {
    /// Sees that a peer cannot bring back after a restart what is removed now: by the tombstones, or
    /// where there is no fleet that would have names for them, by doubting all that peers know.
    fn commit_doubts(&self, now: Millis) {
        if self.graves.has_fleet() {
            return self.graves.save(&*self.store, now);
        }
        if let Err(error) = self.store.set_meta(PEER_DOUBT_META, now.0.to_be_bytes().to_vec()) {
            warn!(%error, "after a restart a peer may bring back what was removed now");
        }
    }
}

const DOUBT_META: &str = "everything doubtful until";

/// The last write or refusal that went through this machine without a fleet, or the last order that the
/// fleet was not told of: after a restart, a peer's record that is not newer would bring back what it has
/// dropped.
const PEER_DOUBT_META: &str = "peers' records doubtful until";

impl Loaded {
    /// What memory holds, in the form that the store would give.
    fn from_memory(held: &Held) -> Self {
        let answer = held.answer.clone();
        let (form, encoded) = match &answer.gzip {
            Some(gzip) => (Form::Gzip, gzip.clone()),
            None => (Form::Identity, answer.plain.clone()),
        };
        let record = Record {
            family: held.family,
            version: held.version,
            status: answer.status.as_u16(),
            headers: github::kept_headers(&answer.headers),
            body_bytes: answer.plain.len() as u64,
            validated_at: answer.validated_at,
            fresh_until: answer.fresh_until,
            proved_until: answer.proved_until,
            stale_until: answer.stale_until,
        };
        let etag = answer.etag.as_ref().and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let source = if answer.from_peer { Source::Peer } else { Source::Origin };
        Self { stored: StoredRecord { record, etag, source, tag: None }, body: Body { form, encoded }, answer }
    }
}

/// Makes an answer ready for memory from what the store or a peer has.
pub fn answer_of(stored: &StoredRecord, body: &Body, plain: Bytes) -> Answer {
    let record = &stored.record;
    Answer {
        status: StatusCode::from_u16(record.status).unwrap_or(StatusCode::OK),
        headers: headers_of(record),
        etag: stored.etag.as_deref().and_then(|etag| HeaderValue::from_str(etag).ok()),
        plain,
        gzip: (body.form == Form::Gzip).then(|| body.encoded.clone()),
        validated_at: record.validated_at,
        fresh_until: record.fresh_until,
        proved_until: record.proved_until,
        stale_until: record.stale_until,
        from_peer: stored.source == Source::Peer,
        dressed: Default::default(),
    }
}

/// A record's headers, those that this version keeps: a peer may have sent any.
fn headers_of(record: &Record) -> HeaderMap {
    let known = record.headers.iter().filter(|header| github::KEPT_HEADERS.contains(&header.name.as_str()));
    known
        .filter_map(|header| {
            let name = HeaderName::try_from(&header.name).ok()?;
            Some((name, HeaderValue::from_bytes(&header.value).ok()?))
        })
        .collect()
}
