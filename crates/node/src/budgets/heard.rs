use std::{collections::BTreeMap, sync::Arc};

use wire::{FamilyId, LimitNotice, Millis, Peer, ScopeId};

use crate::limits;

/// What members say of budgets, until a client shows the credential that can check it.
#[derive(Default)]
pub struct Heard {
    /// By the origin and the credential that is meant; then by who sent it and whose word it is said to be.
    waiting: BTreeMap<(FamilyId, ScopeId), BTreeMap<(Peer, Peer), Told>>,
    /// How much of it is of each member.
    of: BTreeMap<Peer, usize>,
    len: usize,
    /// When what is over was last looked for: a flood must not make that all the work there is.
    swept_at: Millis,
}

/// One notice, as it came.
#[derive(Clone, Debug)]
pub struct Told {
    pub from: Peer,
    pub notice: Arc<LimitNotice>,
    pub received_at: Millis,
}

impl Heard {
    /// A stop waits for each credential that it names, all else for the one that can check it.
    pub fn note(&mut self, from: &Peer, notice: LimitNotice, now: Millis) {
        let stopped = notice.stopped_until.filter(|until| now < *until);
        let with = if stopped.is_some() { notice.with.clone() } else { Vec::new() };
        let notice = Arc::new(notice);
        for scope in std::iter::once(notice.scope).chain(with) {
            let told = Told { from: from.clone(), notice: notice.clone(), received_at: now };
            self.put((notice.site, scope), told, now);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes out what waits for this credential.
    pub fn take(&mut self, site: FamilyId, scope: ScopeId) -> Vec<Told> {
        let told: Vec<Told> = self.waiting.remove(&(site, scope)).into_iter().flat_map(BTreeMap::into_values).collect();
        told.iter().for_each(|told| self.uncount(&told.from));
        told
    }

    fn put(&mut self, at: (FamilyId, ScopeId), told: Told, now: Millis) {
        let member = (told.from.clone(), told.notice.by.clone());
        let is_there = |heard: &Self| heard.waiting.get(&at).is_some_and(|waiting| waiting.contains_key(&member));
        if !is_there(self) && self.is_full(&told.from) {
            if now.since(self.swept_at) >= limits::HEARD_SWEEP_INTERVAL {
                self.forget_what_is_over(now);
            }
            if self.is_full(&told.from) {
                return;
            }
        }
        let waiting = self.waiting.entry(at).or_default();
        if waiting.insert(member, told.clone()).is_none() {
            *self.of.entry(told.from).or_default() += 1;
            self.len += 1;
        }
        if waiting.len() > limits::HEARD_RIVALS_MAX {
            // Whoever says the most loses, so that nobody talks another's word away.
            let most = waiting.keys().map(|(from, _)| from).max_by_key(|from| {
                let own = waiting.keys().filter(|(other, _)| other == *from);
                own.count()
            });
            let most = most.cloned();
            let theirs = waiting.iter().filter(|((from, _), _)| Some(from) == most.as_ref());
            let oldest = theirs.min_by_key(|(_, told)| told.received_at).map(|(member, _)| member.clone());
            if let Some(gone) = oldest.and_then(|member| waiting.remove(&member)) {
                self.uncount(&gone.from);
            }
        }
    }

    fn is_full(&self, from: &Peer) -> bool {
        self.of.get(from).is_some_and(|count| *count >= limits::HEARD_OF_ONE_MAX) || self.len() >= limits::HEARD_MAX
    }

    fn forget_what_is_over(&mut self, now: Millis) {
        let mut of = BTreeMap::<Peer, usize>::new();
        self.waiting.retain(|_, waiting| {
            waiting.retain(|_, told| told.notice.is_current(now));
            waiting.values().for_each(|told| *of.entry(told.from.clone()).or_default() += 1);
            !waiting.is_empty()
        });
        self.len = of.values().sum();
        (self.of, self.swept_at) = (of, now);
    }

    fn uncount(&mut self, from: &Peer) {
        if let Some(count) = self.of.get_mut(from) {
            *count -= 1;
            self.len -= 1;
            if *count == 0 {
                self.of.remove(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::Tag;

    use super::*;

    const SITE: FamilyId = FamilyId([1; 16]);
    const SCOPE: ScopeId = ScopeId([0; 16]);
    const KIN: ScopeId = ScopeId([9; 16]);

    fn peer(name: &str) -> Peer {
        Peer::new(name)
    }

    fn notice(by: &str, scope: u64, until: u64) -> LimitNotice {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&scope.to_be_bytes());
        LimitNotice {
            site: SITE,
            scope: ScopeId(id),
            with: vec![KIN],
            by: peer(by),
            readings: vec![],
            stopped_until: Some(Millis(until)),
            refusals: 0,
            heard_at: Millis(0),
            tag: Tag([0; 32]),
        }
    }

    #[test]
    fn a_stop_waits_for_each_credential_that_it_names_and_is_taken_once() {
        let mut heard = Heard::default();
        heard.note(&peer("a"), notice("a", 0, 100), Millis(10));
        assert_eq!((heard.take(SITE, SCOPE).len(), heard.take(SITE, SCOPE).len()), (1, 0));
        assert_eq!(heard.take(FamilyId([2; 16]), KIN).len(), 0, "another origin");
        assert_eq!((heard.take(SITE, KIN).len(), heard.len()), (1, 0));
        let reading_alone = LimitNotice { stopped_until: None, ..notice("a", 0, 0) };
        heard.note(&peer("a"), reading_alone, Millis(10));
        assert_eq!((heard.take(SITE, KIN).len(), heard.take(SITE, SCOPE).len()), (0, 1));
        assert!(heard.is_empty());
    }

    #[test]
    fn who_floods_talks_nobodys_word_away() {
        let mut heard = Heard::default();
        heard.note(&peer("honest"), notice("honest", 0, 1000), Millis(0));
        for n in 0..2000 {
            heard.note(&peer("liar"), notice(&format!("p{n}"), 0, 1000), Millis(1 + n));
        }
        let told = heard.take(SITE, SCOPE);
        assert_eq!(told.len(), limits::HEARD_RIVALS_MAX);
        assert!(told.iter().any(|told| told.from == peer("honest")));
    }

    #[test]
    fn the_table_is_bounded_and_what_is_over_makes_room() {
        let mut heard = Heard::default();
        for n in 0..10_000 {
            heard.note(&peer("liar"), notice("liar", n, 1000), Millis(1));
        }
        assert_eq!(heard.len(), limits::HEARD_OF_ONE_MAX);
        heard.note(&peer("honest"), notice("honest", 0, 1000), Millis(1));
        assert_eq!(heard.take(SITE, SCOPE).len(), 2, "the other members have room");
        for n in 0..10_000_u64 {
            heard.note(&peer(&format!("p{n}")), notice("p", n, 1000), Millis(1));
        }
        assert_eq!(heard.len(), limits::HEARD_MAX);
        heard.note(&peer("late"), notice("late", 1, 5000), Millis(2000));
        assert_eq!(heard.len(), 2, "its own word, for two credentials");
    }
}
