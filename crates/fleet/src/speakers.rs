use std::collections::BTreeMap;

use wire::{Grave, Millis, Peer};

use crate::limits;

/// What each member may still bury here: a lever is clamped, whoever pulls it.
///
/// Denials have an allowance of their own. Who probes for what is not there causes many, and they must
/// not use up what his writes need.
#[derive(Default)]
pub struct Speakers(BTreeMap<Peer, Speaker>);

struct Speaker {
    /// Of writes, and of denials.
    left: [u64; 2],
    at: Millis,
    /// Its whole table may arrive until then.
    table_until: Millis,
    table_granted: Option<Millis>,
    is_named: bool,
}

/// Allowances are counted in thousandths, so that each millisecond gives something.
const ONE: u64 = 1000;

impl Speakers {
    /// A new neighbour is about to tell all that it knows.
    pub fn connected(&mut self, peer: &Peer, now: Millis) {
        let speaker = self.speaker(peer, now);
        speaker.table_until = now.after(limits::TABLE_TIME);
        // Who comes and goes tells it at this rate only; most of it changes nothing, and is free.
        if speaker.table_granted.is_none_or(|at| now.since(at) >= limits::TABLE_PAUSE) {
            speaker.table_granted = Some(now);
            for left in &mut speaker.left {
                *left = (*left).max(limits::DOUBTS_MAX as u64 * ONE);
            }
        }
    }

    /// Whether what `peer` says now may be its table, which nobody else has been told.
    pub fn tells_its_table(&self, peer: &Peer, now: Millis) -> bool {
        self.0.get(peer).is_some_and(|speaker| now <= speaker.table_until)
    }

    /// Whether one more tombstone of `peer` counts.
    pub fn may_bury(&mut self, peer: &Peer, grave: &Grave, now: Millis) -> bool {
        let left = &mut self.speaker(peer, now).left[usize::from(matches!(grave, Grave::Denied(..)))];
        let may = *left >= ONE;
        *left -= if may { ONE } else { 0 };
        may
    }

    /// Returns true once for each member.
    pub fn is_to_be_named(&mut self, peer: &Peer, now: Millis) -> bool {
        !std::mem::replace(&mut self.speaker(peer, now).is_named, true)
    }

    fn speaker(&mut self, peer: &Peer, now: Millis) -> &mut Speaker {
        if self.0.len() >= limits::PEERS_MAX && !self.0.contains_key(peer) {
            let quietest =
                self.0.iter().min_by_key(|(peer, speaker)| (speaker.at, *peer)).map(|(peer, _)| peer.clone());
            self.0.remove(&quietest.expect("the table is full"));
        }
        let burst = limits::TOMBSTONES_BURST * ONE;
        let new =
            Speaker { left: [burst; 2], at: now, table_until: Millis::ZERO, table_granted: None, is_named: false };
        let speaker = self.0.entry(peer.clone()).or_insert(new);
        let millis = u64::try_from(now.since(speaker.at).as_millis()).unwrap_or(u64::MAX);
        let earned = millis.saturating_mul(limits::TOMBSTONES_PER_MINUTE) * ONE / 60_000;
        for left in &mut speaker.left {
            // An allowance for a table is used up, and not filled again.
            *left = if *left < burst { left.saturating_add(earned).min(burst) } else { *left };
        }
        speaker.at = speaker.at.max(now);
        speaker
    }
}

#[cfg(test)]
mod tests {
    use wire::{FamilyId, KeyId, ScopeId};

    use super::*;

    const WRITE: Grave = Grave::Family(FamilyId([1; 16]));
    const DENIAL: Grave = Grave::Denied(KeyId([1; 16]), ScopeId([1; 16]));

    fn count(speakers: &mut Speakers, peer: &Peer, grave: &Grave, now: Millis) -> u64 {
        std::iter::repeat_with(|| speakers.may_bury(peer, grave, now)).take_while(|may| *may).count() as u64
    }

    #[test]
    fn a_burst_then_a_rate_for_each_member_and_denials_apart() {
        let (mut speakers, liar, other) = (Speakers::default(), Peer::new("liar"), Peer::new("other"));
        assert_eq!(count(&mut speakers, &liar, &DENIAL, Millis(0)), limits::TOMBSTONES_BURST);
        assert_eq!(count(&mut speakers, &liar, &WRITE, Millis(0)), limits::TOMBSTONES_BURST);
        assert!(!speakers.may_bury(&liar, &WRITE, Millis(99)) && speakers.may_bury(&other, &WRITE, Millis(99)));
        assert_eq!(count(&mut speakers, &liar, &WRITE, Millis(60_000)), limits::TOMBSTONES_PER_MINUTE);
        assert!(speakers.is_to_be_named(&liar, Millis(0)) && !speakers.is_to_be_named(&liar, Millis(0)));
    }

    #[test]
    fn a_neighbour_may_tell_a_whole_table_but_not_again_and_again() {
        let (mut speakers, peer) = (Speakers::default(), Peer::new("peer"));
        speakers.connected(&peer, Millis(0));
        assert!(speakers.tells_its_table(&peer, Millis(100)) && !speakers.tells_its_table(&peer, Millis(100_000)));
        assert_eq!(count(&mut speakers, &peer, &WRITE, Millis(0)), limits::DOUBTS_MAX as u64);
        speakers.connected(&peer, Millis(0));
        assert_eq!(count(&mut speakers, &peer, &WRITE, Millis(0)), 0);
    }
}
