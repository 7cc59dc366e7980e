use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use wire::{KeyId, Member, Millis, Peer, Role};

use crate::{
    limits,
    spread::{jittered, number_of, turn_of},
};

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberView {
    pub peer: Peer,
    /// What it said of itself last.
    pub member: Member,
    pub heard_at: Millis,
    pub is_connected: bool,
    pub round_trip: Option<Duration>,
}

/// Who the members are, by what they say of themselves.
pub struct Members {
    me: Peer,
    own: Member,
    /// When all are told of this node next.
    tell_at: Millis,
    /// Nobody was there when all were told last.
    is_unheard: bool,
    known: BTreeMap<Peer, Known>,
    /// Owners that lately left a claim unanswered: not asked again until then.
    silent: BTreeMap<Peer, Millis>,
}

struct Known {
    member: Member,
    heard_at: Millis,
}

impl Members {
    pub fn new(me: Peer, role: Role, since: Millis) -> Self {
        // Of two lives of one machine the later one counts.
        let own = Member { role, since, seq: since.0, ..Member::default() };
        Self { me, own, tell_at: Millis::ZERO, is_unheard: true, known: BTreeMap::new(), silent: BTreeMap::new() }
    }

    pub fn hear(&mut self, from: &Peer, member: Member, now: Millis) {
        if self.known.get(from).is_some_and(|known| known.member.seq > member.seq) {
            return;
        }
        if self.known.len() >= limits::MEMBERS_MAX && !self.known.contains_key(from) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.heard_at).map(|(peer, _)| peer.clone());
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        self.silent.remove(from);
        self.known.insert(from.clone(), Known { member, heard_at: now });
    }

    /// What this node says of itself.
    pub fn own(&mut self, entries: usize) -> Member {
        self.own.seq += 1;
        self.own.entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.own
    }

    pub fn count(&mut self, charged: u64, proofs: u64, hits: u64) {
        (self.own.charged, self.own.proofs, self.own.hits) = (charged, proofs, hits);
    }

    pub fn leave(&mut self) {
        self.own.is_leaving = true;
    }

    /// When all are to be told of this node: seldom, and the more seldom the more there are, so that
    /// the words of all members together stay below some 2 KB/s at each.
    pub fn due(&self) -> Millis {
        self.tell_at
    }

    /// Somebody listens. Was nobody there before, all are told soon: those behind it know nothing of
    /// this node, and one that is behind a NAT is found only by who has heard of it.
    pub fn listened_to(&mut self, now: Millis) {
        if std::mem::take(&mut self.is_unheard) {
            self.tell_at = self.tell_at.min(now.after(limits::FIRST_WORD_AFTER));
        }
    }

    /// The last neighbour is gone.
    pub fn alone(&mut self) {
        self.is_unheard = true;
    }

    pub fn told(&mut self, now: Millis) {
        let crowd = limits::MEMBER_INTERVAL_EACH * u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let interval = limits::MEMBER_INTERVAL.max(crowd);
        self.tell_at = now.after(jittered(interval, turn_of(&self.me, self.own.seq)));
        self.known.retain(|_, known| now.since(known.heard_at) < 4 * interval);
    }

    /// Whether it has said that it is about to stop.
    pub fn is_leaving(&self, peer: &Peer) -> bool {
        self.known.get(peer).is_some_and(|known| known.member.is_leaving)
    }

    pub fn is_silent(&self, owner: &Peer, now: Millis) -> bool {
        self.silent.get(owner).is_some_and(|until| now < *until)
    }

    /// The owner did not answer in time.
    pub fn note_silence(&mut self, owner: &Peer, now: Millis) {
        self.silent.retain(|_, until| now < *until);
        self.silent.insert(owner.clone(), now.after(limits::SILENT_OWNER_PAUSE));
    }

    /// The two that keep the leases of `key`, best first, among this node and those that are
    /// `connected`: anchors, or, where there are less than two, who has been there longest. A member
    /// that never said who it is does not know of claims. Who is silent stays an owner, so that all
    /// agree on the second; he is just not asked: [`Members::is_silent`].
    pub fn owners(&self, key: KeyId, connected: impl Iterator<Item = Peer>) -> Vec<Peer> {
        let others = connected.filter_map(|peer| {
            let member = self.known.get(&peer)?.member;
            Some((peer, member))
        });
        let all = others.chain([(self.me.clone(), self.own)]).filter(|(_, member)| !member.is_leaving);
        let mut able: Vec<(Role, Millis, Peer)> = all.map(|(peer, member)| (member.role, member.since, peer)).collect();
        able.sort();
        let anchors = able.iter().filter(|(role, ..)| *role == Role::Anchor).count();
        able.truncate(if anchors >= 2 { anchors.min(limits::ANCHORS_MAX) } else { limits::ABLE_MAX });
        let mut ranked: Vec<(Reverse<u64>, Peer)> =
            able.into_iter().map(|(.., peer)| (Reverse(weight(key, &peer)), peer)).collect();
        ranked.sort();
        ranked.into_iter().map(|(_, peer)| peer).take(limits::OWNERS).collect()
    }

    pub fn view(&self, states: impl Fn(&Peer) -> Option<Option<Duration>>) -> impl Iterator<Item = MemberView> {
        self.known.iter().map(move |(peer, known)| {
            let state = states(peer);
            MemberView {
                peer: peer.clone(),
                member: known.member,
                heard_at: known.heard_at,
                is_connected: state.is_some(),
                round_trip: state.flatten(),
            }
        })
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }
}

/// Rendezvous hashing: the first 8 bytes of SHA-256 over the key and the peer's name.
fn weight(key: KeyId, peer: &Peer) -> u64 {
    number_of(&[&key.0, peer.as_str().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Role, since: u64) -> Member {
        Member { role, since: Millis(since), ..Member::default() }
    }

    fn fleet(of: impl IntoIterator<Item = (String, Role, u64)>) -> (Members, Vec<Peer>) {
        let mut members = Members::new(Peer::new("me"), Role::Node, Millis(1_000_000));
        let mut peers = Vec::new();
        for (name, role, since) in of {
            let peer = Peer::new(name);
            members.hear(&peer, member(role, since), Millis(0));
            peers.push(peer);
        }
        (members, peers)
    }

    fn key(n: u8) -> KeyId {
        KeyId([n; 16])
    }

    #[test]
    fn two_anchors_own_everything() {
        let runners = (0..30).map(|n| (format!("r{n}"), Role::Node, n));
        let anchors = [("a".to_owned(), Role::Anchor, 900), ("b".to_owned(), Role::Anchor, 900)];
        let (members, peers) = fleet(runners.chain(anchors));
        for n in 0..50 {
            let mut owners = members.owners(key(n), peers.iter().cloned());
            owners.sort();
            assert_eq!(owners, [Peer::new("a"), Peer::new("b")]);
        }
    }

    #[test]
    fn without_anchors_the_oldest_own_and_all_who_see_the_same_agree() {
        let (members, peers) = fleet((0..40).map(|n| (format!("r{n}"), Role::Node, n)));
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..200 {
            let owners = members.owners(key(n), peers.iter().cloned());
            assert_eq!(owners.len(), 2);
            assert_eq!(owners, members.owners(key(n), peers.iter().rev().cloned()));
            seen.extend(owners);
        }
        let oldest = (0..limits::ABLE_MAX).map(|n| Peer::new(format!("r{n}")));
        assert_eq!(seen, oldest.collect::<std::collections::BTreeSet<_>>());
    }

    #[test]
    fn those_who_miss_an_old_member_agree_on_the_next_oldest_whatever_else_they_know() {
        // Sixteen old ones that all should know, and neighbours that only one node has.
        let old = |n: usize| (format!("r{n}"), Role::Node, n as u64);
        let views = (0..limits::ABLE_MAX).map(|missed| {
            let neighbours = (0..8).map(|n| (format!("of {missed}: {n}"), Role::Node, 500));
            fleet((0..16).filter(|n| *n != missed).map(old).chain(neighbours))
        });
        let views: Vec<(Members, Vec<Peer>)> = views.collect();
        for n in 0..200 {
            let first =
                |(members, peers): &(Members, Vec<Peer>)| members.owners(key(n), peers.iter().cloned())[0].clone();
            let owners: std::collections::BTreeSet<Peer> = views.iter().map(first).collect();
            assert!(owners.len() <= 2, "key {n} has {owners:?} as its first owners");
        }
    }

    #[test]
    fn a_short_lived_runner_owns_only_while_nobody_better_is_there() {
        let (members, peers) = fleet([("e".to_owned(), Role::Ephemeral, 0)]);
        assert_eq!(members.owners(key(1), peers.iter().cloned()).len(), 2, "two are all there are");
        let many = (0..16).map(|n| (format!("r{n}"), Role::Node, 5)).chain([("e".to_owned(), Role::Ephemeral, 0)]);
        let (members, peers) = fleet(many);
        let owns = |n| members.owners(key(n), peers.iter().cloned()).contains(&Peer::new("e"));
        assert!((0..100).all(|n| !owns(n)));
    }

    #[test]
    fn who_leaves_or_never_spoke_owns_nothing_and_who_is_silent_is_not_asked() {
        let (mut members, mut peers) = fleet([("a".to_owned(), Role::Anchor, 0), ("b".to_owned(), Role::Anchor, 0)]);
        peers.push(Peer::new("an old version"));
        members.hear(&Peer::new("a"), Member { is_leaving: true, seq: 1, ..member(Role::Anchor, 0) }, Millis(0));
        let mut owners = members.owners(key(1), peers.iter().cloned());
        owners.sort();
        assert_eq!(owners, [Peer::new("b"), Peer::new("me")]);
        members.note_silence(&Peer::new("b"), Millis(0));
        assert!(members.is_silent(&Peer::new("b"), Millis(1)));
        assert!(!members.is_silent(&Peer::new("b"), Millis(0).after(limits::SILENT_OWNER_PAUSE)), "asked again later");
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_is_not_heard_of() {
        let (mut members, _) = fleet((0..limits::MEMBERS_MAX + 5).map(|n| (format!("r{n}"), Role::Node, 0)));
        assert_eq!(members.len(), limits::MEMBERS_MAX);
        members.told(Millis(0).after(Duration::from_secs(24 * 3600)));
        assert_eq!(members.len(), 0);
    }
}
