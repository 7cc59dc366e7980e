use std::{collections::BTreeMap, sync::Mutex};

use store::EntryKey;
use wire::{FamilyId, Millis, ScopeId};

use crate::limits;

/// Until when what this node was told has become doubtful: after a write, or a refused credential.
///
/// Whatever was asked of the origin at or before that moment is neither served nor kept; so an
/// answer that was on its way while the write went out does not bring the old state back.
#[derive(Default)]
pub struct Doubts(Mutex<Moments>);

#[derive(Default)]
struct Moments {
    everything: Millis,
    families: BTreeMap<FamilyId, Millis>,
    scopes: BTreeMap<ScopeId, Millis>,
    keys: BTreeMap<EntryKey, Millis>,
}

impl Doubts {
    pub fn everything(&self, now: Millis) {
        let mut moments = self.lock();
        moments.everything = moments.everything.max(now);
    }

    /// Until when everything is doubtful.
    pub fn everything_until(&self) -> Millis {
        self.lock().everything
    }

    pub fn family(&self, family: FamilyId, now: Millis) {
        let mut moments = self.lock();
        moments.families.insert(family, now);
        moments.make_room(now);
    }

    pub fn scope(&self, scope: ScopeId, now: Millis) {
        let mut moments = self.lock();
        moments.scopes.insert(scope, now);
        moments.make_room(now);
    }

    pub fn key(&self, at: EntryKey, now: Millis) {
        let mut moments = self.lock();
        moments.keys.insert(at, now);
        moments.make_room(now);
    }

    /// Whether something asked at `asked_at` is doubtful.
    pub fn cover(&self, family: FamilyId, at: EntryKey, asked_at: Millis) -> bool {
        let moments = self.lock();
        let doubtful = |at: Option<&Millis>| at.is_some_and(|at| asked_at <= *at);
        asked_at <= moments.everything
            || doubtful(moments.families.get(&family))
            || doubtful(moments.scopes.get(&at.scope))
            || doubtful(moments.keys.get(&at))
    }

    /// The same, but for what was denied to one key.
    pub fn cover_but_key(&self, family: FamilyId, scope: ScopeId, asked_at: Millis) -> bool {
        let moments = self.lock();
        let doubtful = |at: Option<&Millis>| at.is_some_and(|at| asked_at <= *at);
        asked_at <= moments.everything
            || doubtful(moments.families.get(&family))
            || doubtful(moments.scopes.get(&scope))
    }

    pub fn len(&self) -> usize {
        let moments = self.lock();
        moments.families.len() + moments.scopes.len() + moments.keys.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Moments> {
        self.0.lock().expect("no panic while held")
    }
}

impl Moments {
    /// Forgetting single doubts is safe if everything as old is doubted instead.
    fn make_room(&mut self, now: Millis) {
        if self.families.len() + self.scopes.len() + self.keys.len() > limits::DOUBTS_MAX {
            *self = Self { everything: now, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::KeyId;

    use super::*;

    #[test]
    fn what_was_asked_before_the_write_is_doubtful_and_what_was_asked_after_is_not() {
        let (family, scope) = (FamilyId([1; 16]), ScopeId([2; 16]));
        let at = EntryKey { scope, key: KeyId([3; 16]) };
        let doubts = Doubts::default();
        doubts.family(family, Millis(10));
        assert!(doubts.cover(family, at, Millis(10)));
        assert!(!doubts.cover(family, at, Millis(11)));
        assert!(!doubts.cover(FamilyId([9; 16]), at, Millis(10)));
        doubts.scope(scope, Millis(20));
        assert!(doubts.cover(family, at, Millis(20)));
        doubts.key(at, Millis(30));
        assert!(doubts.cover(family, at, Millis(30)));
        assert!(!doubts.cover(family, EntryKey { key: KeyId([4; 16]), ..at }, Millis(30)));
    }

    #[test]
    fn what_no_longer_fits_is_doubted_as_a_whole() {
        let doubts = Doubts::default();
        for n in 0..=limits::DOUBTS_MAX as u128 {
            doubts.family(FamilyId(n.to_be_bytes()), Millis(10));
        }
        let at = EntryKey { scope: ScopeId([2; 16]), key: KeyId([3; 16]) };
        assert!(doubts.cover(FamilyId([9; 16]), at, Millis(10)));
    }
}
