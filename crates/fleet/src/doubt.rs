use std::collections::BTreeMap;

use wire::{FamilyId, KeyId, Record, ScopeId};

use crate::{Touched, limits};

/// What this node knows to be doubtful: versions up to some date, by the origin's clock.
///
/// Without it, an announce that was on its way while a write went out would bring the old answer
/// back. On a tie the doubt wins.
#[derive(Default)]
pub struct Doubts {
    everything: u64,
    families: BTreeMap<FamilyId, u64>,
    scopes: BTreeMap<(ScopeId, Option<KeyId>), u64>,
}

impl Doubts {
    pub fn invalidate(&mut self, touched: &Touched, date_secs: u64) {
        match touched {
            Touched::Everything => self.everything = self.everything.max(date_secs),
            Touched::Families(families) => {
                for family in families {
                    remember(&mut self.families, *family, date_secs);
                }
            }
        }
    }

    pub fn deny(&mut self, scope: ScopeId, key: Option<KeyId>, date_secs: u64) {
        remember(&mut self.scopes, (scope, key), date_secs);
    }

    pub fn covers(&self, key: KeyId, scope: ScopeId, record: &Record) -> bool {
        let denied = |key| self.scopes.get(&(scope, key)).copied();
        let doubts =
            [Some(self.everything), self.families.get(&record.family).copied(), denied(None), denied(Some(key))];
        doubts.into_iter().flatten().any(|date_secs| record.version.date_secs <= date_secs)
    }
}

fn remember<K: Ord + Copy>(map: &mut BTreeMap<K, u64>, key: K, date_secs: u64) {
    let known = map.entry(key).or_default();
    *known = (*known).max(date_secs);
    if map.len() > limits::DOUBTS_MAX {
        let oldest = map.iter().min_by_key(|(_, date)| **date).map(|(key, _)| *key);
        oldest.map(|key| map.remove(&key));
    }
}
