//! Whether others can dial this node, as far as it knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use tokio::time::Instant;

use crate::{
    Address,
    limits::{OWN_ADDRESSES_MAX, UNCONFIRMED_TIME},
};

/// What is known of the way in. A hint: a server's dial-back comes from an address that our router
/// may know already (`docs/CONNECTIVITY.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nat {
    #[default]
    Unknown,
    /// Dialled back at an address that machines anywhere may try, or the operator says so.
    Public,
    /// Every address that was tried failed, or none was confirmed in half a minute.
    Private,
}

impl Nat {
    pub fn label(self) -> &'static str {
        match self {
            Nat::Unknown => "unknown",
            Nat::Public => "public",
            Nat::Private => "private",
        }
    }
}

/// What the verdict is made of.
#[derive(Default)]
pub(crate) struct Evidence {
    /// The operator named an address, or said that this node serves others.
    said: bool,
    confirmed: BTreeSet<Address>,
    /// Until when each has to be confirmed anew, or counts no more.
    doubted: BTreeMap<Address, Instant>,
    /// Since when it was known, and not confirmed.
    candidates: BTreeMap<Address, Instant>,
    failed: bool,
}

impl Evidence {
    pub(crate) fn new(said: bool) -> Self {
        Self { said, ..Self::default() }
    }

    /// Somebody sees us there.
    pub(crate) fn observed(&mut self, address: Address, now: Instant) {
        if self.candidates.len() < OWN_ADDRESSES_MAX && address.is_global() && !address.is_relayed() {
            self.candidates.entry(address).or_insert(now);
        }
    }

    /// A server, or the router, says that others get through to there. Returns whether that is news.
    pub(crate) fn confirmed(&mut self, address: Address) -> bool {
        self.doubted.remove(&address);
        let counts = address.is_global() && !address.is_relayed() && self.confirmed.len() < OWN_ADDRESSES_MAX;
        counts && self.confirmed.insert(address)
    }

    pub(crate) fn expired(&mut self, address: &Address) {
        self.confirmed.remove(address);
        self.doubted.remove(address);
    }

    /// A server could not reach us there.
    pub(crate) fn failed(&mut self, address: &Address, now: Instant) {
        self.failed |= address.is_global();
        if let Some(until) = self.doubted.get_mut(address) {
            *until = now;
        }
    }

    /// What was confirmed may not hold any more. Returns whether that is news.
    pub(crate) fn doubt(&mut self, address: Address, now: Instant) -> bool {
        let is_news = !self.doubted.contains_key(&address);
        self.doubted.entry(address).or_insert(now + UNCONFIRMED_TIME);
        is_news
    }

    pub(crate) fn doubted(&self) -> impl Iterator<Item = &Address> {
        self.doubted.keys()
    }

    /// One that was doubted and not confirmed in time: it is expired.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Address> {
        let (address, _) = self.doubted.iter().find(|(_, until)| **until <= now)?;
        let address = address.clone();
        self.expired(&address);
        Some(address)
    }

    /// When [`Evidence::overdue`] may have one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.doubted.values().min().copied()
    }

    /// Where others saw us is of no account any more.
    pub(crate) fn forget(&mut self, is_void: impl Fn(IpAddr) -> bool) {
        self.candidates.retain(|address, _| !address.ip().is_some_and(&is_void));
    }

    /// Where servers could not reach us was elsewhere.
    pub(crate) fn forgive(&mut self) {
        self.failed = false;
    }

    pub(crate) fn verdict(&self, now: Instant) -> Nat {
        let is_late = |since: &Instant| *since + UNCONFIRMED_TIME <= now;
        if self.said || !self.confirmed.is_empty() {
            Nat::Public
        } else if self.failed || self.candidates.values().any(is_late) {
            Nat::Private
        } else {
            Nat::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn silence_becomes_private_and_a_confirmation_public() {
        let now = Instant::now();
        let mut evidence = Evidence::default();
        assert_eq!(evidence.verdict(now), Nat::Unknown);
        evidence.observed(at("/ip4/50.0.0.1/tcp/9100"), now);
        assert_eq!(evidence.verdict(now + Duration::from_secs(29)), Nat::Unknown);
        assert_eq!(evidence.verdict(now + Duration::from_secs(30)), Nat::Private);
        assert!(evidence.confirmed(at("/ip4/50.0.0.1/tcp/9100")));
        assert!(!evidence.confirmed(at("/ip4/50.0.0.1/tcp/9100")), "no news");
        assert_eq!(evidence.verdict(now + Duration::from_secs(30)), Nat::Public);
        evidence.expired(&at("/ip4/50.0.0.1/tcp/9100"));
        assert_eq!(evidence.verdict(now + Duration::from_secs(30)), Nat::Private);
    }

    #[test]
    fn a_failed_dial_back_says_private_at_once() {
        let mut evidence = Evidence::default();
        evidence.failed(&at("/ip4/50.0.0.1/udp/9100/quic-v1"), Instant::now());
        assert_eq!(evidence.verdict(Instant::now()), Nat::Private);
        evidence.forgive();
        assert_eq!(evidence.verdict(Instant::now()), Nat::Unknown, "that was elsewhere");
    }

    #[test]
    fn what_is_doubted_counts_until_it_should_have_been_confirmed_anew() {
        let (now, place) = (Instant::now(), at("/ip4/50.0.0.1/tcp/9100"));
        let late = now + UNCONFIRMED_TIME;
        let mut evidence = Evidence::default();
        evidence.confirmed(place.clone());
        assert!(evidence.doubt(place.clone(), now) && !evidence.doubt(place.clone(), late));
        assert_eq!((evidence.deadline(), evidence.overdue(now)), (Some(late), None));
        evidence.confirmed(place.clone());
        assert_eq!((evidence.deadline(), evidence.overdue(late)), (None, None));
        evidence.doubt(place.clone(), now);
        assert_eq!((evidence.overdue(late), evidence.overdue(late)), (Some(place.clone()), None));
        assert_eq!(evidence.verdict(late), Nat::Unknown);
        evidence.confirmed(place.clone());
        evidence.doubt(place.clone(), now);
        evidence.failed(&place, now);
        assert_eq!(evidence.overdue(now), Some(place), "a failure is not waited out");
    }

    #[test]
    fn what_a_neighbour_confirms_is_not_public() {
        let now = Instant::now();
        let mut evidence = Evidence::default();
        evidence.observed(at("/ip4/192.168.1.2/tcp/9100"), now);
        assert!(!evidence.confirmed(at("/ip4/192.168.1.2/tcp/9100")));
        evidence.failed(&at("/ip4/127.0.0.1/tcp/9100"), now);
        assert_eq!(evidence.verdict(now + Duration::from_secs(60)), Nat::Unknown);
    }

    #[test]
    fn the_operator_knows_best() {
        assert_eq!(Evidence::new(true).verdict(Instant::now()), Nat::Public);
    }
}
