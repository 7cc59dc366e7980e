//! Which of several connections to one peer stays.
//!
//! A hole punch may give up to three, a dial from both sides two, and the circuit is there besides;
//! streams would spread over all of them. Both sides must mean the same one, and what tells them
//! apart is not the same on both: so the smaller peer decides. If it does not, it has only one of them: the
//! others ended on its side without a word, as when its address changed, and the larger peer closes these.

use libp2p::{
    core::{ConnectedPoint, Endpoint},
    multiaddr::Protocol,
    swarm::ConnectionId,
};
use tokio::time::Instant;

use crate::limits::{ORPHAN_TIME, SETTLING_TIME};

/// A connection, as the rule sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rated {
    pub(crate) connection: ConnectionId,
    pub(crate) relayed: bool,
    /// The smaller peer dialled it.
    pub(crate) by_smaller: bool,
    pub(crate) since: Instant,
}

/// What to close now, and when to ask again if anything is left for later.
///
/// A direct one stays before a circuit, and one that the smaller peer dialled before others; then the
/// oldest. It has stood for [`SETTLING_TIME`] before anything else is closed, and so has what is
/// closed: a dial-back of AutoNAT may run on it.
pub(crate) fn superfluous(links: &[Rated], now: Instant) -> (Vec<ConnectionId>, Option<Instant>) {
    let Some(best) = links.iter().min_by_key(|link| (link.relayed, !link.by_smaller, link.connection)) else {
        return (Vec::new(), None);
    };
    let due = |link: &&Rated| link.since.max(best.since) + SETTLING_TIME;
    let others = || links.iter().filter(|link| link.connection != best.connection);
    let close = others().filter(|link| due(link) <= now).map(|link| link.connection).collect();
    (close, others().map(|link| due(&link)).filter(|at| *at > now).min())
}

/// The same for the larger peer: all but the newest that is direct, or the newest, when they have stood for
/// [`ORPHAN_TIME`] and the smaller has closed none.
pub(crate) fn orphaned(links: &[Rated], now: Instant) -> (Vec<ConnectionId>, Option<Instant>) {
    let Some(newest) = links.iter().max_by_key(|link| (!link.relayed, link.since, link.connection)) else {
        return (Vec::new(), None);
    };
    let others = || links.iter().filter(|link| link.connection != newest.connection);
    let due = links.iter().map(|link| link.since).max().map(|since| since + ORPHAN_TIME);
    match due.filter(|_| others().next().is_some()) {
        Some(at) if at <= now => (others().map(|link| link.connection).collect(), None),
        later => (Vec::new(), later),
    }
}

/// Whether this side dialled.
///
/// In a hole punch both do. Over TCP that makes one connection, and the one whose role was overridden
/// counts as the listener; over QUIC each dial makes its own.
pub(crate) fn is_dialler(endpoint: &ConnectedPoint) -> bool {
    match endpoint {
        ConnectedPoint::Dialer { role_override: Endpoint::Dialer, .. } => true,
        ConnectedPoint::Dialer { address, .. } => address.iter().any(|part| part == Protocol::QuicV1),
        ConnectedPoint::Listener { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use libp2p::core::transport::PortUse;

    use super::*;

    /// Links as `name age relayed|direct smaller|larger`; returns the names that the smaller peer closes, and in
    /// how many milliseconds there is more to do.
    fn check(links: &[(usize, u64, bool, bool)], closed: &[usize], later: Option<u64>) {
        check_by(superfluous, links, closed, later);
    }

    type Rule = fn(&[Rated], Instant) -> (Vec<ConnectionId>, Option<Instant>);

    fn check_by(rule: Rule, links: &[(usize, u64, bool, bool)], closed: &[usize], later: Option<u64>) {
        let now = Instant::now() + Duration::from_secs(60);
        let ids: Vec<_> = links.iter().map(|link| ConnectionId::new_unchecked(link.0)).collect();
        let rated: Vec<_> = links
            .iter()
            .zip(&ids)
            .map(|(&(_, age, relayed, by_smaller), &connection)| Rated {
                connection,
                relayed,
                by_smaller,
                since: now - Duration::from_millis(age),
            })
            .collect();
        let (close, at) = rule(&rated, now);
        assert_eq!(close, closed.iter().map(|name| ConnectionId::new_unchecked(*name)).collect::<Vec<_>>());
        assert_eq!(at, later.map(|later| now + Duration::from_millis(later)));
    }

    #[test]
    fn the_only_connection_stays() {
        check(&[], &[], None);
        check(&[(1, 60_000, true, false)], &[], None);
    }

    #[test]
    fn the_circuit_goes_when_a_direct_one_has_stood() {
        check(&[(1, 60_000, true, true), (2, 500, false, false)], &[], Some(1500));
        check(&[(1, 60_000, true, true), (2, 2000, false, false)], &[1], None);
    }

    #[test]
    fn of_direct_ones_that_of_the_smaller_peer_stays() {
        check(&[(1, 9000, false, false), (2, 3000, false, true)], &[1], None);
        check(&[(1, 9000, false, true), (2, 3000, false, true)], &[2], None);
        check(&[(1, 9000, true, true), (2, 4000, false, false), (3, 3000, false, true)], &[1, 2], None);
    }

    #[test]
    fn what_has_just_come_is_not_closed_yet() {
        check(&[(1, 9000, false, true), (2, 1000, false, false)], &[], Some(1000));
    }

    #[test]
    fn what_the_smaller_peer_does_not_see_the_larger_closes_a_little_later() {
        let check = |links: &[_], closed: &[_], later| check_by(orphaned, links, closed, later);
        check(&[(1, 60_000, false, true)], &[], None);
        check(&[(1, 60_000, false, true), (2, 5000, false, false)], &[], Some(1000));
        check(&[(1, 60_000, false, true), (2, 6000, false, false)], &[1], None);
        check(&[(1, 60_000, false, false), (2, 6000, true, true)], &[2], None);
        check(&[(1, 60_000, false, false), (2, 7000, false, true), (3, 1000, true, true)], &[], Some(5000));
    }

    #[test]
    fn two_circuits_are_one_too_many() {
        check(&[(1, 9000, true, false), (2, 9000, true, true)], &[1], None);
    }

    #[test]
    fn who_dialled_is_told_alike_on_both_sides() {
        let dialled = |address: &str, role_override| {
            is_dialler(&ConnectedPoint::Dialer {
                address: address.parse().unwrap(),
                role_override,
                port_use: PortUse::Reuse,
            })
        };
        assert!(dialled("/ip4/50.0.0.1/tcp/1", Endpoint::Dialer));
        assert!(!dialled("/ip4/50.0.0.1/tcp/1", Endpoint::Listener), "the other side of a simultaneous open dialled");
        assert!(dialled("/ip4/50.0.0.1/udp/1/quic-v1", Endpoint::Listener), "the other side listens");
    }
}
