//! Peer exchange: which signed records a neighbour is told, and what is taken from one.

use std::collections::{BTreeMap, BTreeSet};

use wire::{Exchange, Millis, Peer, Role, SignedPeer, limits::EXCHANGE_RECORDS_MAX};

use crate::limits;

/// What this node says to its neighbours of where machines are. Pure: signing and checking are handed in.
#[derive(Debug)]
pub struct PeerExchange {
    me: Peer,
    own: Option<SignedPeer>,
    /// The latest true word of each other machine, and who passed it on.
    known: BTreeMap<Peer, (SignedPeer, Peer)>,
    /// Who is told what next: a turn for each.
    turn: usize,
    page: usize,
    /// Neighbours that were asked, and have not answered yet.
    asked: BTreeSet<Peer>,
    /// When each neighbour was last listened to.
    heard_at: BTreeMap<Peer, Millis>,
    last: Option<Millis>,
}

impl PeerExchange {
    pub fn new(me: Peer) -> Self {
        let (known, heard_at, asked) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { me, own: None, known, turn: 0, page: 0, asked, heard_at, last: None }
    }

    /// Whether its own record is to be made anew: for other addresses, or before it is over.
    pub fn needs_own(&self, addresses: &[String], now: Millis) -> bool {
        let is_good = |own: &SignedPeer| {
            own.addresses == addresses
                && own.expires_at.since(now) > limits::OWN_RECORD_LIFE / 2
                && own.issued_at <= now
        };
        !addresses.is_empty() && !self.own.as_ref().is_some_and(is_good)
    }

    pub fn own(&self) -> Option<&SignedPeer> {
        self.own.as_ref()
    }

    pub fn set_own(&mut self, own: SignedPeer) {
        self.own = Some(own);
    }

    /// What a new neighbour is told.
    pub fn on_neighbour(&mut self, peer: &Peer, now: Millis) -> Exchange {
        self.tell(peer, true, now)
    }

    /// Whom to tell something at the end of an interval, and what: one neighbour each time, in turn.
    pub fn on_time(&mut self, neighbours: &[Peer], now: Millis) -> Option<(Peer, Exchange)> {
        self.asked.retain(|peer| neighbours.contains(peer));
        self.heard_at.retain(|peer, _| neighbours.contains(peer));
        self.known.retain(|_, (record, _)| record.is_current(now));
        if neighbours.is_empty() {
            return None;
        }
        self.turn += 1;
        let peer = neighbours[self.turn % neighbours.len()].clone();
        let exchange = self.tell(&peer, true, now);
        Some((peer, exchange))
    }

    /// Takes what `from` says: the records that are true and new here, and the answer if it wants one.
    ///
    /// A neighbour that talks without end is not listened to: checking a signature takes time.
    pub fn hear(
        &mut self,
        from: &Peer,
        exchange: Exchange,
        is_signed: impl Fn(&SignedPeer) -> bool,
        now: Millis,
    ) -> (Vec<SignedPeer>, Option<Exchange>) {
        let is_flood = self.heard_at.get(from).is_some_and(|at| now.since(*at) < limits::EXCHANGE_HEARD_INTERVAL);
        let is_welcome = if exchange.wants { !is_flood } else { self.asked.remove(from) };
        if !is_welcome {
            return (Vec::new(), None);
        }
        self.heard_at.insert(from.clone(), now);
        let mut taken = Vec::new();
        let mut told = self.known.values().filter(|(_, by)| by == from).count();
        for record in exchange.records.into_iter().take(EXCHANGE_RECORDS_MAX) {
            let known = self.known.get(&record.peer);
            let is_older = known.is_some_and(|(known, _)| known.issued_at >= record.issued_at);
            // A member may make up as many machines as it likes.
            let is_room = known.is_some()
                || record.peer == *from
                || (told < limits::EXCHANGE_OF_ONE_MAX && self.known.len() < limits::EXCHANGE_KNOWN_MAX);
            if is_older || !is_room || record.peer == self.me || !record.is_current(now) || !is_signed(&record) {
                continue;
            }
            let by = self.known.get(&record.peer).map_or_else(|| from.clone(), |(_, by)| by.clone());
            told += usize::from(by == *from);
            self.known.insert(record.peer.clone(), (record.clone(), by));
            taken.push(record);
        }
        self.last = Some(now);
        let answer = exchange.wants.then(|| self.tell(from, false, now));
        (taken, answer)
    }

    /// Machines that say of themselves that they are anchors.
    pub fn anchors(&self) -> impl Iterator<Item = &Peer> {
        self.known.values().map(|(record, _)| record).filter(|record| record.role == Role::Anchor).map(|r| &r.peer)
    }

    /// When a neighbour last said something.
    pub fn last(&self) -> Option<Millis> {
        self.last
    }

    /// The same, by neighbour.
    pub fn last_by_peer(&self) -> impl Iterator<Item = (&Peer, Millis)> {
        self.heard_at.iter().map(|(peer, at)| (peer, *at))
    }

    /// This node's own record, and of the others those that were not told last.
    fn tell(&mut self, to: &Peer, wants: bool, now: Millis) -> Exchange {
        let others: Vec<&SignedPeer> = self
            .known
            .values()
            .map(|(record, _)| record)
            .filter(|record| record.peer != *to && record.is_current(now))
            .collect();
        let room = EXCHANGE_RECORDS_MAX - 1;
        let start = if others.len() > room { (self.page * room) % others.len() } else { 0 };
        self.page += 1;
        if wants {
            self.asked.insert(to.clone());
        }
        let own = self.own.iter().filter(|own| own.is_current(now));
        let told = own.chain(others.iter().copied().cycle().skip(start).take(room.min(others.len())));
        Exchange { records: told.cloned().collect(), wants }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Millis = Millis::from_secs(1_800_000_000);

    fn record(name: &str, issued_at: Millis) -> SignedPeer {
        SignedPeer {
            peer: Peer::new(name),
            addresses: vec![format!("/ip4/10.0.0.1/tcp/1/p2p/{name}")],
            role: Role::Node,
            issued_at,
            expires_at: issued_at.after(Duration::from_secs(600)),
            signature: [1; 64],
        }
    }

    fn says(records: Vec<SignedPeer>) -> Exchange {
        Exchange { records, wants: true }
    }

    fn is_signed(record: &SignedPeer) -> bool {
        record.signature == [1; 64]
    }

    fn names(records: &[SignedPeer]) -> Vec<&str> {
        records.iter().map(|record| record.peer.as_str()).collect()
    }

    #[test]
    fn what_is_true_and_new_is_taken_and_passed_on() {
        let mut me = PeerExchange::new(Peer::new("me"));
        me.set_own(record("me", NOW));
        let forged = SignedPeer { signature: [2; 64], ..record("forged", NOW) };
        let over = record("over", NOW.before(Duration::from_secs(601)));
        let future = record("future", NOW.after(Duration::from_secs(61)));
        let all = vec![record("a", NOW), forged, over, future, record("me", NOW.after(Duration::from_secs(1)))];
        let (taken, answer) = me.hear(&Peer::new("b"), says(all), is_signed, NOW);
        assert_eq!(names(&taken), ["a"]);
        let answer = answer.unwrap();
        assert_eq!((names(&answer.records), answer.wants), (vec!["me", "a"], false));
        assert_eq!(me.last(), Some(NOW));
        let later = NOW.after(Duration::from_secs(30));
        let older = record("a", NOW.before(Duration::from_secs(1)));
        assert!(me.hear(&Peer::new("b"), says(vec![older]), is_signed, later).0.is_empty());
        assert_eq!(names(&me.on_neighbour(&Peer::new("a"), later).records), ["me"], "nobody is told of himself");
    }

    #[test]
    fn each_minute_one_neighbour_is_told_in_turn_and_over_time_all_that_is_known() {
        let mut me = PeerExchange::new(Peer::new("me"));
        me.set_own(record("me", NOW));
        for n in 0..5 {
            let some = (0..8).map(|m| record(&format!("p{}", n * 8 + m), NOW)).collect();
            me.hear(&Peer::new(format!("n{n}")), says(some), is_signed, NOW);
        }
        let neighbours = ["a", "b", "c"].map(Peer::new);
        let (mut told, mut seen) = (Vec::new(), BTreeSet::new());
        for minute in 0..8 {
            let (peer, exchange) = me.on_time(&neighbours, NOW.after(Duration::from_secs(60 * minute))).unwrap();
            assert!(exchange.records.len() <= EXCHANGE_RECORDS_MAX && exchange.wants);
            told.push(peer.to_string());
            seen.extend(exchange.records.into_iter().map(|record| record.peer));
        }
        assert!(["a", "b", "c"].iter().all(|name| told.iter().filter(|peer| peer == name).count() >= 2), "{told:?}");
        assert_eq!(seen.len(), 41, "all forty, and itself");
    }

    #[test]
    fn who_talks_without_end_is_not_listened_to() {
        let mut me = PeerExchange::new(Peer::new("me"));
        let mut checked = 0;
        for n in 0..1000_u64 {
            let at = NOW.after(Duration::from_millis(n));
            let said = Exchange { wants: n % 2 == 0, ..says(vec![record(&format!("p{n}"), NOW)]) };
            checked += me.hear(&Peer::new("liar"), said, is_signed, at).0.len();
        }
        assert_eq!(checked, 1);
    }

    #[test]
    fn one_neighbour_does_not_fill_the_table() {
        let mut me = PeerExchange::new(Peer::new("me"));
        let says_many = |me: &mut PeerExchange, from: &str| {
            for n in 0..1000 {
                let at = NOW.after(Duration::from_secs(6 * n));
                let some = (0..8).map(|m| record(&format!("{from}{}", n * 8 + m), at)).collect();
                me.hear(&Peer::new(from), says(some), is_signed, at);
            }
        };
        says_many(&mut me, "liar");
        let known =
            |me: &PeerExchange, from: &str| me.known.keys().filter(|peer| peer.as_str().starts_with(from)).count();
        assert_eq!(known(&me, "liar"), limits::EXCHANGE_OF_ONE_MAX);
        let later = NOW.after(Duration::from_secs(6000));
        let (taken, _) = me.hear(&Peer::new("liar"), says(vec![record("liar", later)]), is_signed, later);
        assert_eq!(names(&taken), ["liar"], "where it is itself is always heard");
        says_many(&mut me, "b");
        assert_eq!(known(&me, "b"), limits::EXCHANGE_OF_ONE_MAX);
    }

    #[test]
    fn its_own_record_is_made_anew_in_time() {
        let mut me = PeerExchange::new(Peer::new("me"));
        let addresses = record("me", NOW).addresses;
        assert!(me.needs_own(&addresses, NOW) && !me.needs_own(&[], NOW));
        let life = limits::OWN_RECORD_LIFE;
        me.set_own(SignedPeer { expires_at: NOW.after(life), ..record("me", NOW) });
        assert!(!me.needs_own(&addresses, NOW.after(life / 3)));
        assert!(me.needs_own(&addresses, NOW.after(life / 2)));
        assert!(me.needs_own(&["/ip4/10.0.0.2/tcp/1".to_owned()], NOW));
    }
}
