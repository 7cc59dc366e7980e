use std::sync::Arc;

use fleet::{AskId, Input};
use wire::LeaseEnd;

use super::Sharing;

/// A question for which the origin may be asked, and others may be waiting. Dropped without a word,
/// the next of them asks.
pub struct Lease {
    sharing: Arc<Sharing>,
    ask: Option<AskId>,
}

impl Lease {
    pub(super) fn new(sharing: Arc<Sharing>, ask: AskId) -> Self {
        Self { sharing, ask: Some(ask) }
    }

    /// Nothing came of it that is shared as an answer.
    pub fn ended(mut self, end: LeaseEnd) {
        if let Some(ask) = self.ask.take() {
            self.sharing.tell(Input::Ended { ask, end: Some(end) });
        }
    }

    /// An answer comes, and says which question it ends.
    pub(super) fn answered(mut self) -> Option<AskId> {
        self.ask.take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(ask) = self.ask.take() {
            self.sharing.tell(Input::Ended { ask, end: None });
        }
    }
}
