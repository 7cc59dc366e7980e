//! Who keeps a comment: all who see the same agree without a word.

use sha2::{Digest, Sha256};
use wire::{Millis, Peer, Role};

use crate::limits;

/// A node that may write, as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub peer: Peer,
    pub role: Role,
    /// When it was started, by its own clock.
    pub since: Millis,
}

/// The place of a candidate: the smaller writes first. Anchors, then who has lived for long, then the
/// others, and those that end with their job last; within each by a hash of the name.
pub(super) fn rank(repository: &str, candidate: &Candidate, now: Millis) -> (u8, [u8; 32]) {
    let is_old = now.since(candidate.since) >= limits::LONG_LIVED;
    let class = match (candidate.role, is_old) {
        (Role::Anchor, _) => 0,
        (Role::Node, true) => 1,
        (Role::Node, false) => 2,
        (Role::Ephemeral, _) => 3,
    };
    (class, weight(repository, &candidate.peer))
}

pub(super) fn weight(repository: &str, peer: &Peer) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"ghoard/1 issue registry writer\n").chain_update(repository);
    hash.chain_update(b"\n").chain_update(peer.as_str()).finalize().into()
}
