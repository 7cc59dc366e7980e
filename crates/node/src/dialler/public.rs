//! Public libp2p nodes: asked for when there is nobody else, and left when there is.
//!
//! They are infrastructure, not members (see [`net::ConnectionClass`]): they can tell how the world sees this
//! machine, and may relay for it. They know no member, and are told of none.

use net::Address;
use tokio::time::Instant;

use crate::limits;

/// When to go to the public nodes, and when to leave them. Pure.
#[derive(Debug)]
pub struct PublicNodes {
    nodes: Vec<Address>,
    /// Since when nobody else is known.
    alone_since: Option<Instant>,
    next_dial: Option<Instant>,
}

/// What to do about them now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    Dial,
    /// There is somebody of our own again.
    Leave,
}

impl PublicNodes {
    /// With no nodes nothing is ever done.
    pub fn new(nodes: Vec<Address>) -> Self {
        Self { nodes, alone_since: None, next_dial: None }
    }

    pub fn nodes(&self) -> &[Address] {
        &self.nodes
    }

    /// `is_alone`: no member is connected, and no way of finding them has named an address.
    pub fn next(&mut self, is_alone: bool, now: Instant) -> Step {
        if self.nodes.is_empty() {
            return Step::Nothing;
        }
        if !is_alone {
            self.alone_since = None;
            return if self.next_dial.take().is_some() { Step::Leave } else { Step::Nothing };
        }
        let since = *self.alone_since.get_or_insert(now);
        if now < since + limits::PUBLIC_PATIENCE || self.next_dial.is_some_and(|next| now < next) {
            return Step::Nothing;
        }
        self.next_dial = Some(now + limits::PUBLIC_INTERVAL);
        Step::Dial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(nodes: Vec<Address>) -> Vec<(u64, Step)> {
        let (mut public, start) = (PublicNodes::new(nodes), Instant::now());
        let mut told = Vec::new();
        for second in 0..1000 {
            // Somebody is there from 400 to 500.
            let is_alone = !(400..500).contains(&second);
            let step = public.next(is_alone, start + std::time::Duration::from_secs(second));
            told.extend((step != Step::Nothing).then_some((second, step)));
        }
        told
    }

    #[test]
    fn they_are_dialled_after_a_while_alone_now_and_again_and_left_for_the_first_other() {
        let node = "/dnsaddr/bootstrap.example".parse().unwrap();
        let told = story(vec![node]);
        let expected = [(10, Step::Dial), (310, Step::Dial), (400, Step::Leave), (510, Step::Dial), (810, Step::Dial)];
        assert_eq!(told, expected);
    }

    #[test]
    fn switched_off_there_are_none() {
        assert_eq!(story(Vec::new()), []);
    }
}
