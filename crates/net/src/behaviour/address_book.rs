//! Where members are, by their own signed word: a private Kademlia, of members alone.
//!
//! It keeps one record for each member, under its peer id: an [`Exchange`] with its [`SignedPeer`] and nothing
//! else. What is kept and what is found is checked against the signature. Where Kademlia itself believes others to
//! be are hints for its own questions only: each dial asks for a certain peer, and ends at the gate.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use libp2p::{
    PeerId, StreamProtocol,
    kad::{
        self, Caching, Mode, Quorum, Record, RecordKey, StoreInserts,
        store::{MemoryStore, MemoryStoreConfig, RecordStore},
    },
};
use wire::{Exchange, Message, SignedPeer};

use crate::{
    identity::{id_of, signed_by},
    limits::{
        RECORD_BYTES_MAX, RECORD_CHECKS_MAX, RECORD_COPIES, RECORD_LIFE, RECORD_QUERIES_MAX, RECORD_QUERY_TIME,
        RECORDS_MAX, RECORDS_OF_ONE_AT_ONCE, RECORDS_OF_ONE_MAX,
    },
};

pub(crate) type Kademlia = kad::Behaviour<MemoryStore>;

pub(super) fn new(topic: &str, me: PeerId) -> Kademlia {
    let protocol = StreamProtocol::try_from_owned(format!("/ghoard/kad/1/{topic}")).expect("it begins with a slash");
    let mut config = kad::Config::new(protocol);
    config
        .set_query_timeout(RECORD_QUERY_TIME)
        .set_replication_factor(RECORD_COPIES)
        .set_record_ttl(Some(RECORD_LIFE))
        .set_record_filtering(StoreInserts::FilterBoth)
        // Who is there says so again itself.
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_periodic_bootstrap_interval(None)
        .set_caching(Caching::Disabled);
    let store = MemoryStoreConfig {
        max_records: RECORDS_MAX,
        max_value_bytes: RECORD_BYTES_MAX,
        max_provided_keys: 0,
        max_providers_per_key: 0,
    };
    let mut kademlia = Kademlia::with_config(me, MemoryStore::with_config(me, store), config);
    // Whoever is behind the gate answers: over a connection it is of no account who can be dialled.
    kademlia.set_mode(Some(Mode::Server));
    kademlia
}

/// Who gave what is kept here of others, and how much there was to read lately.
#[derive(Default)]
pub(crate) struct Shelf {
    given_by: BTreeMap<PeerId, PeerId>,
    lately: Lately,
}

/// Of one second.
#[derive(Default)]
struct Lately {
    since: Option<Instant>,
    given: BTreeMap<PeerId, usize>,
    checks: usize,
}

impl Shelf {
    /// A member asks this node to keep a record: done if it is true, newer than what is there, and not too much.
    /// Returns whether it was.
    pub(crate) fn take(&mut self, kademlia: &mut Kademlia, from: PeerId, record: Record, now: Instant) -> bool {
        if !self.lately.may_give(from, now) {
            return false;
        }
        let Some(said) = read(&record) else { return false };
        let store = kademlia.store_mut();
        let known = store.get(&record.key).and_then(|known| read(&known));
        // Said again, as a rule, which takes no time from those who come for the first time.
        if known.as_ref().is_some_and(|known| known.issued_at >= said.issued_at) || !self.lately.may_check() {
            return false;
        }
        let Some(word) = true_word(&record) else { return false };
        if known.is_none() && !self.has_room(store, from, now) {
            return false;
        }
        let is_kept = store.put(record).is_ok();
        if let Some(of) = id_of(&word.peer).filter(|_| is_kept) {
            self.given_by.entry(of).or_insert(from);
        }
        is_kept
    }

    /// Who likes may make up machines, but does not fill the shelf with them.
    fn has_room(&mut self, store: &mut MemoryStore, from: PeerId, now: Instant) -> bool {
        let of_one = |shelf: &Self| shelf.given_by.values().filter(|by| **by == from).count();
        if self.given_by.len() >= RECORDS_MAX - 1 || of_one(self) >= RECORDS_OF_ONE_MAX {
            store.retain(|_, record| !record.is_expired(now));
            self.given_by.retain(|of, _| store.get(&RecordKey::from(of.to_bytes())).is_some());
        }
        // One place is this node's own.
        self.given_by.len() < RECORDS_MAX - 1 && of_one(self) < RECORDS_OF_ONE_MAX
    }
}

impl Lately {
    /// Nobody has more than a word or two of his own to give: who gives more takes no time from others.
    fn may_give(&mut self, from: PeerId, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            *self = Self { since: Some(now), ..Self::default() };
        }
        let given = self.given.entry(from).or_default();
        *given += 1;
        *given <= RECORDS_OF_ONE_AT_ONCE
    }

    /// A signature takes time.
    fn may_check(&mut self) -> bool {
        self.checks += 1;
        self.checks <= RECORD_CHECKS_MAX
    }
}

/// Gives this node's own word to those who keep it: those whose ids are near to its own, or, where it has dialled
/// nobody, to whom it is connected.
pub(crate) fn publish(kademlia: &mut Kademlia, own: &SignedPeer, connected: Vec<PeerId>) {
    let (Some(id), Some(value)) = (id_of(&own.peer), written(own)) else { return };
    let record = Record::new(id.to_bytes(), value);
    if kademlia.kbuckets().next().is_some() {
        // It fails on a full shelf only, which keeps a place for it.
        let _ = kademlia.put_record(record, Quorum::One);
    } else {
        let some: Vec<PeerId> = connected.into_iter().take(RECORD_COPIES.get()).collect();
        kademlia.put_record_to(record, some.into_iter(), Quorum::One);
    }
}

/// Asks where each is, as long as there are not questions enough: the others wait.
pub(crate) fn look_up(kademlia: &mut Kademlia, waiting: &mut VecDeque<PeerId>) {
    while kademlia.iter_queries().count() < RECORD_QUERIES_MAX
        && let Some(peer) = waiting.pop_front()
    {
        kademlia.get_record(RecordKey::from(peer.to_bytes()));
    }
}

/// The signed word in a record, if it is of the peer that the key names. Its times are not checked.
pub(crate) fn true_word(record: &Record) -> Option<SignedPeer> {
    let word = read(record)?;
    let is_of_key = id_of(&word.peer).is_some_and(|id| id.to_bytes() == record.key.to_vec());
    (is_of_key && signed_by(&word.peer, &word.signed_bytes(), &word.signature)).then_some(word)
}

fn read(record: &Record) -> Option<SignedPeer> {
    if record.value.len() > RECORD_BYTES_MAX {
        return None;
    }
    match Message::decode(&record.value) {
        Ok(Message::Exchange(Exchange { records, .. })) => <[SignedPeer; 1]>::try_from(records).ok().map(|[one]| one),
        _ => None,
    }
}

fn written(word: &SignedPeer) -> Option<Vec<u8>> {
    let exchange = Exchange { records: vec![word.clone()], wants: false };
    Message::Exchange(exchange).encode().ok().filter(|value| value.len() <= RECORD_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use wire::{Millis, Role};

    use super::*;
    use crate::Identity;

    fn word(seed: u16, issued_at: u64) -> SignedPeer {
        let identity = identity(seed);
        let mut word = SignedPeer {
            peer: identity.peer(),
            addresses: vec!["/ip4/192.0.2.7/tcp/9100".to_owned()],
            role: Role::Node,
            issued_at: Millis(issued_at),
            expires_at: Millis(issued_at + 1000),
            signature: [0; 64],
        };
        word.signature = identity.sign(&word.signed_bytes());
        word
    }

    fn identity(seed: u16) -> Identity {
        Identity::from_seed(std::array::from_fn(|at| seed.to_be_bytes()[at % 2]))
    }

    fn record(word: &SignedPeer) -> Record {
        Record::new(id_of(&word.peer).unwrap().to_bytes(), written(word).unwrap())
    }

    #[test]
    fn what_is_signed_and_in_its_place_is_true() {
        let mine = word(1, 100);
        assert_eq!(true_word(&record(&mine)), Some(mine.clone()));
        let moved = SignedPeer { addresses: vec!["/ip4/192.0.2.8/tcp/9100".to_owned()], ..mine.clone() };
        assert_eq!(true_word(&record(&moved)), None, "somebody else has written it");
        let misplaced = Record { key: record(&word(2, 100)).key, ..record(&mine) };
        assert_eq!(true_word(&misplaced), None, "it is true of another one");
        for value in [b"hello".to_vec(), vec![0; RECORD_BYTES_MAX + 1]] {
            assert_eq!(true_word(&Record { value, ..record(&mine) }), None);
        }
    }

    /// A shelf, to which records are given one second after the other.
    struct Slow {
        kademlia: Kademlia,
        shelf: Shelf,
        now: Instant,
    }

    impl Slow {
        fn new() -> Self {
            let kademlia = new("t", PeerId::random());
            Self { kademlia, shelf: Shelf::default(), now: Instant::now() }
        }

        fn take(&mut self, from: PeerId, record: Record) -> bool {
            self.now += Duration::from_secs(1);
            self.shelf.take(&mut self.kademlia, from, record, self.now)
        }
    }

    #[test]
    fn the_shelf_keeps_the_latest_true_word_and_of_one_member_not_everything() {
        let (other, liar, mut shelf) = (PeerId::random(), PeerId::random(), Slow::new());
        assert!(shelf.take(liar, record(&word(1, 100))) && shelf.take(liar, record(&word(1, 200))));
        assert!(!shelf.take(liar, record(&word(1, 150))), "an older word");
        assert!(!shelf.take(liar, Record { value: b"hello".to_vec(), ..record(&word(2, 100)) }));
        let forged = SignedPeer { addresses: vec!["/ip4/192.0.2.8/tcp/9100".to_owned()], ..word(2, 100) };
        assert!(!shelf.take(liar, record(&forged)), "somebody else has written it");
        let kept = (2..2000).filter(|seed| shelf.take(liar, record(&word(*seed, 100)))).count();
        assert_eq!(kept, RECORDS_OF_ONE_MAX - 1);
        assert!(shelf.take(other, record(&word(5000, 100))), "there is room for others");
        assert!(shelf.take(liar, record(&word(1, 300))), "what is known is renewed");
    }

    #[test]
    fn what_has_expired_makes_room() {
        let (giver, mut shelf) = (PeerId::random(), Slow::new());
        let expires = Some(shelf.now + RECORD_LIFE);
        for seed in 0..RECORDS_OF_ONE_MAX {
            assert!(shelf.take(giver, Record { expires, ..record(&word(seed as u16, 100)) }));
        }
        assert!(!shelf.take(giver, record(&word(5000, 100))));
        shelf.now += RECORD_LIFE;
        assert!(shelf.take(giver, record(&word(5000, 100))));
    }

    #[test]
    fn who_sends_without_end_is_not_read_without_end() {
        let (liar, mut shelf, mut kademlia) = (PeerId::random(), Shelf::default(), new("t", PeerId::random()));
        let now = Instant::now();
        let mut take = |from, seed, now| shelf.take(&mut kademlia, from, record(&word(seed, 100)), now);
        let of_one = (0..1000).filter(|seed| take(liar, *seed, now)).count();
        assert_eq!(of_one, RECORDS_OF_ONE_AT_ONCE);
        // Who says again what is known is in nobody's way.
        assert!((0..1000).all(|_| !take(PeerId::random(), 0, now)));
        let of_all = (1000..2000).filter(|seed| take(PeerId::random(), *seed, now)).count();
        assert_eq!(of_one + of_all, RECORD_CHECKS_MAX);
        assert!(take(liar, 3000, now + Duration::from_secs(1)), "that was a second");
    }
}
