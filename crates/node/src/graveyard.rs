use std::sync::{Arc, Mutex, MutexGuard};

use crypto::{FleetKeys, IdKeys};
use fleet::{GraveChange, Graves};
use github::{Ask, Credential, Family, Touches};
use store::Store;
use tracing::warn;
use wire::{FamilyId, Grave, KeyId, Millis, Record, ScopeId, Tombstone};

use crate::origin_clock::{OriginClock, shifted};

/// What no client of this machine may be told any more, by the names that the fleet has for it.
///
/// The keeper's own names are keyed by this disk alone, so that no peer could say what it means; what
/// is kept carries the fleet's names beside them. A machine without a fleet buries nothing here: its
/// own writes remove what they touch.
pub struct Graveyard {
    fleet: Option<FleetNames>,
    clock: Arc<OriginClock>,
    table: Mutex<Table>,
    /// Held while the store is told: who commits next commits that, too.
    saving: Mutex<()>,
}

struct FleetNames {
    ids: IdKeys,
    topic: String,
}

#[derive(Default)]
struct Table {
    graves: Graves,
    /// What the store has not been told yet.
    unsaved: Vec<GraveChange>,
}

/// What the fleet calls an answer.
#[derive(Clone, Copy, Debug)]
pub struct Called {
    key: KeyId,
    scope: ScopeId,
    family: FamilyId,
    /// How far the origin's clock was ahead of ours, in milliseconds.
    ahead: Option<i64>,
}

impl Graveyard {
    pub fn new(fleet: Option<&FleetKeys>, clock: Arc<OriginClock>) -> Self {
        let fleet = fleet.map(|keys| FleetNames { ids: keys.ids.clone(), topic: keys.topic.clone() });
        Self { fleet, clock, table: Mutex::default(), saving: Mutex::default() }
    }

    pub fn has_fleet(&self) -> bool {
        self.fleet.is_some()
    }

    /// The origin's time, of one site or of that which is furthest ahead, in seconds.
    pub fn origin_secs(&self, site: Option<&str>, now: Millis) -> u64 {
        self.clock.secs(site, now)
    }

    /// `None` without a fleet.
    pub fn called(&self, ask: &Ask) -> Option<Called> {
        let ids = &self.fleet.as_ref()?.ids;
        Some(Called {
            key: ids.key_id(&ask.key()),
            scope: ids.scope_id(ask.credential.as_ref().map(Credential::reveal)),
            family: ids.family_id(ask.family.as_str()),
            ahead: self.clock.ahead(&ask.host),
        })
    }

    /// Buries what a write touches. Call it before the fleet is told.
    pub fn touched(&self, touches: &Touches, date_secs: u64, now: Millis) {
        let Some(FleetNames { ids, .. }) = &self.fleet else { return };
        let graves = match touches {
            Touches::Everything => vec![Grave::Everything],
            Touches::Families(families) => {
                families.iter().map(|family: &Family| Grave::Family(ids.family_id(family.as_str()))).collect()
            }
        };
        self.bury(graves.into_iter().map(|of| Tombstone { of, date_secs }), now);
    }

    /// Buries what a refused credential was told, all of it or one answer.
    pub fn denied(&self, ask: &Ask, whole_credential: bool, date_secs: u64, now: Millis) {
        let Some(Called { key, scope, .. }) = self.called(ask) else { return };
        if !whole_credential && canary::sings(canary::Bug::KeepsADeniedKey) {
            return;
        }
        let of = if whole_credential { Grave::Scope(scope) } else { Grave::Denied(key, scope) };
        self.bury([Tombstone { of, date_secs }], now);
    }

    pub fn refused(&self, credential: &Credential, date_secs: u64, now: Millis) {
        let Some(FleetNames { ids, .. }) = &self.fleet else { return };
        let of = Grave::Scope(ids.scope_id(Some(credential.reveal())));
        self.bury([Tombstone { of, date_secs }], now);
    }

    /// Returns whether any of these says something new.
    pub fn bury(&self, tombstones: impl IntoIterator<Item = Tombstone>, now: Millis) -> bool {
        if self.fleet.is_none() {
            return false;
        }
        let mut table = self.lock();
        let changes: Vec<GraveChange> =
            tombstones.into_iter().flat_map(|tombstone| table.graves.bury(tombstone, now)).collect();
        let is_news = !changes.is_empty();
        table.unsaved.extend(changes);
        let old = table.graves.expire(now);
        table.unsaved.extend(old);
        is_news
    }

    /// Whether a record may not be served. What a peer asked is as old as it is dated; what this machine
    /// asked itself is no newer than when it asked, though the answer may be dated later.
    pub fn covers(&self, called: Option<&Called>, record: &Record, from_peer: bool) -> bool {
        let (date_secs, asked_at) = (record.version.date_secs, record.validated_at);
        called.is_some_and(|called| called.is_buried(&self.lock().graves, date_secs, asked_at, from_peer))
    }

    /// The same, but for what was denied to one key.
    pub fn covers_but_denial(&self, called: Option<&Called>, date_secs: u64) -> bool {
        called.is_some_and(|called| {
            self.lock().graves.cover_but_denial(called.key, called.scope, called.family, date_secs)
        })
    }

    /// Looks at many answers under one lock.
    pub fn with_covers(&self, work: impl FnOnce(&dyn Fn(&Called, u64, Millis, bool) -> bool)) {
        let table = self.lock();
        work(&|called, date_secs, asked_at, from_peer| called.is_buried(&table.graves, date_secs, asked_at, from_peer));
    }

    /// Whether something about it was heard since that moment: then what was asked before is not kept.
    pub fn heard_since(&self, called: Option<&Called>, moment: Millis) -> bool {
        called.is_some_and(|Called { key, scope, family, .. }| {
            self.lock().graves.heard_since(*key, *scope, *family, moment)
        })
    }

    /// Whether a member has been told since that moment that the credential is none.
    pub fn refused_since(&self, called: Option<&Called>, moment: Millis) -> bool {
        called.is_some_and(|called| self.lock().graves.refused_since(called.scope, moment))
    }

    pub fn all(&self) -> Vec<(Tombstone, Millis)> {
        self.lock().graves.all().collect()
    }

    pub fn len(&self) -> usize {
        self.lock().graves.len()
    }

    /// Gives the store what it has not been told yet; durable with its next flush. Blocks on the disk.
    pub fn save(&self, store: &dyn Store, now: Millis) {
        let Some(FleetNames { topic, .. }) = &self.fleet else { return };
        let _saving = self.saving.lock().expect("no panic while held");
        let unsaved = std::mem::take(&mut self.lock().unsaved);
        for (of, buried) in unsaved {
            let Some(fleet::Buried { date_secs, heard_at }) = buried else {
                store.unbury(&of);
                continue;
            };
            if let Err(error) = store.bury(Tombstone { of, date_secs }, heard_at) {
                warn!(%error, "after a restart an old answer may come back");
            }
        }
        let saved = [&now.0.to_be_bytes(), topic.as_bytes()].concat();
        if let Err(error) = store.set_meta(SAVED_META, saved) {
            warn!(%error, "after a restart it is not known which fleet the tombstones are of");
        }
    }

    /// Takes up the tombstones of earlier runs. If they are of another fleet, nobody knows what they
    /// name: then the moment up to which everything is doubtful is returned.
    pub fn restore(&self, store: &dyn Store) -> Option<Millis> {
        let saved = store.meta(SAVED_META).ok().flatten()?;
        let (at, topic) = saved.split_first_chunk()?;
        let at = Millis(u64::from_be_bytes(*at));
        match &self.fleet {
            Some(fleet) if fleet.topic.as_bytes() == topic => {
                let mut table = self.lock();
                for (tombstone, heard_at) in store.tombstones() {
                    table.graves.bury(tombstone, heard_at);
                }
                None
            }
            Some(_) => {
                store.tombstones().iter().for_each(|(tombstone, _)| store.unbury(&tombstone.of));
                Some(at)
            }
            None => Some(at),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic while held")
    }
}

impl Called {
    fn is_buried(&self, graves: &Graves, date_secs: u64, asked_at: Millis, from_peer: bool) -> bool {
        let asked = self.ahead.filter(|_| !from_peer).map(|ahead| shifted(asked_at, ahead).as_secs());
        let date_secs = asked.unwrap_or(u64::MAX).min(date_secs);
        graves.cover(self.key, self.scope, self.family, date_secs)
    }
}

/// When tombstones were last saved, and the topic of the fleet whose names they have.
const SAVED_META: &str = "tombstones saved at, of fleet";
