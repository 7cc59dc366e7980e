use std::collections::{BTreeMap, BTreeSet};

use wire::{FamilyId, Grave, KeyId, Millis, ScopeId, Tombstone};

use crate::limits;

/// The tombstones that a node knows of: versions up to some date, by the origin's clock, are not to be
/// served. On a tie the tombstone wins.
///
/// Without them, what was on its way while a write went out would bring the old answer back, and so
/// would what another machine still has on its disk. Bounded by [`limits::DOUBTS_MAX`]: over it single
/// ones are forgotten, and what is wider is doubted in their place.
#[derive(Debug, Default)]
pub struct Graves {
    dates: BTreeMap<Grave, Buried>,
    by_age: BTreeSet<(Millis, Grave)>,
}

/// Up to which version something is buried, and when this node heard of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buried {
    pub date_secs: u64,
    pub heard_at: Millis,
}

/// What is to be buried, or is no longer.
pub type GraveChange = (Grave, Option<Buried>);

impl Graves {
    /// Adds a tombstone. Returns what changed: nothing, if as much was buried before; more than the
    /// tombstone itself, if it makes others needless or there was no room.
    pub fn bury(&mut self, tombstone: Tombstone, heard_at: Millis) -> Vec<GraveChange> {
        let Tombstone { of, date_secs } = tombstone;
        if !self.is_news(&tombstone) {
            return Vec::new();
        }
        let mut changed = BTreeMap::new();
        self.insert(of, Buried { date_secs, heard_at }, &mut changed);
        if of == Grave::Everything {
            let needless =
                |(grave, buried): (&Grave, &Buried)| (*grave != of && buried.date_secs <= date_secs).then_some(*grave);
            for grave in self.dates.iter().filter_map(needless).collect::<Vec<_>>() {
                self.remove(&grave, &mut changed);
            }
        }
        if self.dates.len() > limits::DOUBTS_MAX {
            self.make_room(heard_at, &mut changed);
        }
        changed.into_iter().collect()
    }

    /// Whether a tombstone says more than is known.
    pub fn is_news(&self, tombstone: &Tombstone) -> bool {
        let wider = match tombstone.of {
            Grave::Denied(_, scope) => Some(Grave::Scope(scope)),
            _ => None,
        };
        let known = [Some(Grave::Everything), Some(tombstone.of), wider];
        let dates = known.into_iter().flatten().filter_map(|grave| self.dates.get(&grave));
        dates.map(|buried| buried.date_secs).max().is_none_or(|known| known < tombstone.date_secs)
    }

    /// Whether a version of that date is buried.
    pub fn cover(&self, key: KeyId, scope: ScopeId, family: FamilyId, date_secs: u64) -> bool {
        self.over(key, scope, family).any(|buried| date_secs <= buried.date_secs)
    }

    /// The same, but for what was denied to one credential.
    pub fn cover_but_denial(&self, key: KeyId, scope: ScopeId, family: FamilyId, date_secs: u64) -> bool {
        let graves = [Grave::Everything, Grave::Family(family), Grave::Key(key), Grave::Scope(scope)];
        let mut buried = graves.iter().filter_map(|grave| self.dates.get(grave));
        buried.any(|buried| date_secs <= buried.date_secs)
    }

    /// Whether the credential was refused this version, alone or with all others.
    pub fn cover_by_denial(&self, key: KeyId, scope: ScopeId, date_secs: u64) -> bool {
        let graves = [Grave::Scope(scope), Grave::Denied(key, scope)];
        let mut buried = graves.iter().filter_map(|grave| self.dates.get(grave));
        buried.any(|buried| date_secs <= buried.date_secs)
    }

    /// Whether a whole credential was refused, as heard at `moment` or later.
    pub fn refused_since(&self, scope: ScopeId, moment: Millis) -> bool {
        self.dates.get(&Grave::Scope(scope)).is_some_and(|buried| moment <= buried.heard_at)
    }

    /// Whether something about it was heard at `moment` or later.
    pub fn heard_since(&self, key: KeyId, scope: ScopeId, family: FamilyId, moment: Millis) -> bool {
        self.over(key, scope, family).any(|buried| moment <= buried.heard_at)
    }

    pub fn all(&self) -> impl Iterator<Item = (Tombstone, Millis)> {
        let tombstone =
            |(of, buried): (&Grave, &Buried)| (Tombstone { of: *of, date_secs: buried.date_secs }, buried.heard_at);
        self.dates.iter().map(tombstone)
    }

    pub fn len(&self) -> usize {
        self.dates.len()
    }

    pub fn is_empty(&self) -> bool {
        self.dates.is_empty()
    }

    /// Forgets what was heard so long ago that nothing so old can be served any more.
    pub fn expire(&mut self, now: Millis) -> Vec<GraveChange> {
        let mut changed = BTreeMap::new();
        while let Some((heard_at, grave)) = self.by_age.first().copied() {
            if now.since(heard_at) < limits::TOMBSTONE_KEPT_FOR {
                break;
            }
            self.remove(&grave, &mut changed);
        }
        changed.into_iter().collect()
    }

    /// The tombstones over one answer.
    fn over(&self, key: KeyId, scope: ScopeId, family: FamilyId) -> impl Iterator<Item = &Buried> {
        let graves =
            [Grave::Everything, Grave::Family(family), Grave::Key(key), Grave::Scope(scope), Grave::Denied(key, scope)];
        graves.into_iter().filter_map(|grave| self.dates.get(&grave))
    }

    /// Forgetting single tombstones is safe if something wider is buried instead: first the whole
    /// credentials that most denials are of, then everything as old as the older half.
    fn make_room(&mut self, heard_at: Millis, changed: &mut BTreeMap<Grave, Option<Buried>>) {
        let is_denial = |grave: &Grave| matches!(grave, Grave::Denied(..));
        if self.dates.keys().filter(|grave| is_denial(grave)).count() > limits::DOUBTS_MAX / 2 {
            for (grave, date_secs) in self.older_half(is_denial) {
                self.remove(&grave, changed);
                let Grave::Denied(_, scope) = grave else { unreachable!("only denials were asked for") };
                self.raise(Grave::Scope(scope), Buried { date_secs, heard_at }, changed);
            }
        }
        if self.dates.len() > limits::DOUBTS_MAX {
            for (grave, date_secs) in self.older_half(|grave| *grave != Grave::Everything) {
                self.remove(&grave, changed);
                self.raise(Grave::Everything, Buried { date_secs, heard_at }, changed);
            }
        }
    }

    fn older_half(&self, which: impl Fn(&Grave) -> bool) -> Vec<(Grave, u64)> {
        let chosen = self.dates.iter().filter(|(grave, _)| which(grave));
        let mut chosen: Vec<_> = chosen.map(|(grave, buried)| (*grave, buried.date_secs)).collect();
        chosen.sort_by_key(|(grave, date_secs)| (*date_secs, *grave));
        chosen.truncate(chosen.len().div_ceil(2));
        chosen
    }

    fn raise(&mut self, grave: Grave, to: Buried, changed: &mut BTreeMap<Grave, Option<Buried>>) {
        if self.dates.get(&grave).is_none_or(|known| known.date_secs < to.date_secs) {
            self.insert(grave, to, changed);
        }
    }

    fn insert(&mut self, grave: Grave, buried: Buried, changed: &mut BTreeMap<Grave, Option<Buried>>) {
        if let Some(old) = self.dates.insert(grave, buried) {
            self.by_age.remove(&(old.heard_at, grave));
        }
        self.by_age.insert((buried.heard_at, grave));
        changed.insert(grave, Some(buried));
    }

    fn remove(&mut self, grave: &Grave, changed: &mut BTreeMap<Grave, Option<Buried>>) {
        if let Some(old) = self.dates.remove(grave) {
            self.by_age.remove(&(old.heard_at, *grave));
            changed.insert(*grave, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: ScopeId = ScopeId([2; 16]);
    const FAMILY: FamilyId = FamilyId([3; 16]);

    fn key(n: usize) -> KeyId {
        KeyId((n as u128).to_be_bytes())
    }

    fn bury(graves: &mut Graves, of: Grave, date_secs: u64) -> usize {
        graves.bury(Tombstone { of, date_secs }, Millis::from_secs(date_secs)).len()
    }

    #[test]
    fn each_kind_covers_what_it_names_up_to_its_date_and_nothing_else() {
        let other = (KeyId([8; 16]), ScopeId([8; 16]), FamilyId([8; 16]));
        for (of, reaches_other_key) in [
            (Grave::Everything, true),
            (Grave::Family(FAMILY), false),
            (Grave::Key(key(1)), false),
            (Grave::Scope(SCOPE), false),
            (Grave::Denied(key(1), SCOPE), false),
        ] {
            let mut graves = Graves::default();
            assert_eq!(bury(&mut graves, of, 10), 1);
            assert!(graves.cover(key(1), SCOPE, FAMILY, 10) && !graves.cover(key(1), SCOPE, FAMILY, 11), "{of:?}");
            assert_eq!(graves.cover(other.0, other.1, other.2, 10), reaches_other_key, "{of:?}");
            assert!(graves.heard_since(key(1), SCOPE, FAMILY, Millis(10_000)));
            assert!(!graves.heard_since(key(1), SCOPE, FAMILY, Millis(10_001)));
            assert_eq!((bury(&mut graves, of, 10), bury(&mut graves, of, 9)), (0, 0), "nothing new");
        }
    }

    #[test]
    fn what_something_wider_covers_is_no_news_and_goes() {
        let mut graves = Graves::default();
        bury(&mut graves, Grave::Scope(SCOPE), 10);
        assert_eq!(bury(&mut graves, Grave::Denied(key(1), SCOPE), 10), 0);
        bury(&mut graves, Grave::Family(FAMILY), 30);
        let changes = graves.bury(Tombstone { of: Grave::Everything, date_secs: 20 }, Millis(20_000));
        assert!(changes.contains(&(Grave::Scope(SCOPE), None)) && changes.len() == 2, "{changes:?}");
        assert_eq!((graves.len(), bury(&mut graves, Grave::Family(FAMILY), 20)), (2, 0));
    }

    #[test]
    fn a_full_table_doubts_the_older_half_as_a_whole_and_keeps_the_newer() {
        let mut graves = Graves::default();
        for n in 0..=limits::DOUBTS_MAX {
            bury(&mut graves, Grave::Key(key(n)), n as u64);
        }
        let half = (limits::DOUBTS_MAX / 2) as u64;
        assert!(graves.len() <= limits::DOUBTS_MAX / 2 + 1, "{}", graves.len());
        assert!(graves.cover(KeyId([9; 16]), SCOPE, FAMILY, half));
        assert!(!graves.cover(KeyId([9; 16]), SCOPE, FAMILY, half + 1));
        assert!(graves.cover(key(limits::DOUBTS_MAX), SCOPE, FAMILY, limits::DOUBTS_MAX as u64));
    }

    #[test]
    fn too_many_denials_cost_the_credential_that_they_are_of() {
        let mut graves = Graves::default();
        bury(&mut graves, Grave::Family(FAMILY), 0);
        for n in 0..limits::DOUBTS_MAX {
            bury(&mut graves, Grave::Denied(key(n), SCOPE), n as u64);
        }
        assert!(graves.cover(KeyId([9; 16]), SCOPE, FamilyId([9; 16]), 100));
        assert!(!graves.cover(KeyId([9; 16]), ScopeId([9; 16]), FamilyId([9; 16]), 0), "nobody else's");
        assert!(graves.len() <= limits::DOUBTS_MAX);
    }

    #[test]
    fn a_tombstone_outlives_whatever_it_could_cover() {
        let mut graves = Graves::default();
        bury(&mut graves, Grave::Family(FAMILY), 10);
        let end = Millis::from_secs(10).after(limits::TOMBSTONE_KEPT_FOR);
        assert!(graves.expire(Millis(end.0 - 1)).is_empty());
        assert_eq!(graves.expire(end), [(Grave::Family(FAMILY), None)]);
        assert!(graves.is_empty() && graves.by_age.is_empty());
    }
}
