//! Clients that wait for what the core says.

use std::collections::BTreeMap;

use fleet::{AskId, Input, Outcome};
use futures::channel::oneshot;

use super::{Sharing, pulls::Brought};

/// What the core says, with the body that was pulled for it.
type Said = (Outcome, Option<Brought>);

/// Who waits, by question.
#[derive(Default)]
pub struct Waiting {
    next: u64,
    pub answers: BTreeMap<AskId, oneshot::Sender<Said>>,
}

impl Waiting {
    pub fn wait(&mut self) -> (AskId, oneshot::Receiver<Said>) {
        let (sender, receiver) = oneshot::channel();
        let id = AskId(self.next);
        self.next += 1;
        self.answers.insert(id, sender);
        (id, receiver)
    }
}

/// A client that stops waiting leaves nothing behind.
pub struct CancelOnDrop<'a> {
    pub sharing: &'a Sharing,
    pub ask: AskId,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.sharing.waiting.lock().expect("no panic while held").answers.remove(&self.ask).is_some() {
            self.sharing.tell(Input::Cancelled { ask: self.ask });
        }
    }
}
