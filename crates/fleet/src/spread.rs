//! Numbers that differ from node to node, and are the same for the same cause: the core draws none.

use std::time::Duration;

use wire::{Digest, Peer};

/// The first 8 bytes of SHA-256 over the parts, one after the other.
pub fn number_of(parts: &[&[u8]]) -> u64 {
    let digest = Digest::of(&parts.concat());
    let (first, _) = digest.0.split_first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

/// A node's own number for the `count`th time that it does something.
pub fn turn_of(me: &Peer, count: u64) -> u64 {
    number_of(&[me.as_str().as_bytes(), &count.to_be_bytes()])
}

/// `span`, give or take a fifth, so that a fleet that was started at once does not speak at once.
pub fn jittered(span: Duration, turn: u64) -> Duration {
    span * (800 + u32::try_from(turn % 401).expect("it is at most 400")) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_given_or_taken_a_fifth_and_no_two_times_are_alike() {
        let (me, minute) = (Peer::new("me"), Duration::from_secs(60));
        let spans: Vec<Duration> = (0..200).map(|count| jittered(minute, turn_of(&me, count))).collect();
        assert!(spans.iter().all(|span| (48..=72).contains(&span.as_secs())));
        assert!(spans.iter().any(|span| span.as_secs() < 52) && spans.iter().any(|span| span.as_secs() > 68));
        assert_ne!(turn_of(&me, 1), turn_of(&Peer::new("another"), 1));
    }
}
