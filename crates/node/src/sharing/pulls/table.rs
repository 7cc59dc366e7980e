//! What is being pulled for which question, and what of it is here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use fleet::AskId;
use futures::stream::{AbortHandle, AbortRegistration};
use wire::{Body, BodyError, Digest, Form, Peer, Unpacking, limits::SEGMENT_BYTES};

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
    brought: Option<Brought>,
    part: Arc<Mutex<Part>>,
}

/// A body that a pull has brought, with its plain form. It has this digest.
#[derive(Clone, Debug)]
pub struct Brought {
    pub digest: Digest,
    pub body: Body,
    pub plain: Bytes,
}

/// A pull that has been entered.
pub struct Entered {
    pub part: SharedPart,
    pub abort: AbortRegistration,
}

/// What is here of one body.
#[derive(Default)]
struct Part {
    /// Whose segments are taken, and where they go on. None while nobody sends.
    sender: Option<Sender>,
    turns: u64,
    /// Who has sent some of it.
    senders: BTreeSet<Peer>,
    form: Option<Form>,
    encoded_bytes: u64,
    unpacking: Option<Unpacking>,
    kept: Option<Kept>,
}

struct Sender {
    peer: Peer,
    turn: Turn,
    /// How many bytes this sender and those before it have brought.
    at: usize,
}

/// Names what one sender sends, so that nothing late is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u64);

/// A handle to a part; several pulls of one question have the same.
#[derive(Clone, Default)]
pub struct SharedPart {
    part: Arc<Mutex<Part>>,
    kept_bytes: Arc<AtomicU64>,
}

/// Another peer's segments are taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Beaten;

/// Why a segment was not taken, or a body is none.
#[derive(Debug)]
pub enum Untaken {
    Beaten,
    /// It is not the body, and one peer has sent all of it.
    Wrong(BodyError),
    /// It is not the body, and several peers have sent it.
    Mixed(BodyError),
}

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
    /// comes second is none. The first is kept for who asked.
    pub fn answered(&self, ask: AskId, from: &Peer, brought: Brought) -> bool {
        let mut asks = lock(&self.asks);
        let Some(asked) = asks.get_mut(&ask) else { return false };
        if asked.under_way.remove(from).is_none() {
            return false;
        }
        let is_first = !std::mem::replace(&mut asked.is_answered, true);
        if is_first {
            self.counters.pulls.one();
            asked.brought = Some(brought);
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

    /// The question has its answer, or none. Returns the body that was pulled for it.
    pub fn forget(&self, ask: AskId) -> Option<Brought> {
        let asked = lock(&self.asks).remove(&ask)?;
        for pull in asked.under_way.values() {
            pull.abort();
            self.count_lost();
        }
        asked.brought
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.asks).len()
    }
}

impl SharedPart {
    /// The number of the first segment that is missing.
    pub fn next_segment(&self) -> u32 {
        u32::try_from(lock(&self.part).encoded_len() / SEGMENT_BYTES).unwrap_or_default()
    }

    /// Whether segments of this form of the body, from this one on, go on with what is here.
    pub fn fits(&self, form: Form, encoded_bytes: u64, from_segment: u32) -> bool {
        lock(&self.part).fits(form, encoded_bytes, from_segment)
    }

    /// From now on `from` sends, beginning with this segment. The lengths are checked: room is made for them.
    ///
    /// # Errors
    /// [`Beaten`] if another one does.
    pub fn begin(
        &self,
        from: &Peer,
        form: Form,
        (encoded_bytes, plain_bytes): (u64, u64),
        from_segment: u32,
    ) -> Result<Turn, Beaten> {
        let mut part = lock(&self.part);
        let has_other_sender = part.sender.as_ref().is_some_and(|sender| sender.peer != *from);
        if has_other_sender || !part.fits(form, encoded_bytes, from_segment) {
            return Err(Beaten);
        }
        if from_segment == 0 {
            part.senders.clear();
            let room = usize::try_from(encoded_bytes).unwrap_or_default();
            part.unpacking = Some(Unpacking::new(form, room, plain_bytes));
            part.kept = None;
            let plain_bytes = if form == Form::Gzip { plain_bytes } else { 0 };
            part.kept = Kept::reserve(&self.kept_bytes, encoded_bytes + plain_bytes);
        }
        (part.form, part.encoded_bytes) = (Some(form), encoded_bytes);
        part.turns += 1;
        let turn = Turn(part.turns);
        part.sender = Some(Sender { peer: from.clone(), turn, at: from_segment as usize * SEGMENT_BYTES });
        part.senders.insert(from.clone());
        Ok(turn)
    }

    /// Takes a segment, and unpacks it.
    pub fn add(&self, turn: Turn, segment: &[u8]) -> Result<(), Untaken> {
        let mut part = lock(&self.part);
        let encoded_len = part.encoded_len();
        let sender = part.sender.as_mut().filter(|sender| sender.turn == turn).ok_or(Untaken::Beaten)?;
        let is_here = sender.at < encoded_len;
        sender.at += segment.len();
        if is_here {
            return Ok(());
        }
        let unpacking = part.unpacking.as_mut().ok_or(Untaken::Beaten)?;
        unpacking.push(segment).map_err(|cause| part.blame(cause))
    }

    /// The whole body, if it is the one with this digest.
    pub fn take(&self, turn: Turn, digest: Digest) -> Result<Brought, Untaken> {
        let mut part = lock(&self.part);
        part.sender.as_ref().filter(|sender| sender.turn == turn).ok_or(Untaken::Beaten)?;
        let unpacking = part.unpacking.take().ok_or(Untaken::Beaten)?;
        let (body, plain) = unpacking.finish(digest).map_err(|cause| part.blame(cause))?;
        Ok(Brought { digest, body, plain })
    }
}

impl Part {
    fn encoded_len(&self) -> usize {
        self.unpacking.as_ref().map_or(0, Unpacking::encoded_len)
    }

    fn fits(&self, form: Form, encoded_bytes: u64, from_segment: u32) -> bool {
        from_segment == 0
            || self.form == Some(form)
                && self.encoded_bytes == encoded_bytes
                && self.encoded_len() >= from_segment as usize * SEGMENT_BYTES
    }

    fn blame(&self, cause: BodyError) -> Untaken {
        if self.senders.len() > 1 { Untaken::Mixed(cause) } else { Untaken::Wrong(cause) }
    }

    fn release(&mut self, from: &Peer, keep: bool) {
        if self.sender.as_ref().is_some_and(|sender| sender.peer == *from) {
            self.sender = None;
            if !keep || self.kept.is_none() {
                self.unpacking = None;
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

    fn begun(table: &Table, ask: AskId, name: &str, from_segment: u32) -> (SharedPart, Turn) {
        let part = table.enter(ask, &peer(name), true).part;
        let turn = part.begin(&peer(name), Form::Identity, (BYTES, BYTES), from_segment).unwrap();
        part.add(turn, &SEGMENT).unwrap();
        (part, turn)
    }

    fn body() -> Brought {
        let plain = Bytes::from(SEGMENT.repeat(3));
        let body = Body { form: Form::Identity, encoded: plain.clone() };
        Brought { digest: Digest::of(&plain), body, plain }
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
        assert!(table.answered(ASK, &peer("b"), body()));
        assert!(!table.answered(ASK, &peer("a"), body()), "it comes second");
        table.cancel(ASK, &peer("c"));
        assert!(!table.answered(ASK, &peer("c"), body()), "it is over");
        table.cancel(ASK, &peer("b"));
        table.failed(ASK, &peer("c"), true);
        assert_eq!(counts(&table), [3, 1, 0, 2]);
        assert_eq!(table.forget(ASK).unwrap().digest, body().digest, "who asked is given what was brought");
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_was_started_is_answered_failed_or_lost() {
        let table = race();
        table.failed(ASK, &peer("a"), true);
        table.cancel(ASK, &peer("b"));
        assert!(table.answered(ASK, &peer("c"), body()));
        assert_eq!(counts(&table), [3, 1, 1, 1]);
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_lost() {
        let table = race();
        assert!(table.forget(ASK).is_none());
        assert!(!table.answered(ASK, &peer("a"), body()));
        assert_eq!(counts(&table), [3, 0, 0, 3]);
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
        let (part, late) = begun(&table, ASK, "a", 0);
        part.add(late, &SEGMENT).unwrap();
        table.cancel(ASK, &peer("a"));
        let part = table.enter(ASK, &peer("b"), true).part;
        assert_eq!(part.next_segment(), 2);
        assert!(part.fits(Form::Identity, BYTES, 2));
        assert!(!part.fits(Form::Gzip, BYTES, 2) && !part.fits(Form::Identity, BYTES + 1, 2), "packed otherwise");
        let turn = part.begin(&peer("b"), Form::Identity, (BYTES, BYTES), 2).unwrap();
        assert!(matches!(part.add(late, &SEGMENT), Err(Untaken::Beaten)), "it comes too late");
        part.add(turn, &SEGMENT).unwrap();
        assert_eq!(part.take(turn, body().digest).unwrap().body, body().body);
    }

    #[test]
    fn what_is_here_already_is_not_taken_twice() {
        let table = table();
        let (part, turn) = begun(&table, ASK, "a", 0);
        part.add(turn, &SEGMENT).unwrap();
        table.cancel(ASK, &peer("a"));
        let turn = part.begin(&peer("b"), Form::Identity, (BYTES, BYTES), 1).unwrap();
        part.add(turn, &SEGMENT).unwrap();
        part.add(turn, &SEGMENT).unwrap();
        assert_eq!(part.take(turn, body().digest).unwrap().plain, body().plain);
    }

    #[test]
    fn a_sender_who_comes_again_is_not_taken_for_its_earlier_self() {
        let table = table();
        let (part, late) = begun(&table, ASK, "a", 0);
        table.cancel(ASK, &peer("a"));
        let (_, turn) = begun(&table, ASK, "a", 1);
        assert!(matches!(part.add(late, &SEGMENT), Err(Untaken::Beaten)));
        part.add(turn, &SEGMENT).unwrap();
        part.take(turn, body().digest).unwrap();
    }

    #[test]
    fn another_body_is_the_senders_fault_if_there_is_one_sender() {
        for senders in [1, 2] {
            let table = table();
            let (mut part, mut turn) = begun(&table, ASK, "a", 0);
            if senders == 2 {
                table.cancel(ASK, &peer("a"));
                (part, turn) = begun(&table, ASK, "b", 1);
            }
            part.add(turn, &SEGMENT).unwrap();
            match part.take(turn, Digest::of(b"another one")) {
                Err(Untaken::Wrong(_)) => assert_eq!(senders, 1),
                Err(Untaken::Mixed(_)) => assert_eq!(senders, 2),
                _ => panic!("it is another body"),
            }
        }
    }

    #[test]
    fn whoever_begins_first_sends_all_of_it() {
        let table = table();
        let part = table.enter(ASK, &peer("b"), true).part;
        begun(&table, ASK, "a", 0);
        assert_eq!(part.begin(&peer("b"), Form::Identity, (BYTES, BYTES), 0), Err(Beaten));
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
            let turn = part.begin(&peer("a"), Form::Identity, (body_bytes, body_bytes), 0).unwrap();
            part.add(turn, &SEGMENT).unwrap();
            table.cancel(ask(n), &peer("a"));
            let kept = table.enter(ask(n), &peer("b"), true).part.next_segment();
            assert_eq!(kept, u32::from((n + 1) * body_bytes <= PULL_PARTS_BYTES_MAX), "{n}");
        }
        (0..5).for_each(|n| drop(table.forget(ask(n))));
        assert_eq!(table.kept_bytes.load(Ordering::Relaxed), 0);
    }
}
