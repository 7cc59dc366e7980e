use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use quinn::ServerConfig;

use crate::source::Source;

/// How many connections there may be in memory that are not a member's, those included that have ended.
///
/// How long quinn remembers one that has ended is its peer's choice: three timeouts that grow with the round trip
/// (10 s at most, while the handshake and the gate are waited for) and with the `max_ack_delay` that it tells of itself
/// (16 s at most), together more than two minutes (RFC 9000, 10.2 and 18.2; RFC 9002, 6.2). So nothing is timed here.
pub(super) struct Places(Mutex<Table>);

/// Not longer than there are places.
struct Table {
    per_source_max: usize,
    all_max: usize,
    taken: BTreeMap<u64, Taken>,
    next: u64,
}

struct Taken {
    source: Source,
    is_validated: bool,
    /// A connection's own configuration: quinn lets go of it when it forgets the connection.
    life: Weak<ServerConfig>,
}

/// What becomes of a first packet.
pub(super) enum Answer {
    Begin(Place),
    /// First he is to show that his address is his own (RFC 9000, 8.1.2).
    Retry,
    Refuse,
}

/// Taken by a connection until its peer is a member, or nothing is left of it.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    pub(super) fn new(per_source_max: usize, all_max: usize) -> Self {
        Self(Mutex::new(Table { per_source_max, all_max, taken: BTreeMap::new(), next: 0 }))
    }

    /// `life` is the configuration that the connection is to be made with, and no other one.
    pub(super) fn ask(self: &Arc<Self>, source: Source, is_validated: bool, life: &Arc<ServerConfig>) -> Answer {
        let mut table = self.table();
        table.forget_the_dead();
        match table.judge(&source, is_validated) {
            Judgement::Begin => {
                let number = table.take(Taken { source, is_validated, life: Arc::downgrade(life) });
                Answer::Begin(Place { places: Arc::clone(self), number })
            }
            Judgement::Retry => Answer::Retry,
            Judgement::Refuse => Answer::Refuse,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The connection is a member's now.
    pub(super) fn give_back(self) {
        self.places.table().taken.remove(&self.number);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Begin,
    Retry,
    Refuse,
}

impl Table {
    fn forget_the_dead(&mut self) {
        self.taken.retain(|_, taken| taken.life.strong_count() > 0);
    }

    /// Once half of all are taken, the rest is for addresses that are true, one place for each: nothing that has begun
    /// can be displaced, and so many must a stranger own to shut members out. And of each source's places the second half
    /// is for who is truly there, so that made-up addresses do not take a member's.
    fn judge(&self, source: &Source, is_validated: bool) -> Judgement {
        let all = self.taken.len();
        let own = self.taken.values().filter(|taken| taken.source == *source).count();
        let has_shown = self.taken.values().any(|taken| taken.is_validated && taken.source == *source);
        let is_half_full = all * 2 >= self.all_max;
        if all >= self.all_max || own >= self.per_source_max || is_half_full && has_shown {
            Judgement::Refuse
        } else if !is_validated && (is_half_full || own * 2 >= self.per_source_max) {
            Judgement::Retry
        } else {
            Judgement::Begin
        }
    }

    fn take(&mut self, taken: Taken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.taken.insert(number, taken);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, transport::quic::config::Configs};

    fn source(last: u8) -> Source {
        Source::of_ip([192, 0, 2, last].into())
    }

    /// Begins for each of these, `source` and whether its address was shown to be true, and returns what the next one is told.
    fn judged(places: (usize, usize), taken: &[(u8, bool)], next: (u8, bool)) -> Judgement {
        let mut table = Table { per_source_max: places.0, all_max: places.1, taken: BTreeMap::new(), next: 0 };
        for &(last, is_validated) in taken {
            assert_eq!(table.judge(&source(last), is_validated), Judgement::Begin, "{last} of {taken:?}");
            table.take(Taken { source: source(last), is_validated, life: Weak::new() });
        }
        table.judge(&source(next.0), next.1)
    }

    #[test]
    fn half_of_a_sources_places_are_for_who_is_truly_there() {
        use Judgement::{Begin, Refuse, Retry};
        for (taken, next, told) in [
            (&[(1, false)][..], (1, false), Begin),
            (&[(1, false), (1, false)], (1, false), Retry),
            (&[(1, false), (1, false)], (2, false), Begin),
            (&[(1, false), (1, false)], (1, true), Begin),
            (&[(1, false), (1, false), (1, true), (1, true)], (1, true), Refuse),
            (&[(1, false), (1, false), (1, true), (1, true)], (2, false), Begin),
        ] {
            assert_eq!(judged((4, 64), taken, next), told, "{next:?} after {taken:?}");
        }
    }

    #[test]
    fn half_of_all_places_are_for_one_of_each_true_address() {
        use Judgement::{Begin, Refuse, Retry};
        for (taken, next, told) in [
            (&[(1, true)][..], (2, false), Begin),
            (&[(1, true), (1, true)], (1, true), Refuse),
            (&[(1, true), (1, true)], (2, false), Retry),
            (&[(1, true), (1, true)], (2, true), Begin),
            // Made up by somebody else: his own is still free.
            (&[(2, false), (2, false)], (2, true), Begin),
            (&[(1, true), (1, true), (2, true)], (2, true), Refuse),
            (&[(1, true), (1, true), (2, true)], (3, false), Retry),
            (&[(1, true), (1, true), (2, true), (3, true)], (4, true), Refuse),
        ] {
            assert_eq!(judged((4, 4), taken, next), told, "{next:?} after {taken:?}");
        }
    }

    #[test]
    fn a_place_is_taken_until_the_connection_is_forgotten_or_a_members() {
        let config = Configs::new(&Identity::from_seed([1; 32]));
        let places = Arc::new(Places::new(1, 8));
        let life = config.for_one();
        let begins = |life: &Arc<ServerConfig>| matches!(places.ask(source(1), true, life), Answer::Begin(_));
        assert!(begins(&life));
        let next = config.for_one();
        assert!(!begins(&next), "the connection is still in memory");
        drop(life);
        assert!(begins(&next));

        let places = Arc::new(Places::new(1, 8));
        let Answer::Begin(place) = places.ask(source(1), true, &next) else { panic!("there is a place") };
        place.give_back();
        assert!(places.table().taken.is_empty());
        assert!(matches!(places.ask(source(1), true, &next), Answer::Begin(_)));
    }
}
