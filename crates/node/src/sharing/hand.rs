//! Bodies that have just come inside an announce: at hand, before the store has them and a while longer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use wire::{Body, Digest, KeyId, Record, ScopeId};

use crate::limits::{AT_HAND_BODY_BYTES_MAX, AT_HAND_BYTES_MAX, AT_HAND_ENTRY_BYTES};

/// The newest of them, up to [`AT_HAND_BYTES_MAX`]. None is verified before it is given out.
#[derive(Default)]
pub struct Hand(Mutex<Held>);

type At = (KeyId, ScopeId);

#[derive(Default)]
struct Held {
    bodies: BTreeMap<At, Announced>,
    /// By the order in which they came.
    order: BTreeMap<u64, At>,
    next: u64,
    bytes: usize,
}

struct Announced {
    came: u64,
    digest: Digest,
    body: Body,
}

impl Hand {
    /// Takes a body that is said to have this digest.
    pub fn take(&self, at: At, digest: Digest, body: Body) {
        let mut held = self.lock();
        held.forget(at);
        let came = held.next;
        held.next += 1;
        held.bytes += bytes_of(&body);
        held.bodies.insert(at, Announced { came, digest, body });
        held.order.insert(came, at);
        while held.bytes > AT_HAND_BYTES_MAX
            && let Some((_, oldest)) = held.order.pop_first()
        {
            held.forget(oldest);
        }
    }

    /// Whether something is at hand that was announced for this key and credential.
    pub fn has(&self, at: At) -> bool {
        self.lock().bodies.contains_key(&at)
    }

    /// The body of `record`, and its plain form, if it is at hand, short, and has its digest. It is given out
    /// once: who asked keeps it.
    pub fn give(&self, at: At, record: &Record) -> Option<(Body, Bytes)> {
        let digest = record.version.digest;
        let Announced { digest: said, body, .. } = self.lock().forget(at)?;
        if said != digest || record.body_bytes > AT_HAND_BODY_BYTES_MAX {
            return None;
        }
        // Whoever announced a wrong one is named when it is kept.
        let plain = body.verified(digest, record.body_bytes).ok()?;
        Some((body, plain))
    }

    /// This machine has asked itself: what was announced is older.
    pub fn drop_at(&self, at: At) {
        self.lock().forget(at);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("no panic while held")
    }
}

impl Held {
    fn forget(&mut self, at: At) -> Option<Announced> {
        let announced = self.bodies.remove(&at)?;
        self.order.remove(&announced.came);
        self.bytes -= bytes_of(&announced.body);
        Some(announced)
    }
}

fn bytes_of(body: &Body) -> usize {
    AT_HAND_ENTRY_BYTES + body.encoded.len()
}

#[cfg(test)]
mod tests {
    use wire::{FamilyId, Form, Millis, Version};

    use super::*;

    fn record(digest: Digest, body_bytes: u64) -> Record {
        let zero = Millis::ZERO;
        Record {
            family: FamilyId([0; 16]),
            version: Version { date_secs: 0, digest },
            status: 200,
            headers: Vec::new(),
            body_bytes,
            validated_at: zero,
            fresh_until: zero,
            proved_until: zero,
            stale_until: zero,
        }
    }

    fn body(text: &[u8]) -> Body {
        Body { form: Form::Identity, encoded: Bytes::copy_from_slice(text) }
    }

    fn at(n: u8) -> At {
        (KeyId([n; 16]), ScopeId([1; 16]))
    }

    #[test]
    fn what_came_is_given_out_if_it_is_what_was_said() {
        let (hand, digest) = (Hand::default(), Digest::of(b"one"));
        let long = AT_HAND_BODY_BYTES_MAX + 1;
        let given = |said: &[u8], asked: &Record| {
            hand.take(at(1), digest, body(said));
            assert!(hand.has(at(1)) && hand.give(at(2), asked).is_none(), "another question");
            hand.give(at(1), asked).map(|(_, plain)| plain)
        };
        assert_eq!(given(b"one", &record(digest, 3)).unwrap(), "one");
        assert!(!hand.has(at(1)), "it is given out once");
        assert!(given(b"two", &record(digest, 3)).is_none(), "a wrong one");
        assert!(given(b"one", &record(Digest::of(b"x"), 3)).is_none(), "of another version");
        assert!(given(b"one", &record(digest, long)).is_none(), "too long to unpack here");
        assert_eq!(hand.lock().bytes, 0);
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let (hand, bytes) = (Hand::default(), AT_HAND_BYTES_MAX / 4);
        let text = vec![7; bytes - AT_HAND_ENTRY_BYTES];
        for n in [0, 1, 2, 3, 4, 5, 2] {
            hand.take(at(n), Digest::of(&text), body(&text));
        }
        let here: Vec<u8> = (0..6).filter(|n| hand.has(at(*n))).collect();
        assert_eq!(here, [2, 3, 4, 5]);
        let held = hand.lock();
        assert_eq!((held.order.len(), held.bytes), (4, 4 * bytes));
    }
}
