use net::Identity;

use super::*;

fn peer(n: u8) -> Peer {
    Identity::from_seed([n; 32]).peer()
}

fn at(n: u8) -> Address {
    format!("/ip4/10.0.0.{n}/tcp/9100").parse::<Address>().unwrap().with_peer(&peer(n))
}

/// A book of node 0, and the time that its stories begin.
fn book() -> (Book, Instant) {
    (Book::new(peer(0)), Instant::now())
}

const SECOND: Duration = Duration::from_secs(1);

fn due(book: &mut Book, connected: &[u8], now: Instant) -> Vec<Address> {
    book.due(&connected.iter().map(|n| peer(*n)).collect(), 8, || 1.0, now)
}

#[test]
fn a_dead_place_is_asked_after_less_and_less_often_and_at_once_when_it_is_the_last_hope() {
    let (mut book, start) = book();
    book.set(Kind::File, vec![at(1)], || 0.0, start);
    let mut dials = Vec::new();
    for tick in 0..600 {
        let now = start + tick * SECOND / 2;
        dials.extend(due(&mut book, &[], now).iter().map(|_| now.duration_since(start).as_secs_f64()));
    }
    assert_eq!(dials, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5, 243.5]);
    let now = start + 300 * SECOND;
    assert!(due(&mut book, &[], now).is_empty());
    book.gone(&peer(9), true, now + SECOND / 2);
    assert_eq!(book.next_due(&BTreeSet::new()), Some(now + SECOND / 2));
}

#[test]
fn who_is_connected_is_not_dialled_and_who_goes_is_dialled_soon() {
    let (mut book, start) = book();
    book.set(Kind::Static, vec![at(1), at(2)], || 0.0, start);
    assert_eq!(due(&mut book, &[1], start), [at(2)]);
    assert_eq!(book.connected(&at(2).without_peer(), &peer(2)), [Kind::Static]);
    assert_eq!(book.next_due(&[peer(1), peer(2)].into()), None);
    book.gone(&peer(1), false, start + SECOND);
    assert_eq!(due(&mut book, &[2], start + SECOND), [at(1)]);
}

#[test]
fn who_answered_where_nobody_was_named_is_known_while_he_is_connected() {
    let (mut book, start) = book();
    let place = at(1).without_peer();
    book.set(Kind::Static, vec![place.clone()], || 0.0, start);
    assert_eq!(due(&mut book, &[], start).len(), 1);
    book.connected(&place, &peer(1));
    assert_eq!(book.next_due(&[peer(1)].into()), None);
    book.gone(&peer(1), false, start + SECOND);
    assert_eq!(due(&mut book, &[2], start + SECOND), [place]);
}

#[test]
fn what_is_over_the_budget_waits_a_moment() {
    let (mut book, start) = book();
    book.set(Kind::File, (1..=8 * 3).map(at).collect(), || 0.0, start);
    let rounds: Vec<usize> = (0..4).map(|second| due(&mut book, &[], start + second * SECOND).len()).collect();
    assert_eq!(rounds[0], 8);
    assert_eq!(book.next_due(&BTreeSet::new()).map(|at| at > start), Some(true));
    assert!(rounds.iter().sum::<usize>() >= 24, "{rounds:?}");
}

#[test]
fn of_two_peers_at_one_place_the_one_named_last_is_there() {
    let (mut book, start) = book();
    book.set(Kind::File, vec![at(1)], || 0.0, start);
    for tick in 0..9 {
        due(&mut book, &[], start + tick * SECOND);
    }
    let moved_in = at(1).with_peer(&peer(2));
    let now = start + 10 * SECOND;
    book.set(Kind::File, vec![moved_in.clone()], || 0.0, now);
    assert_eq!((book.len(), due(&mut book, &[], now)), (1, vec![moved_in]), "and it is dialled at once");
}

#[test]
fn a_kind_takes_back_what_it_alone_named() {
    let (mut book, start) = book();
    book.set(Kind::File, vec![at(1), at(2)], || 0.0, start);
    book.add(Kind::Mdns, &at(2), start + 10 * SECOND, start);
    book.set(Kind::File, vec![], || 0.0, start);
    assert_eq!((book.len(), book.of_kind(Kind::Mdns)), (1, 1));
    book.add(Kind::Mdns, &at(2), start + 5 * SECOND, start);
    book.expire(start + 9 * SECOND);
    assert_eq!(book.len(), 1, "a shorter word takes nothing back");
    book.expire(start + 10 * SECOND);
    assert_eq!(book.len(), 0);
    book.set(Kind::File, vec![at(0)], || 0.0, start);
    assert_eq!(book.len(), 0, "this node itself is not in it");
}

#[test]
fn the_operator_s_peers_come_first_and_the_others_all_get_their_turn() {
    let (mut book, start) = book();
    book.set(Kind::File, (10..60).map(at).collect(), || 0.0, start);
    book.set(Kind::Static, vec![at(1)], || 0.0, start);
    let mut seen = BTreeSet::new();
    for _ in 0..7 {
        book.refresh(start);
        let round = due(&mut book, &[], start);
        assert_eq!((round.len(), &round[0]), (8, &at(1)));
        seen.extend(round);
    }
    assert!(seen.len() > 40, "only {}", seen.len());
}

#[test]
fn many_that_are_found_together_are_dialled_over_a_moment() {
    let (mut book, start) = book();
    let mut n = 0.0;
    let spread = || {
        n += 1.0 / 200.0;
        n
    };
    book.set(Kind::Issue, (1..200).map(at).collect(), spread, start);
    let at_once = book.due(&BTreeSet::new(), 1000, || 1.0, start + SECOND / 10).len();
    assert!(at_once < 20, "{at_once} at once");
    assert_eq!(book.due(&BTreeSet::new(), 1000, || 1.0, start + limits::BURST_TIME_MAX).len(), 199);
}

#[test]
fn with_neighbours_enough_only_the_operator_s_own_are_dialled() {
    let (mut book, start) = book();
    book.set(Kind::File, vec![at(1)], || 0.0, start);
    let enough: BTreeSet<Peer> = (0..limits::NEIGHBOURS_WANTED).map(|n| Peer::new(format!("p{n}"))).collect();
    assert!(book.due(&enough, 8, || 1.0, start).is_empty());
    assert_eq!(book.next_due(&enough), None);
    book.add(Kind::Static, &at(1), start + SECOND, start);
    assert_eq!(book.due(&enough, 8, || 1.0, start), [at(1)]);
}

#[test]
fn the_book_is_bounded() {
    let (mut book, start) = book();
    for n in 0..=limits::KNOWN_ADDRESSES_MAX {
        let address = format!("/ip4/10.1.{}.{}/tcp/9100", n / 256, n % 256).parse().unwrap();
        book.add(Kind::Exchange, &address, start + SECOND, start);
    }
    assert_eq!(book.len(), limits::KNOWN_ADDRESSES_MAX);
}
