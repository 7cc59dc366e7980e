use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use libp2p::PeerId;

/// A bounded number of places for streams, shared by all peers and fairly bounded for each.
#[derive(Clone)]
pub(crate) struct Slots {
    taken: Arc<Mutex<BTreeMap<PeerId, usize>>>,
    per_peer: usize,
    total: usize,
}

impl Slots {
    pub(crate) fn new(per_peer: usize, total: usize) -> Self {
        Self { taken: Arc::default(), per_peer, total }
    }

    /// `None` if `peer`, or everybody together, has all there is.
    pub(crate) fn take(&self, peer: PeerId) -> Option<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.total {
            return None;
        }
        let mine = taken.entry(peer).or_default();
        if *mine >= self.per_peer {
            return None;
        }
        *mine += 1;
        Some(Slot { taken: Arc::clone(&self.taken), peer })
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    taken: Arc<Mutex<BTreeMap<PeerId, usize>>>,
    peer: PeerId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = taken.get_mut(&self.peer) {
            *mine -= 1;
            if *mine == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;

    #[test]
    fn a_peer_and_all_peers_are_bounded_and_places_come_back() {
        let [a, b] = [1, 2].map(|seed| Identity::from_seed([seed; 32]).peer_id());
        let slots = Slots::new(2, 3);
        let first = slots.take(a).unwrap();
        let _second = slots.take(a).unwrap();
        assert!(slots.take(a).is_none(), "over the peer's own");
        let _third = slots.take(b).unwrap();
        assert!(slots.take(b).is_none(), "over everybody's");
        drop(first);
        assert!(slots.take(b).is_some());
    }
}
