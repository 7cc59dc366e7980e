use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Work in the background that should end before the node does.
pub struct Underway(Arc<Semaphore>);

/// More than can ever be under way at once: each holds an answer in memory.
const UNDERWAY_MAX: u32 = 1 << 20;

impl Default for Underway {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNDERWAY_MAX as usize)))
    }
}

impl Underway {
    /// Counts as under way until it is dropped. `None` only over the limit; then nobody waits for it.
    pub fn begin(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }

    /// Ends when nothing is under way.
    pub async fn wait(&self) {
        let _ = self.0.acquire_many(UNDERWAY_MAX).await;
    }
}
