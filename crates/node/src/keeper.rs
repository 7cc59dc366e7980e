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
use wire::{Body, Digest, FamilyId, Form, Millis, Record, ScopeId, Version};

use crate::{Counters, doubts::Doubts, limits};

/// What this node holds for its own clients: the memory tier before the store, one key for both.
pub struct Keeper {
    pub ids: IdKeys,
    pub store: Arc<dyn Store>,
    pub doubts: Doubts,
    hot: Hot<Held>,
    /// Held while an answer takes the place of another, in memory and on disk.
    replacing: [Arc<Mutex<()>>; 2],
    tasks: Tasks,
    counters: Arc<Counters>,
}

/// An answer in memory, the family whose writes drop it, and the version that a 304 would confirm.
pub struct Held {
    pub family: FamilyId,
    pub version: Version,
    pub answer: Arc<Answer>,
}

impl Held {
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
    pub fn new(store: Arc<dyn Store>, memory_bytes: u64, tasks: Tasks, counters: Arc<Counters>) -> Self {
        let ids = IdKeys::derive(&store.local_key());
        Self {
            ids,
            store,
            doubts: Doubts::default(),
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

    /// Puts an answer into memory, unless it has become doubtful meanwhile.
    pub fn remember(&self, at: EntryKey, record: &Record, answer: &Arc<Answer>) {
        let Record { family, version, .. } = *record;
        let doubtful = || self.doubts.cover(family, at, answer.validated_at);
        let _replacing = self.replacing[0].lock().expect("no panic while held");
        let is_older = |held: Arc<Held>| held.is_newer_than(record);
        if doubtful() || self.hot.get(&at).is_some_and(is_older) {
            return;
        }
        self.hot.insert(at, Arc::new(Held { family, version, answer: answer.clone() }), answer.weight());
        // A write may have looked just before this was in.
        if doubtful() {
            self.hot.remove(&at);
        }
    }

    /// Keeps an answer that is true for a moment in memory, after the drop that it brings with it.
    pub fn remember_brief(&self, at: EntryKey, family: FamilyId, date_secs: u64, answer: &Arc<Answer>) {
        let doubtful = || self.doubts.cover_but_key(family, at.scope, answer.validated_at);
        let _replacing = self.replacing[0].lock().expect("no panic while held");
        // What is there was asked after the drop.
        if doubtful() || self.hot.get(&at).is_some() {
            return;
        }
        let version = Version { date_secs, digest: Digest::of(&answer.plain) };
        self.hot.insert(at, Arc::new(Held { family, version, answer: answer.clone() }), answer.weight());
        if doubtful() {
            self.hot.remove(&at);
        }
    }

    /// What this node was told before, from memory or the store, whatever its clocks say.
    pub async fn known(&self, at: EntryKey) -> Option<Loaded> {
        match self.in_memory(&at) {
            // Nothing to confirm, and whatever was kept went when this was told.
            Some(held) if held.answer.status != StatusCode::OK => None,
            Some(held) => Some(Loaded::from_memory(&held)),
            None => self.load(at).await,
        }
    }

    /// Reads a record and its body from the store. A store that fails is a store without the record.
    async fn load(&self, at: EntryKey) -> Option<Loaded> {
        let store = self.store.clone();
        let read = move || -> Result<Option<Loaded>, store::GetError> {
            let Some(stored) = store.get(Space::Local, &at)? else { return Ok(None) };
            let Some(body) = store.body(&stored.record.version.digest)? else { return Ok(None) };
            let Ok(plain) = body.verified(stored.record.version.digest, stored.record.body_bytes) else {
                return Ok(None);
            };
            let answer = Arc::new(answer_of(&stored, &body, plain));
            Ok(Some(Loaded { stored, body, answer }))
        };
        // A disk that hangs is a disk without the record.
        match tokio::time::timeout(limits::DISK_PATIENCE, self.tasks.block(read)).await.ok()?? {
            Ok(loaded) => {
                loaded.filter(|l| !self.doubts.cover(l.stored.record.family, at, l.stored.record.validated_at))
            }
            Err(error) => {
                warn!(%error, "cannot read the store; going on without it");
                None
            }
        }
    }

    /// Writes a record and its body, here or in the fleet's space. Failing costs hits, nothing else.
    pub async fn keep(&self, space: Space, at: EntryKey, stored: StoredRecord, body: Body) -> bool {
        let doubtful = space == Space::Local && self.doubts.cover(stored.record.family, at, stored.record.validated_at);
        if doubtful {
            return false;
        }
        let (store, replacing) = (self.store.clone(), self.replacing[1].clone());
        let put = move || {
            let _replacing = replacing.lock().expect("no panic while held");
            let found = if space == Space::Local { store.get(space, &at).ok().flatten() } else { None };
            if found.is_some_and(|found| is_newer(&found.record, found.source == Source::Peer, &stored.record)) {
                return Ok(());
            }
            store.put(space, at, stored, Some(body))
        };
        match self.tasks.block(put).await {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                self.counters.keep_failures.one();
                warn!(%error, "an answer was served but not kept");
                false
            }
            None => false,
        }
    }

    /// Drops what is kept for one key and scope, and what is still on its way. Durable on return.
    pub async fn deny(&self, at: EntryKey, now: Millis) {
        if canary::sings(Bug::KeepsADeniedKey) {
            return;
        }
        self.doubts.key(at, now);
        self.hot.remove(&at);
        self.in_store(Some(now), move |store| store.remove(Space::Local, &at)).await;
    }

    /// Drops what is kept for one key and scope.
    pub async fn forget(&self, at: EntryKey) {
        self.hot.remove(&at);
        self.in_store(None, move |store| store.remove(Space::Local, &at)).await;
    }

    /// Drops all that is kept for a scope. Durable on return.
    pub async fn forget_scope(&self, scope: ScopeId, now: Millis) {
        if canary::sings(Bug::KeepsADroppedScope) {
            return;
        }
        self.doubts.scope(scope, now);
        self.hot.remove_scope(&scope);
        self.in_store(Some(now), move |store| store.remove_scope(Space::Local, &scope).map(drop)).await;
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

    /// Doubts what was asked of the origin at or before `moment`, in this run and, once the future has
    /// ended, in the next ones.
    pub fn forget_before(self: &Arc<Self>, moment: Millis, now: Millis) -> BoxFuture<'static, ()> {
        self.doubts.everything(moment);
        self.hot.retain(|_, held| held.answer.validated_at > moment);
        self.doubt_on_disk(now)
    }

    fn doubt_on_disk(self: &Arc<Self>, now: Millis) -> BoxFuture<'static, ()> {
        let (keeper, until) = (self.clone(), self.doubts.everything_until());
        let doubt = move |store: &dyn Store| store.set_meta(DOUBT_META, until.0.to_be_bytes().to_vec());
        async move { keeper.in_store(Some(now), doubt).await }.boxed()
    }

    /// Takes up the doubts of an earlier run. Returns up to when what peers tell is doubtful.
    pub fn restore_doubts(&self) -> Millis {
        let moment = |name| {
            let bytes = self.store.meta(name).ok().flatten().and_then(|bytes| bytes.try_into().ok());
            Millis(u64::from_be_bytes(bytes.unwrap_or_default()))
        };
        self.doubts.everything(moment(DOUBT_META));
        moment(PEER_DOUBT_META)
    }

    /// Changes the store; with a time, the change is committed. A disk that hangs is not waited for.
    async fn in_store(
        &self,
        commit: Option<Millis>,
        change: impl FnOnce(&dyn Store) -> Result<(), store::PutError> + Send + 'static,
    ) {
        let store = self.store.clone();
        let changed = self.tasks.block(move || {
            if let Err(error) = change(&*store) {
                warn!(%error, "could not remove an entry from the store; it is not served in this run");
            }
            // Which families and scopes is forgotten with the process, so all that peers know is meant.
            if let Some(Err(error)) = commit.map(|now| store.set_meta(PEER_DOUBT_META, now.0.to_be_bytes().to_vec())) {
                warn!(%error, "after a restart a peer may bring back what was removed now");
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

const DOUBT_META: &str = "everything doubtful until";

/// The last write or refusal that went through this machine: after a restart, a peer's record that is
/// not newer would bring back what it has dropped.
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
