//! When this node has its own word kept by other members.

use tokio::time::Instant;

use crate::limits;

/// The turns of giving it to the members' Kademlia. Pure: it is told the time, and what has happened. `jitter` is about 1:
/// a fleet that starts together does not give together what one member can read.
#[derive(Debug)]
pub struct Publishing {
    next: Instant,
    /// That somebody has heard this word.
    times: u32,
}

impl Publishing {
    /// Due at once.
    pub fn new(now: Instant) -> Self {
        Self { next: now, times: 0 }
    }

    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// There is a new word.
    pub fn renewed(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// It is being given.
    pub fn begun(&mut self, now: Instant, jitter: f64) {
        self.next = now + limits::PUBLISH_PAUSE.mul_f64(jitter);
    }

    /// Somebody has heard it.
    pub fn given(&mut self, now: Instant, jitter: f64) {
        let pause = match self.times {
            times if times < limits::PUBLISH_AGAIN_MAX => limits::PUBLISH_PAUSE.saturating_mul(1 << times),
            _ => limits::PUBLISH_INTERVAL,
        };
        self.times = self.times.saturating_add(1);
        self.next = now + pause.mul_f64(jitter);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The seconds in which it is given, if each time somebody hears it, or nobody.
    fn turns(publishing: &mut Publishing, start: Instant, is_heard: bool, until: u64) -> Vec<u64> {
        let due = (0..until).filter(|secs| {
            let now = start + Duration::from_secs(*secs);
            let is_due = publishing.is_due(now);
            if is_due {
                publishing.begun(now, 1.0);
            }
            if is_due && is_heard {
                publishing.given(now, 1.0);
            }
            is_due
        });
        due.collect()
    }

    #[test]
    fn it_is_given_several_times_and_then_seldom() {
        let start = Instant::now();
        let mut publishing = Publishing::new(start);
        assert_eq!(turns(&mut publishing, start, false, 10), [0, 4, 8], "nobody hears it");
        publishing.renewed(start);
        assert_eq!(turns(&mut publishing, start, true, 1300), [0, 4, 12, 28, 60, 660, 1260]);
        publishing.renewed(start);
        assert_eq!(turns(&mut publishing, start, true, 10), [0, 4], "a new word");
    }
}
