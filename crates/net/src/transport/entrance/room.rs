use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::source::Source;

/// So many connections are set up at once: few of each source, and when all seats are taken, whoever comes from a source with
/// fewer gets one of the source that has most.
///
/// Without that, as many silent strangers as there are seats shut everybody out, from a few addresses. So they need as many
/// addresses as there are seats. The oldest connection goes, as a member's is soon made.
pub(super) struct Room {
    per_source_max: usize,
    all_max: usize,
    /// None of them is empty.
    sources: BTreeMap<Source, BTreeSet<Seat>>,
    next: Seat,
}

/// In the order in which they were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat(u64);

/// Why a connection is not set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("{max} connections from {from} are being set up already")]
    OfSource { from: Source, max: usize },
    #[error("{max} connections are being set up already, and no source has many of them")]
    OfAll { max: usize },
    #[error("a connection from elsewhere took its place before it was set up")]
    Displaced,
}

impl Room {
    pub(super) fn new(per_source_max: usize, all_max: usize) -> Self {
        Self { per_source_max, all_max, sources: BTreeMap::new(), next: Seat(0) }
    }

    /// A seat, and who has to leave one for it.
    pub(super) fn enter(&mut self, source: &Source) -> Result<(Seat, Option<Seat>), Full> {
        let own = self.sources.get(source).map_or(0, BTreeSet::len);
        if own >= self.per_source_max {
            return Err(Full::OfSource { from: source.clone(), max: self.per_source_max });
        }
        let is_full = self.sources.values().map(BTreeSet::len).sum::<usize>() >= self.all_max;
        let displaced = if is_full { Some(self.displace(own)?) } else { None };
        let seat = self.next;
        self.next = Seat(seat.0 + 1);
        self.sources.entry(source.clone()).or_default().insert(seat);
        Ok((seat, displaced))
    }

    /// Also who has been displaced may leave.
    pub(super) fn leave(&mut self, source: &Source, seat: Seat) {
        if let Some(seats) = self.sources.get_mut(source) {
            seats.remove(&seat);
            if seats.is_empty() {
                self.sources.remove(source);
            }
        }
    }

    /// For one of a source that has `own` seats: who leaves one must have no fewer then than who takes it.
    fn displace(&mut self, own: usize) -> Result<Seat, Full> {
        let most = self.sources.values_mut().max_by_key(|seats| (seats.len(), Reverse(seats.first().copied())));
        let most = most.filter(|seats| seats.len() > own + 1);
        most.and_then(BTreeSet::pop_first).ok_or(Full::OfAll { max: self.all_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::of_ip([192, 0, 2, last].into())
    }

    /// Comes from each of these sources in turn; who then sits there.
    fn seated(room: &mut Room, comers: &[u8]) -> Vec<u8> {
        for last in comers {
            // Not all of them get a seat.
            let _ = room.enter(&source(*last));
        }
        (0..=u8::MAX).flat_map(|last| vec![last; room.sources.get(&source(last)).map_or(0, BTreeSet::len)]).collect()
    }

    #[test]
    fn who_comes_from_elsewhere_gets_a_seat_of_who_has_most() {
        for (comers, expected) in [
            (&[1, 1, 1, 1][..], &[1, 1, 1][..]),
            (&[1, 1, 1, 2, 2, 2], &[1, 1, 2, 2]),
            (&[1, 1, 1, 2, 3], &[1, 1, 2, 3]),
            (&[1, 1, 1, 2, 3, 4], &[1, 2, 3, 4]),
            (&[1, 1, 2, 2, 3, 4, 5], &[1, 2, 3, 4]),
            (&[1, 1, 2, 2, 1, 2, 1, 2], &[1, 1, 2, 2]),
            // Who has made room does not get it back.
            (&[1, 1, 1, 2, 3, 1, 1, 1], &[1, 1, 2, 3]),
        ] {
            assert_eq!(seated(&mut Room::new(3, 4), comers), expected, "{comers:?}");
        }
    }

    #[test]
    fn the_oldest_leaves_and_may_say_so_late() {
        let mut room = Room::new(3, 4);
        let [first, second, other] = [1, 1, 2].map(|last| room.enter(&source(last)).unwrap().0);
        room.enter(&source(2)).unwrap();
        assert_eq!(room.enter(&source(3)).unwrap().1, Some(first));
        room.leave(&source(1), first);
        assert_eq!(room.enter(&source(4)).unwrap().1, Some(other));
        let full = room.enter(&source(5));
        assert_eq!(full, Err(Full::OfAll { max: 4 }));
        room.leave(&source(1), second);
        assert!(room.enter(&source(5)).unwrap().1.is_none());
    }
}
