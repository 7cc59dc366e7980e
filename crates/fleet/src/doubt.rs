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
                    let known = self.families.entry(*family).or_default();
                    *known = (*known).max(date_secs);
                }
                self.make_room();
            }
        }
    }

    pub fn deny(&mut self, scope: ScopeId, key: Option<KeyId>, date_secs: u64) {
        let known = self.scopes.entry((scope, key)).or_default();
        *known = (*known).max(date_secs);
        self.make_room();
    }

    pub fn covers(&self, key: KeyId, scope: ScopeId, record: &Record) -> bool {
        let denied = |key| self.scopes.get(&(scope, key)).copied();
        let doubts =
            [Some(self.everything), self.families.get(&record.family).copied(), denied(None), denied(Some(key))];
        doubts.into_iter().flatten().any(|date_secs| record.version.date_secs <= date_secs)
    }

    /// Forgetting single doubts is safe if everything as old is doubted instead.
    fn make_room(&mut self) {
        if self.families.len() + self.scopes.len() > limits::DOUBTS_MAX {
            let newest = self.families.values().chain(self.scopes.values()).max().copied().unwrap_or_default();
            *self = Self { everything: self.everything.max(newest), ..Self::default() };
        }
    }
}
