//! Whom to have as neighbours where there are more members than one can have.
//!
//! Anchors, since they keep the leases and stay; some of the same site, since they are near; and others at random,
//! so that no two parts of the fleet fall apart. What is random is the same at each asking and on both sides: of
//! two members each finds the other as good as the other finds it, so that few are dialled by whom they would
//! not dial. Whoever comes or goes changes one neighbour, not all. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use wire::{Digest, Peer};

use crate::limits;

/// What a member is to this node; what is best kept comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// The operator named it here.
    Named,
    /// An anchor, or a relay that holds a place for this node.
    Anchor,
    /// Of this site: in a network of this machine's.
    Near,
    Other,
}

/// Of all that are known those to be connected to: all of them, where they are no more than `target`.
pub fn wanted(me: &Peer, known: &BTreeMap<Peer, Tie>, target: usize) -> BTreeSet<Peer> {
    let mut ranked: Vec<(u64, &Peer, Tie)> = known.iter().map(|(peer, tie)| (rank(me, peer), peer, *tie)).collect();
    ranked.sort();
    let of = |tie: Tie, most: usize| {
        ranked.iter().filter(move |(.., other)| *other == tie).map(|(_, peer, _)| (*peer).clone()).take(most)
    };
    let mut wanted: BTreeSet<Peer> = of(Tie::Named, usize::MAX).collect();
    wanted.extend(of(Tie::Anchor, limits::ANCHORS_WANTED));
    wanted.extend(of(Tie::Near, limits::NEAR_WANTED));
    for (_, peer, _) in &ranked {
        if wanted.len() >= target {
            break;
        }
        wanted.insert((*peer).clone());
    }
    wanted
}

/// Of those that are connected the ones to give up, so that `most` are left: others before those of this site, and
/// these before anchors; whom the operator named never, nor the last.
pub fn superfluous(me: &Peer, connected: &BTreeMap<Peer, Tie>, most: usize) -> Vec<Peer> {
    let mut ranked: Vec<(Reverse<Tie>, Reverse<u64>, &Peer)> = connected
        .iter()
        .filter(|(_, tie)| **tie != Tie::Named)
        .map(|(peer, tie)| (Reverse(*tie), Reverse(rank(me, peer)), peer))
        .collect();
    ranked.sort();
    let excess = connected.len().saturating_sub(most.max(1));
    ranked.into_iter().map(|(.., peer)| peer.clone()).take(excess).collect()
}

/// The place of two members in each other's order.
fn rank(a: &Peer, b: &Peer) -> u64 {
    let (small, large) = (a.min(b).as_str(), a.max(b).as_str());
    let digest = Digest::of(&[small.as_bytes(), large.as_bytes()].concat());
    let (first, _) = digest.0.split_first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: usize = limits::NEIGHBOURS_WANTED;

    fn peer(n: usize) -> Peer {
        Peer::new(format!("p{n:04}"))
    }

    fn others(of: std::ops::Range<usize>) -> BTreeMap<Peer, Tie> {
        of.map(|n| (peer(n), Tie::Other)).collect()
    }

    #[test]
    fn a_small_fleet_is_wanted_whole() {
        let known = others(1..TARGET + 1);
        assert_eq!(wanted(&peer(0), &known, TARGET), known.keys().cloned().collect());
        assert_eq!(superfluous(&peer(0), &known, TARGET), []);
    }

    #[test]
    fn of_a_large_one_anchors_some_of_the_site_and_others() {
        let mut known = others(1..1000);
        known.extend((100..120).map(|n| (peer(n), Tie::Anchor)));
        known.extend((200..400).map(|n| (peer(n), Tie::Near)));
        known.insert(peer(999), Tie::Named);
        let chosen = wanted(&peer(0), &known, TARGET);
        let count = |tie| chosen.iter().filter(|peer| known[*peer] == tie).count();
        assert_eq!((chosen.len(), count(Tie::Named)), (TARGET, 1));
        assert!(count(Tie::Anchor) >= limits::ANCHORS_WANTED && count(Tie::Near) >= limits::NEAR_WANTED);
        assert!(count(Tie::Other) > TARGET / 4, "{}", count(Tie::Other));
    }

    #[test]
    fn who_comes_or_goes_changes_one_neighbour() {
        let mut known = others(1..1000);
        let before = wanted(&peer(0), &known, TARGET);
        let gone = before.first().unwrap().clone();
        known.remove(&gone);
        let after = wanted(&peer(0), &known, TARGET);
        assert_eq!((before.difference(&after).count(), after.difference(&before).count()), (1, 1));
        known.insert(gone, Tie::Other);
        assert_eq!(wanted(&peer(0), &known, TARGET), before);
    }

    /// Each of 300 dials whom it wants: what each then has, by what it dialled and who dialled it.
    fn mesh() -> BTreeMap<usize, BTreeSet<usize>> {
        let all = others(0..300);
        let mut mesh: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for a in 0..300 {
            let mut known = all.clone();
            known.remove(&peer(a));
            for b in wanted(&peer(a), &known, TARGET) {
                let b = b.as_str()[1..].parse().unwrap();
                mesh.entry(a).or_default().insert(b);
                mesh.entry(b).or_default().insert(a);
            }
        }
        mesh
    }

    #[test]
    fn a_fleet_of_300_hangs_together_and_nobody_has_many_more_than_the_target() {
        let mesh = mesh();
        let most = mesh.values().map(BTreeSet::len).max().unwrap();
        assert!(most < TARGET * 3 / 2, "{most}");
        let (mut reached, mut next) = (BTreeSet::from([0]), vec![0]);
        while let Some(one) = next.pop() {
            next.extend(mesh[&one].iter().filter(|other| reached.insert(**other)));
        }
        assert_eq!(reached.len(), 300);
    }

    #[test]
    fn others_go_before_those_of_the_site_and_these_before_anchors() {
        let ties = [Tie::Named, Tie::Anchor, Tie::Near, Tie::Other];
        let connected: BTreeMap<Peer, Tie> = (0..40).map(|n| (peer(n), ties[n % 4])).collect();
        let given_up = superfluous(&peer(99), &connected, 5);
        let order: Vec<Tie> = given_up.iter().map(|peer| connected[peer]).collect();
        let expected = [[Tie::Other; 10], [Tie::Near; 10], [Tie::Anchor; 10]].concat();
        assert_eq!(order, expected, "whom the operator named stays, even if it is one too many");
        assert_eq!(superfluous(&peer(99), &connected, 38), given_up[..2]);
    }

    #[test]
    fn the_last_is_not_given_up() {
        assert_eq!(superfluous(&peer(0), &others(1..2), 0), []);
        assert_eq!(superfluous(&peer(0), &others(1..3), 0).len(), 1);
    }
}
