//! What is still to come, in order of time and then of its making.

use std::{collections::BTreeMap, time::Duration};

use fleet::Input;

/// Something that happens at a moment. Nodes are named by their place.
pub enum Happening {
    Start {
        node: usize,
    },
    Stop {
        node: usize,
    },
    /// A partition begins or ends.
    Cut,
    /// Two nodes find each other.
    Meet {
        a: usize,
        b: usize,
    },
    Ask {
        node: usize,
        token: Option<usize>,
        path: String,
    },
    /// Something reaches a node: of another, if `from` is named.
    Arrive {
        node: usize,
        from: Option<usize>,
        life: u32,
        input: Box<Input>,
    },
    /// A node wanted to be woken.
    Wake {
        node: usize,
        life: u32,
    },
    /// GitHub's answer is here.
    Origin {
        node: usize,
        life: u32,
        token: Option<usize>,
        path: String,
    },
}

#[derive(Default)]
pub struct Queue {
    next: u64,
    waiting: BTreeMap<(Duration, u64), Happening>,
}

impl Queue {
    pub fn add(&mut self, at: Duration, what: Happening) {
        self.waiting.insert((at, self.next), what);
        self.next += 1;
    }

    pub fn next(&mut self) -> Option<(Duration, Happening)> {
        let ((at, _), what) = self.waiting.pop_first()?;
        Some((at, what))
    }
}
