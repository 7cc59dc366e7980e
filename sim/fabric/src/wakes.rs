//! Wakers leave the lock before they run.
//!
//! Waking a task, and dropping its last waker, may run its code, which may come back here.

use std::task::{Context, Waker};

/// Wakers on their way out of the lock.
#[derive(Default)]
pub(crate) struct Wakes {
    due: Vec<Waker>,
    stale: Vec<Waker>,
}

impl Wakes {
    /// Remembers the task in `slot`; it will be woken once.
    pub(crate) fn park(&mut self, slot: &mut Option<Waker>, cx: &Context<'_>) {
        if slot.as_ref().is_some_and(|parked| parked.will_wake(cx.waker())) {
            return;
        }
        self.stale.extend(slot.replace(cx.waker().clone()));
    }

    pub(crate) fn wake(&mut self, slot: &mut Option<Waker>) {
        self.due.extend(slot.take());
    }

    /// Nobody waits here any more.
    pub(crate) fn forget(&mut self, slot: &mut Option<Waker>) {
        self.stale.extend(slot.take());
    }

    /// Call it without the lock.
    pub(crate) fn run(self) {
        self.due.into_iter().for_each(Waker::wake);
    }
}
