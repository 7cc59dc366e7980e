//! The folder that all machines see, as a network file system would show it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use discovery::{
    AnnounceError, Announced, Directory, DiscoverError, Found, PeerRecord, WithdrawError, limits::RECORD_TTL,
};
use wire::Millis;

use crate::stage::lock;

#[derive(Clone, Default)]
pub struct SharedDirectory(Arc<Mutex<BTreeMap<String, PeerRecord>>>);

impl Directory for SharedDirectory {
    fn announce(&self, me: &PeerRecord, now: Millis) -> Result<Announced, AnnounceError> {
        let me = PeerRecord { last_seen: now, ..me.clone() };
        lock(&self.0).insert(me.peer_id.clone(), me);
        Ok(Announced::Written)
    }

    fn discover(&self, now: Millis) -> Result<Found, DiscoverError> {
        let mut peers: Vec<_> =
            lock(&self.0).values().filter(|peer| now.since(peer.last_seen) < RECORD_TTL).cloned().collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.last_seen));
        Ok(Found { peers, skipped: Vec::new() })
    }

    fn withdraw(&self, me: &PeerRecord) -> Result<(), WithdrawError> {
        lock(&self.0).remove(&me.peer_id);
        Ok(())
    }
}
