//! Whom to ask other members for: who is heard of, and where, nobody near has said.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use wire::Peer;

use crate::limits;

/// The questions to the members' Kademlia. Pure: it is told who is missed, and returns whom to look up.
#[derive(Debug, Default)]
pub struct Lookups {
    asked: BTreeMap<Peer, Asked>,
}

#[derive(Debug)]
struct Asked {
    next: Instant,
    times: u32,
}

impl Lookups {
    /// Of those whose address nobody knows a few at a time, each again after longer and longer.
    pub fn next(&mut self, missed: &[Peer], now: Instant) -> Vec<Peer> {
        self.asked.retain(|peer, _| missed.contains(peer));
        let mut due = Vec::new();
        for peer in missed.iter().take(limits::KNOWN_ADDRESSES_MAX) {
            if due.len() == limits::LOOKUPS_AT_ONCE {
                break;
            }
            let asked = self.asked.entry(peer.clone()).or_insert(Asked { next: now, times: 0 });
            if asked.next <= now {
                asked.next = now + pause_after(asked.times);
                asked.times += 1;
                due.push(peer.clone());
            }
        }
        due
    }
}

fn pause_after(times: u32) -> Duration {
    limits::LOOKUP_PAUSE_MIN.saturating_mul(1 << times.min(16)).min(limits::LOOKUP_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_looked_up_at_a_time_and_each_more_and_more_seldom() {
        let missed: Vec<Peer> = (0..10).map(|n| Peer::new(format!("p{n}"))).collect();
        let (mut lookups, start) = (Lookups::default(), Instant::now());
        let round = |lookups: &mut Lookups, secs| lookups.next(&missed, start + Duration::from_secs(secs));
        assert_eq!(round(&mut lookups, 0), missed[..4]);
        assert_eq!(round(&mut lookups, 2), missed[4..8]);
        assert_eq!(round(&mut lookups, 3), missed[8..]);
        let one = &missed[..1];
        let mut lookups = Lookups::default();
        let asked: Vec<u64> =
            (0..1000).filter(|secs| !lookups.next(one, start + Duration::from_secs(*secs)).is_empty()).collect();
        assert_eq!(asked, [0, 4, 12, 28, 60, 124, 252, 508, 808]);
        lookups.next(&[], start + Duration::from_secs(1000));
        assert_eq!(
            lookups.next(one, start + Duration::from_secs(1000)),
            one,
            "who is missed anew is asked for at once"
        );
    }
}
