//! What is still to come, in order of time and then of its making.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
    time::Duration,
};

use fleet::Input;
use wire::Message;

use super::{github::Request, names::Question};

/// Something that happens at a moment. Nodes are named by their place.
pub enum Happening {
    Start {
        node: usize,
    },
    /// It is told to stop.
    Leave {
        node: usize,
    },
    /// It is gone.
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
    /// Neighbours were lost here: look for others.
    Tend {
        node: usize,
    },
    Ask {
        node: usize,
        question: Question,
    },
    /// A client of the node writes to a repository.
    Write {
        node: usize,
        repo: usize,
    },
    /// GitHub answers the write.
    Written {
        node: usize,
        life: u32,
        repo: usize,
    },
    /// Somebody else changes a repository.
    Change {
        repo: usize,
    },
    /// A message reaches a node: the same for all that it reaches.
    Hear {
        node: usize,
        from: usize,
        life: u32,
        message: Arc<Message>,
    },
    /// A pull has ended.
    Pulled {
        node: usize,
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
        request: Box<Request>,
    },
}

#[derive(Default)]
pub struct Queue {
    next: u64,
    waiting: BinaryHeap<Reverse<Waiting>>,
}

struct Waiting {
    at: Duration,
    number: u64,
    what: Happening,
}

impl Waiting {
    fn order(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Waiting {}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Queue {
    pub fn add(&mut self, at: Duration, what: Happening) {
        self.waiting.push(Reverse(Waiting { at, number: self.next, what }));
        self.next += 1;
    }

    pub fn next(&mut self) -> Option<(Duration, Happening)> {
        let Reverse(Waiting { at, what, .. }) = self.waiting.pop()?;
        Some((at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_one_moment_comes_in_the_order_of_its_making() {
        let mut queue = Queue::default();
        for (at, node) in [(2, 0), (1, 1), (2, 2), (1, 3), (0, 4)] {
            queue.add(Duration::from_secs(at), Happening::Start { node });
        }
        let mut order = Vec::new();
        while let Some((_, Happening::Start { node })) = queue.next() {
            order.push(node);
        }
        assert_eq!(order, [4, 1, 3, 0, 2]);
    }
}
