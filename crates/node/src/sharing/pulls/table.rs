//! What is being pulled for which question, and what of it is here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use fleet::AskId;
use futures::stream::{AbortHandle, AbortRegistration};
use wire::{Body, Form, Peer, limits::SEGMENT_BYTES};

use crate::{Counters, limits::PULL_PARTS_BYTES_MAX};

/// The pulls under way, by question, and how they ended: what was started is answered, failed or lost.
pub struct Table {
    counters: Arc<Counters>,
    asks: Mutex<BTreeMap<AskId, Asked>>,
    /// Of all parts that can be gone on with.
    kept_bytes: Arc<AtomicU64>,
}

#[derive(Default)]
struct Asked {
    under_way: BTreeMap<Peer, AbortHandle>,
    is_answered: bool,
    part: Arc<Mutex<Part>>,
}

/// A pull that has been entered.
pub struct Entered {
    pub part: SharedPart,
    pub abort: AbortRegistration,
}

/// What is here of one body.
#[derive(Default)]
struct Part {
    /// Whose segments are taken. None while nobody sends.
    owner: Option<Peer>,
    /// Who has sent some of it.
    senders: BTreeSet<Peer>,
    form: Option<Form>,
    encoded_bytes: u64,
    encoded: Vec<u8>,
    kept: Option<Kept>,
}

/// A handle to a part; several pulls of one question have the same.
#[derive(Clone, Default)]
pub struct SharedPart {
    part: Arc<Mutex<Part>>,
    kept_bytes: Arc<AtomicU64>,
}

/// Another peer's segments are taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Beaten;

impl Table {
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters, asks: Mutex::default(), kept_bytes: Arc::default() }
    }

    /// Enters a pull. Without `resume`, what is here of the body is dropped.
    pub fn enter(&self, ask: AskId, from: &Peer, resume: bool) -> Entered {
        let mut asks = lock(&self.asks);
        let asked = asks.entry(ask).or_default();
        if !resume {
            asked.part = Arc::default();
        }
        self.counters.pulls_started.one();
        if !asked.under_way.is_empty() {
            self.counters.pulls_hedged.one();
        }
        let (handle, abort) = AbortHandle::new_pair();
        asked.under_way.insert(from.clone(), handle);
        let part = SharedPart { part: asked.part.clone(), kept_bytes: self.kept_bytes.clone() };
        Entered { part, abort }
    }

    /// A pull has brought a good body. Returns whether it is the first, which is the answer; one that
    /// comes second is none.
    pub fn answered(&self, ask: AskId, from: &Peer) -> bool {
        let mut asks = lock(&self.asks);
        let Some(asked) = asks.get_mut(&ask) else { return false };
        if asked.under_way.remove(from).is_none() {
            return false;
        }
        let is_first = !std::mem::replace(&mut asked.is_answered, true);
        if is_first {
            self.counters.pulls.one();
        } else {
            self.count_lost();
        }
        is_first
    }

    /// A pull has failed. What came of it stays, unless the peer sends nonsense.
    pub fn failed(&self, ask: AskId, from: &Peer, keep: bool) {
        if self.leave(ask, from, keep) {
            self.counters.pulls_failed.one();
        }
    }

    /// A pull is no longer wanted. What came of it stays.
    pub fn cancel(&self, ask: AskId, from: &Peer) {
        if self.leave(ask, from, true) {
            self.count_lost();
        }
    }

    fn leave(&self, ask: AskId, from: &Peer, keep: bool) -> bool {
        let mut asks = lock(&self.asks);
        let Some(asked) = asks.get_mut(&ask) else { return false };
        let Some(handle) = asked.under_way.remove(from) else { return false };
        handle.abort();
        lock(&asked.part).release(from, keep);
        true
    }

    /// Whoever comes second has neither answered nor failed.
    fn count_lost(&self) {
        self.counters.pulls_lost.one();
        if canary::sings(canary::Bug::CountsAHedgeTwice) {
            self.counters.pulls.one();
        }
    }

    /// The question has its answer, or none.
    pub fn forget(&self, ask: AskId) {
        let asked = lock(&self.asks).remove(&ask);
        asked.iter().flat_map(|asked| asked.under_way.values()).for_each(AbortHandle::abort);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.asks).len()
    }
}

impl SharedPart {
    /// The number of the first segment that is missing.
    pub fn next_segment(&self) -> u32 {
        u32::try_from(lock(&self.part).encoded.len() / SEGMENT_BYTES).unwrap_or_default()
    }

    /// Whether segments of this form of the body, from this one on, go on with what is here.
    pub fn fits(&self, form: Form, encoded_bytes: u64, from_segment: u32) -> bool {
        lock(&self.part).fits(form, encoded_bytes, from_segment)
    }

    /// From now on `from` sends, beginning with this segment.
    ///
    /// # Errors
    /// [`Beaten`] if another one does.
    pub fn begin(&self, from: &Peer, form: Form, encoded_bytes: u64, from_segment: u32) -> Result<(), Beaten> {
        let mut part = lock(&self.part);
        let has_other_owner = part.owner.as_ref().is_some_and(|owner| owner != from);
        if has_other_owner || !part.fits(form, encoded_bytes, from_segment) {
            return Err(Beaten);
        }
        if from_segment == 0 {
            part.senders.clear();
            let bytes = usize::try_from(encoded_bytes).unwrap_or_default();
            part.encoded = Vec::with_capacity(bytes);
            part.kept = None;
            part.kept = Kept::reserve(&self.kept_bytes, encoded_bytes);
        }
        part.encoded.truncate(from_segment as usize * SEGMENT_BYTES);
        (part.form, part.encoded_bytes) = (Some(form), encoded_bytes);
        part.owner = Some(from.clone());
        part.senders.insert(from.clone());
        Ok(())
    }

    /// # Errors
    /// [`Beaten`] if `from` is no longer whose segments are taken.
    pub fn add(&self, from: &Peer, segment: &[u8]) -> Result<(), Beaten> {
        let mut part = lock(&self.part);
        if part.owner.as_ref() != Some(from) {
            return Err(Beaten);
        }
        part.encoded.extend_from_slice(segment);
        Ok(())
    }

    /// The whole body, and whether several peers have sent it.
    pub fn take(&self, from: &Peer) -> Result<(Body, bool), Beaten> {
        let mut part = lock(&self.part);
        let form = part.form.filter(|_| part.owner.as_ref() == Some(from)).ok_or(Beaten)?;
        let encoded = std::mem::take(&mut part.encoded).into();
        Ok((Body { form, encoded }, part.senders.len() > 1))
    }
}

impl Part {
    fn fits(&self, form: Form, encoded_bytes: u64, from_segment: u32) -> bool {
        from_segment == 0
            || self.form == Some(form)
                && self.encoded_bytes == encoded_bytes
                && self.encoded.len() >= from_segment as usize * SEGMENT_BYTES
    }

    fn release(&mut self, from: &Peer, keep: bool) {
        if self.owner.as_ref() == Some(from) {
            self.owner = None;
            if !keep || self.kept.is_none() {
                self.encoded = Vec::new();
            }
        }
    }
}

/// Room for a part that stays when its sender does not.
struct Kept {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Kept {
    fn reserve(total: &Arc<AtomicU64>, bytes: u64) -> Option<Self> {
        let with_it = |sum: u64| sum.checked_add(bytes).filter(|sum| *sum <= PULL_PARTS_BYTES_MAX);
        total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_it).ok()?;
        Some(Self { total: total.clone(), bytes })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while held")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counter;

    const ASK: AskId = AskId(1);
    static SEGMENT: [u8; SEGMENT_BYTES] = [7; SEGMENT_BYTES];
    const BYTES: u64 = 3 * SEGMENT_BYTES as u64;

    fn table() -> Table {
        Table::new(Arc::default())
    }

    fn peer(name: &str) -> Peer {
        Peer::new(name)
    }

    fn begun(table: &Table, ask: AskId, name: &str, from_segment: u32) -> SharedPart {
        let part = table.enter(ask, &peer(name), true).part;
        part.begin(&peer(name), Form::Identity, BYTES, from_segment).unwrap();
        part.add(&peer(name), &SEGMENT).unwrap();
        part
    }

    /// What was started, and how it ended.
    fn counts(table: &Table) -> [u64; 4] {
        let Counters { pulls_started, pulls, pulls_failed, pulls_lost, .. } = &*table.counters;
        [pulls_started, pulls, pulls_failed, pulls_lost].map(Counter::get)
    }

    fn race() -> Table {
        let table = table();
        ["a", "b", "c"].iter().for_each(|name| drop(table.enter(ASK, &peer(name), true)));
        assert_eq!(table.counters.pulls_hedged.get(), 2);
        table
    }

    #[test]
    fn of_several_answers_one_counts_and_a_loser_is_no_failure() {
        let table = race();
        assert!(table.answered(ASK, &peer("b")));
        assert!(!table.answered(ASK, &peer("a")), "it comes second");
        table.cancel(ASK, &peer("c"));
        assert!(!table.answered(ASK, &peer("c")), "it is over");
        table.cancel(ASK, &peer("b"));
        table.failed(ASK, &peer("c"), true);
        assert_eq!(counts(&table), [3, 1, 0, 2]);
        table.forget(ASK);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_was_started_is_answered_failed_or_lost() {
        let table = race();
        table.failed(ASK, &peer("a"), true);
        table.cancel(ASK, &peer("b"));
        assert!(table.answered(ASK, &peer("c")));
        assert_eq!(counts(&table), [3, 1, 1, 1]);
    }

    #[test]
    fn what_a_liar_sent_is_not_gone_on_with() {
        let table = table();
        begun(&table, ASK, "a", 0);
        table.failed(ASK, &peer("a"), false);
        assert_eq!(table.enter(ASK, &peer("b"), true).part.next_segment(), 0);
    }

    #[test]
    fn the_next_holder_goes_on_where_the_first_one_stopped() {
        let table = table();
        begun(&table, ASK, "a", 0).add(&peer("a"), &SEGMENT).unwrap();
        table.cancel(ASK, &peer("a"));
        let part = table.enter(ASK, &peer("b"), true).part;
        assert_eq!(part.next_segment(), 2);
        assert!(part.fits(Form::Identity, BYTES, 2));
        assert!(!part.fits(Form::Gzip, BYTES, 2) && !part.fits(Form::Identity, BYTES + 1, 2), "packed otherwise");
        part.begin(&peer("b"), Form::Identity, BYTES, 2).unwrap();
        assert_eq!(part.add(&peer("a"), &SEGMENT), Err(Beaten), "it comes too late");
        part.add(&peer("b"), &SEGMENT).unwrap();
        let (body, is_mixed) = part.take(&peer("b")).unwrap();
        assert_eq!((body.encoded.len() as u64, is_mixed), (BYTES, true));
    }

    #[test]
    fn whoever_begins_first_sends_all_of_it() {
        let table = table();
        let part = table.enter(ASK, &peer("b"), true).part;
        begun(&table, ASK, "a", 0);
        assert_eq!(part.begin(&peer("b"), Form::Identity, BYTES, 0), Err(Beaten));
    }

    #[test]
    fn from_one_holder_means_from_its_first_segment() {
        let table = table();
        begun(&table, ASK, "a", 0);
        table.cancel(ASK, &peer("a"));
        assert_eq!(table.enter(ASK, &peer("b"), false).part.next_segment(), 0);
    }

    #[test]
    fn parts_that_are_kept_are_bounded() {
        let table = table();
        let ask = |n: u64| AskId(n);
        let body_bytes = 16 << 20;
        for n in 0..5 {
            let part = table.enter(ask(n), &peer("a"), true).part;
            part.begin(&peer("a"), Form::Identity, body_bytes, 0).unwrap();
            part.add(&peer("a"), &SEGMENT).unwrap();
            table.cancel(ask(n), &peer("a"));
            let kept = table.enter(ask(n), &peer("b"), true).part.next_segment();
            assert_eq!(kept, u32::from((n + 1) * body_bytes <= PULL_PARTS_BYTES_MAX), "{n}");
        }
        (0..5).for_each(|n| table.forget(ask(n)));
        assert_eq!(table.kept_bytes.load(Ordering::Relaxed), 0);
    }
}
