//! Giving back what a shrunken cache no longer needs of the disk.

use std::sync::{PoisonError, atomic::Ordering};

use wire::Millis;

use super::{Device, DiskStore, guarded};
use crate::limits;

impl DiskStore {
    /// Moves what is held to the front of the file and cuts off the rest, if that is worth it.
    ///
    /// redb uses free pages again and gives those at the end of the file back, so a cache in use stays
    /// within a small multiple of what it holds by itself. This is for a cache that was large once: after
    /// an invalidation of everything, or with a smaller limit. Reads wait meanwhile, for as long as it
    /// takes to move what is held, which is less than a third of the file: some 6 ms for each MB. So it happens
    /// when nobody has put or looked up anything for [`limits::COMPACT_QUIET`].
    pub(super) fn compact(&self, now: Millis) {
        let held_bytes = {
            let state = self.state();
            if state.quiet_since.is_none_or(|since| now < since.after(limits::COMPACT_QUIET)) {
                return;
            }
            // A clock that was set back must not put the next time off for long.
            if state.compact_at > now && state.compact_at <= now.after(limits::COMPACT_AFTER) {
                return;
            }
            state.stats.bytes
        };
        let file_bytes = self.handle().as_ref().and_then(|handle| handle.shield.len().ok()).unwrap_or(0);
        if file_bytes <= held_bytes * limits::COMPACT_RATIO + self.config.compact_slack_bytes {
            return;
        }
        self.state().compact_at = now.after(limits::COMPACT_AFTER);
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = &mut *handle else { return };
        // redb does not compact while anybody reads.
        handle.readers.renew();
        // redb compacts without the allocator's state: until the next commit of ours, a crash would mean
        // a walk through the whole file.
        let compacted = guarded(|| handle.database.compact().is_ok() && handle.write(|_| Ok(())).is_ok());
        if !matches!(compacted, Ok(true)) {
            self.is_suspect.store(true, Ordering::Release);
        }
    }
}
