//! What the dialler knows, for the status page; above all why nobody is connected.

use std::collections::BTreeMap;

use discovery::PeerRecord;
use net::Address;
use wire::{Millis, Peer};

use super::{Kind, Kinds, reasons::OTHER_SECRET};
use crate::limits;

/// How the place of a connection begins that somebody else made.
pub const INBOUND: &str = "a connection from";

/// What the dialler knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub listening: Vec<Address>,
    /// What was to be listened on and is not, with the reason.
    pub not_listening: BTreeMap<String, String>,
    /// Where this node says that it is.
    pub advertised: Option<Address>,
    /// What the directories hold of it, to be taken back in the end.
    pub announced: Option<PeerRecord>,
    /// Peers that are known by name, this node not counted.
    pub discovered: usize,
    pub bootstrap: usize,
    /// Addresses that are known, of peers by name or not, and those of them that were dialled.
    pub addresses: usize,
    pub dialled: usize,
    /// Whether the directories have been read at all.
    pub has_looked: bool,
    /// Why connections failed lately, by place; those of long ago may be among them.
    pub failures: BTreeMap<String, Failure>,
    pub kinds: Kinds,
    /// When a neighbour last told of machines, and each of them.
    pub exchange_last: Option<Millis>,
    pub exchange_by_peer: Vec<(Peer, Millis)>,
}

impl Known {
    /// A connection did not come about. What only the operator can mend is not hidden by what comes after it from
    /// the same machine: anybody may knock at a port.
    pub fn note_failure(&mut self, place: String, why: String, at: Millis) {
        self.failures.retain(|_, failure| at.since(failure.at) < limits::FAILURE_LIFE);
        if self.failures.len() >= limits::FAILURES_MAX {
            self.failures.clear();
        }
        let told = self.failures.get(&place).is_some_and(|told| told.why.contains(OTHER_SECRET));
        if !(told && place.starts_with(INBOUND) && !why.contains(OTHER_SECRET)) {
            self.failures.insert(place, Failure { why, at });
        }
    }

    /// `peer` is connected: what kept it, or whoever was awaited at its machine, away before is no reason any more.
    /// What still holds fails again.
    pub fn forgive(&mut self, peer: &Peer, address: &Address) {
        let named = format!("/p2p/{peer}");
        let Some(ip) = address.ip().filter(|_| !address.is_relayed()) else {
            return self.failures.retain(|place, _| !place.ends_with(&named));
        };
        let (from, at) = (format!("{INBOUND} {ip}"), format!("/{}/{ip}/", if ip.is_ipv4() { "ip4" } else { "ip6" }));
        self.failures.retain(|place, _| {
            let is_nameless = place.starts_with(&at) && !place.contains("/p2p/");
            !(place.ends_with(&named) || *place == from || is_nameless)
        });
    }

    /// Whether this node listens, and nowhere by IPv4.
    pub fn lacks_ipv4(&self) -> bool {
        let is_ipv4 = |address: &Address| address.ip().is_some_and(|ip| ip.is_ipv4());
        !self.listening.is_empty() && !self.listening.iter().any(is_ipv4)
    }

    /// Why connections failed lately, by place: what still holds has failed again since.
    pub fn failures(&self, now: Millis) -> impl Iterator<Item = (&str, &str)> {
        let recent = self.failures.iter().filter(move |(_, failure)| now.since(failure.at) < limits::FAILURE_LIFE);
        recent.map(|(place, failure)| (place.as_str(), failure.why.as_str()))
    }

    /// What is wrong with the ways of finding others, by way.
    pub fn troubles(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.kinds.iter().filter_map(|(kind, state)| Some((*kind, state.trouble.as_deref()?)))
    }
}

/// A connection that did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: String,
    pub at: Millis,
}

#[cfg(test)]
mod tests {
    use net::Identity;

    use super::*;

    const NOW: Millis = Millis::from_secs(1_800_000_000);

    fn places(known: &Known) -> Vec<&str> {
        known.failures(NOW).map(|(place, _)| place).collect()
    }

    #[test]
    fn a_knock_does_not_hide_another_secret() {
        let mut known = Known::default();
        let from = format!("{INBOUND} 10.0.0.9");
        known.note_failure(from.clone(), format!("key ids differ: {OTHER_SECRET}"), NOW);
        known.note_failure(from.clone(), "it broke off".to_owned(), NOW);
        assert!(known.failures[&from].why.contains(OTHER_SECRET));
        // What is dialled fails by what it fails by now.
        known.note_failure("/ip4/10.0.0.9/tcp/1".to_owned(), OTHER_SECRET.to_owned(), NOW);
        known.note_failure("/ip4/10.0.0.9/tcp/1".to_owned(), "refused".to_owned(), NOW);
        assert_eq!(known.failures["/ip4/10.0.0.9/tcp/1"].why, "refused");
    }

    #[test]
    fn ipv4_is_missed_by_who_listens_elsewhere_only() {
        let listens = |addresses: &[&str]| Known {
            listening: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            ..Known::default()
        };
        assert!(!listens(&[]).lacks_ipv4());
        assert!(listens(&["/ip6/2001:db8::1/tcp/1"]).lacks_ipv4());
        assert!(!listens(&["/ip6/2001:db8::1/tcp/1", "/ip4/10.0.0.1/tcp/1"]).lacks_ipv4());
    }

    #[test]
    fn who_is_connected_has_no_trouble_left() {
        let (peer, other) = (Identity::from_seed([1; 32]).peer(), Identity::from_seed([2; 32]).peer());
        let mut known = Known::default();
        let named = |peer: &Peer| format!("/ip4/10.0.0.9/tcp/9100/p2p/{peer}");
        let elsewhere = "/ip4/10.0.0.8/tcp/9100".to_owned();
        for place in [named(&peer), named(&other), "/ip4/10.0.0.9/tcp/9100".to_owned(), elsewhere.clone()] {
            known.note_failure(place, "Connection refused".to_owned(), NOW);
        }
        known.note_failure(format!("{INBOUND} 10.0.0.9"), "it broke off".to_owned(), NOW);
        known.forgive(&peer, &"/ip4/10.0.0.9/tcp/40000".parse().unwrap());
        assert_eq!(places(&known), [elsewhere, named(&other)]);
    }
}
