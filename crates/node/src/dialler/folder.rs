use std::sync::Arc;

use discovery::Directory;
use task::Tasks;
use tokio::sync::Mutex;

use crate::limits;

/// A peer directory that may hang: it is asked one thing at a time, and waited for a moment only.
pub(super) struct Folder {
    directory: Arc<dyn Directory>,
    busy: Arc<Mutex<()>>,
}

/// The directory has not answered: this question, or an earlier one.
#[derive(Debug, thiserror::Error)]
#[error("the peer directory does not answer: is it on a file server that is gone?")]
pub(super) struct Silent;

impl Folder {
    pub(super) fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, busy: Arc::default() }
    }

    pub(super) async fn ask<R: Send + 'static>(
        &self,
        tasks: &Tasks,
        question: impl FnOnce(&dyn Directory) -> R + Send + 'static,
    ) -> Result<R, Silent> {
        let guard = Arc::clone(&self.busy).try_lock_owned().map_err(|_| Silent)?;
        let directory = Arc::clone(&self.directory);
        let answer = tasks.block(move || {
            let answer = question(&*directory);
            drop(guard);
            answer
        });
        tokio::time::timeout(limits::DIRECTORY_PATIENCE, answer).await.ok().flatten().ok_or(Silent)
    }
}
