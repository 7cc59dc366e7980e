//! When a pair that is still on a circuit tries once more to get through directly.
//!
//! libp2p punches when a circuit is made, with the addresses that were known then, and gives up after
//! three attempts; both SYNs have to cross, and between some routers one attempt in a few does. A new
//! circuit begins anew. No IO and no clock here.

use std::{collections::BTreeMap, time::Duration};

use libp2p::PeerId;
use tokio::time::Instant;

use crate::limits::{PUNCH_AGAIN_AFTER, PUNCHES_AGAIN_MAX};

/// Peers on circuits that this side dialled.
#[derive(Default)]
pub(crate) struct Punches(BTreeMap<PeerId, Again>);

struct Again {
    tried: u32,
    at: Instant,
}

impl Punches {
    /// A circuit to the peer stands. Nothing changes if one stood before.
    pub(crate) fn relayed(&mut self, peer: PeerId, now: Instant, jitter: f64) {
        self.0.entry(peer).or_insert_with(|| Again { tried: 0, at: now + pause(0, jitter) });
    }

    /// It is connected directly, or not at all.
    pub(crate) fn over(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    /// A peer to which a new circuit is due. `jitter` is from 0 to 1.
    pub(crate) fn next(&mut self, now: Instant, jitter: f64) -> Option<PeerId> {
        let is_due = |again: &Again| again.tried < PUNCHES_AGAIN_MAX && again.at <= now;
        let (peer, again) = self.0.iter_mut().find(|(_, again)| is_due(again))?;
        again.tried += 1;
        again.at = now + pause(again.tried, jitter);
        Some(*peer)
    }

    /// When the next is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.values().filter(|again| again.tried < PUNCHES_AGAIN_MAX).map(|again| again.at).min()
    }
}

/// Doubled each time, and up to a quarter more.
fn pause(tried: u32, jitter: f64) -> Duration {
    (PUNCH_AGAIN_AFTER * 2_u32.saturating_pow(tried)).mul_f64(1.0 + jitter / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_is_tried_again_ever_more_rarely_and_then_left_alone() {
        let (mut punches, start, peer) = (Punches::default(), Instant::now(), PeerId::random());
        punches.relayed(peer, start, 0.0);
        let mut tried = Vec::new();
        while let Some(at) = punches.deadline() {
            assert_eq!(punches.next(at - Duration::from_millis(1), 0.0), None);
            assert_eq!(punches.next(at, 0.0), Some(peer));
            punches.relayed(peer, at, 0.0);
            tried.push((at - start).as_secs());
        }
        assert_eq!(tried, [10, 30, 70, 150, 310]);
        assert_eq!(punches.next(start + Duration::from_secs(86_400), 0.0), None);
    }

    #[test]
    fn a_direct_connection_ends_it_and_a_new_circuit_begins_anew() {
        let (mut punches, start, peer) = (Punches::default(), Instant::now(), PeerId::random());
        punches.relayed(peer, start, 1.0);
        assert_eq!(punches.deadline(), Some(start + Duration::from_millis(12_500)), "with a quarter of jitter");
        punches.over(&peer);
        assert_eq!(punches.deadline(), None);
        punches.relayed(peer, start + Duration::from_secs(60), 0.0);
        assert_eq!(punches.deadline(), Some(start + Duration::from_secs(70)));
    }
}
