//! Bodies that are fetched although no client waits: an owner of a key keeps what others have filled.

use std::collections::BTreeSet;

use wire::{Announcement, Digest, KeyId, Millis, Peer};

use super::{Fleet, is_plausible};
use crate::{Effect, PullFailure, limits};

/// What is being fetched, so that nothing is fetched twice at once.
pub(super) type Copies = BTreeSet<(KeyId, Digest)>;

impl Fleet {
    /// Fetches the body of this record from who has filled it, to have a second copy.
    ///
    /// Nothing is done, and nothing is lost, if it is here, is on its way, is larger than
    /// [`limits::COPY_BYTES_MAX`], is doubtful, not fresh or of times that cannot be true, or if [`limits::COPIES_MAX`] others are on their way.
    pub fn copy(&mut self, from: &Peer, announcement: Announcement, now: Millis) {
        let Announcement { key, scope, ref record, .. } = announcement;
        let digest = record.version.digest;
        let is_wanted = record.body_bytes <= limits::COPY_BYTES_MAX
            && record.is_fresh(now)
            && is_plausible(record, now)
            && self.peers.contains_key(from)
            && !self.index.holds(key, digest)
            && !self.is_doubtful(key, scope, record);
        if is_wanted && self.copies.len() < limits::COPIES_MAX && self.copies.insert((key, digest)) {
            let announcement = Announcement { body: None, ..announcement };
            self.effects.push_back(Effect::Fetch { from: from.clone(), announcement });
        }
    }

    pub(super) fn fetched(&mut self, from: &Peer, announcement: &Announcement, result: Result<(), PullFailure>) {
        let Announcement { key, scope, ref record, .. } = *announcement;
        let digest = record.version.digest;
        if !self.copies.remove(&(key, digest)) {
            return;
        }
        match result {
            Ok(()) => {
                // A write may have gone out while this was on its way here.
                if !self.is_doubtful(key, scope, record) {
                    self.index.insert(announcement, from, true);
                }
            }
            Err(PullFailure::Wrong | PullFailure::Mixed) => {
                self.no_longer_holds((key, scope), digest, from);
                self.drop_liar(from);
            }
            Err(PullFailure::Unavailable) => {}
        }
    }
}
