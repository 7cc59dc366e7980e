//! The fleet's work on the store: in order, and beside the core, which must not wait for a disk.

use std::sync::{Arc, Weak};

use fleet::Input;
use futures::channel::oneshot;
use store::{EntryKey, Space};
use tokio::sync::mpsc;
use tracing::debug;
use wire::{Announcement, KeyId, Peer, ScopeId};

use super::Sharing;
use crate::cache::now;

/// One piece of work.
pub enum Job {
    /// Keep what a member announced.
    Keep {
        from: Peer,
        announcement: Box<Announcement>,
    },
    Forget {
        key: KeyId,
        scope: ScopeId,
    },
    /// Give the disk what was buried: it is in its next commit.
    SaveTombstones,
    /// Say when everything before it is done.
    Settle(oneshot::Sender<()>),
    /// What a neighbour told is kept: this node has caught up.
    CaughtUp,
}

/// Works until the handle to the fleet is gone.
pub async fn run(sharing: Weak<Sharing>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let Some(sharing) = sharing.upgrade() else { return };
        sharing.do_job(job).await;
    }
}

impl Sharing {
    /// Leaves work for the shelf. Over the limit a record is not kept, and its body not promised.
    pub(super) fn shelve(&self, job: Job) {
        if let Job::Keep { announcement, .. } = &job
            && let Some(body) = &announcement.body
        {
            let at = (announcement.key, announcement.scope);
            self.hand.take(at, announcement.record.version.digest, body.clone());
        }
        match self.shelf.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(Job::Keep { announcement, .. })) => {
                self.tell(Input::BodyLost { digest: announcement.record.version.digest });
            }
            Err(_) => debug!("the disk is behind; a record stays on it until it expires"),
        }
    }

    /// Ends when what was announced so far is in the store.
    pub(super) async fn settled(&self) {
        let (done, is_done) = oneshot::channel();
        self.shelve(Job::Settle(done));
        let _ = is_done.await;
    }

    async fn do_job(self: Arc<Self>, job: Job) {
        match job {
            Job::Keep { from, announcement } => {
                let digest = announcement.record.version.digest;
                if !self.keep(&from, *announcement).await {
                    self.tell(Input::BodyLost { digest });
                }
            }
            // What a fleet of one forgets stays for its own credential, until it expires.
            Job::Forget { .. } if self.net.is_none() => {}
            Job::Forget { key, scope } => {
                let store = self.store.clone();
                let removed = move || store.remove(Space::Fleet, &EntryKey { scope, key });
                if let Some(Err(error)) = self.tasks.block(removed).await {
                    debug!(%error, "a record of the fleet could not be removed");
                }
            }
            Job::SaveTombstones => {
                let keeper = self.keeper.clone();
                let _ = self.tasks.block(move || keeper.save_graves(now())).await;
            }
            Job::Settle(done) => {
                let _ = done.send(());
            }
            Job::CaughtUp => self.caught_up.store(true, std::sync::atomic::Ordering::Relaxed),
        }
    }
}
