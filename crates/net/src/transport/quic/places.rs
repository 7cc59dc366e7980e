use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{limits::QUIC_LINGER_TIME, source::Source};

/// How many connections there may be that are not yet a member's, those included that are dying.
pub(super) struct Places(Mutex<Table>);

/// Not longer than there are places.
struct Table {
    per_source_max: usize,
    all_max: usize,
    taken: BTreeMap<Source, usize>,
    /// Places of connections that have ended, and until when these still take memory; in order.
    dying: VecDeque<(Instant, Source)>,
}

/// Held while a connection is not yet a member's.
pub(crate) struct Place {
    places: Arc<Places>,
    source: Source,
    has_memory: bool,
}

impl Places {
    pub(super) fn new(per_source_max: usize, all_max: usize) -> Self {
        Self(Mutex::new(Table { per_source_max, all_max, taken: BTreeMap::new(), dying: VecDeque::new() }))
    }

    /// `None` if all are taken, or all that one source may have.
    pub(super) fn take(self: &Arc<Self>, remote: IpAddr) -> Option<Place> {
        let source = Source::of_ip(remote);
        let is_taken = self.table().take(&source, Instant::now());
        is_taken.then(|| Place { places: Arc::clone(self), source, has_memory: true })
    }

    /// Whether so many are taken, of all or of this source's, that the rest is for who shows that his address is
    /// true: with made-up ones a stranger would take all places of a member's.
    pub(super) fn are_scarce(&self, remote: IpAddr) -> bool {
        let table = self.table();
        table.all() * 2 > table.all_max || table.of(&Source::of_ip(remote)) * 2 > table.per_source_max
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Another one may have it at once: the connection is a member's now, or there was none.
    pub(crate) fn give_back(mut self) {
        self.has_memory = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        if self.has_memory {
            table.dying.push_back((Instant::now() + QUIC_LINGER_TIME, self.source.clone()));
        } else {
            table.free(&self.source);
        }
    }
}

impl Table {
    fn take(&mut self, source: &Source, now: Instant) -> bool {
        while let Some((_, gone)) = self.dying.pop_front_if(|(gone_at, _)| *gone_at <= now) {
            self.free(&gone);
        }
        let of_source = self.of(source);
        let has_room = self.all() < self.all_max && of_source < self.per_source_max;
        if has_room {
            self.taken.insert(source.clone(), of_source + 1);
        }
        has_room
    }

    fn free(&mut self, source: &Source) {
        if let Some(count) = self.taken.get_mut(source) {
            *count -= 1;
            if *count == 0 {
                self.taken.remove(source);
            }
        }
    }

    fn of(&self, source: &Source) -> usize {
        self.taken.get(source).copied().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.taken.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_source_has_few_places_and_all_have_not_many() {
        let places = Arc::new(Places::new(2, 3));
        let held = [places.take(A), places.take(A)].map(Option::unwrap);
        assert!(places.take(A).is_none());
        assert!(places.are_scarce(B));
        let other = places.take(B).unwrap();
        assert!(places.take(B).is_none(), "all are taken");
        for place in held {
            place.give_back();
        }
        assert!(!places.are_scarce(A));
        other.give_back();
        assert!(places.table().taken.is_empty());
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_share_their_places() {
        let places = Arc::new(Places::new(1, 8));
        let held = ["2001:db8::1", "2001:db8:0:1::1"].map(|ip| places.take(ip.parse().unwrap()).unwrap());
        assert!(places.take("2001:db8::2".parse().unwrap()).is_none());
        drop(held);
    }

    #[test]
    fn half_of_a_sources_places_are_for_who_is_truly_there() {
        let places = Arc::new(Places::new(4, 64));
        let held = [places.take(A), places.take(A)];
        assert!(!places.are_scarce(A));
        let third = places.take(A);
        assert!(places.are_scarce(A) && !places.are_scarce(B));
        drop((held, third));
    }

    #[test]
    fn who_was_turned_away_keeps_his_place_until_the_connection_is_gone() {
        let places = Arc::new(Places::new(1, 8));
        drop(places.take(A).unwrap());
        assert!(places.take(A).is_none());
        assert!(places.take(B).is_some());
        let later = Instant::now() + QUIC_LINGER_TIME;
        assert!(places.table().take(&Source::of_ip(A), later));
        assert!(!places.table().take(&Source::of_ip(A), later));
    }
}
