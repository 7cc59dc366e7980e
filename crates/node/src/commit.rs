//! Making durable what was put, in time.

use std::{sync::Arc, time::Duration};

use store::Store;
use task::Tasks;
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use crate::{
    cache::now,
    limits::{COMMIT_WINDOW, DURABLE_WITHIN},
};

/// Commits what was put, window by window.
pub(crate) async fn commit_in_time(store: Arc<dyn Store>, tasks: Tasks, mut stopped: watch::Receiver<bool>) {
    let mut pace = Pace::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(pace.pause()) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let begun = Instant::now();
        flush(&store, &tasks).await;
        pace.note(begun.elapsed());
    }
}

pub(crate) async fn flush(store: &Arc<dyn Store>, tasks: &Tasks) {
    let store = store.clone();
    match tasks.block(move || store.flush(now())).await {
        Some(Err(error)) => warn!(%error, "could not commit to the cache; going on without"),
        Some(Ok(report)) if report.damaged > 0 => {
            warn!(entries = report.damaged, "records on the disk are damaged; they are dropped, and asked for again");
        }
        Some(Ok(_)) | None => {}
    }
}

/// When the next commit begins.
///
/// What is put just after a commit has begun waits for its end, the pause, and the next commit. So the
/// pause is what the two leave of [`DURABLE_WITHIN`]: a busy disk is given smaller windows.
#[derive(Debug, Default)]
struct Pace {
    /// What a commit is taken to need.
    expected: Duration,
}

impl Pace {
    /// A commit took so long. A slow one is remembered for some ten others.
    fn note(&mut self, took: Duration) {
        self.expected = took.max(self.expected - self.expected / 8);
    }

    /// From the end of one commit to the beginning of the next.
    fn pause(&self) -> Duration {
        DURABLE_WITHIN.saturating_sub(2 * self.expected).min(COMMIT_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_waits_is_durable_in_time_whatever_a_commit_takes() {
        for took in [0, 5, 199, 200, 300, 449].map(|ms| ms * MS) {
            let mut pace = Pace::default();
            pace.note(took);
            let longest_wait = took + pace.pause() + took;
            assert!(longest_wait <= DURABLE_WITHIN, "{took:?}: {longest_wait:?}");
            assert!(pace.pause() == COMMIT_WINDOW || longest_wait == DURABLE_WITHIN, "{took:?}: shorter than needed");
        }
    }

    #[test]
    fn a_slow_commit_is_followed_at_once_and_forgotten_in_time() {
        let mut pace = Pace::default();
        pace.note(2000 * MS);
        assert_eq!(pace.pause(), Duration::ZERO);
        for _ in 0..30 {
            pace.note(10 * MS);
        }
        assert_eq!(pace.pause(), COMMIT_WINDOW);
    }
}
