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
    (Book::new(peer(0), [peer(250)].into()), Instant::now())
}

fn said(address: Address, secs: u64) -> Named {
    Named { address, said_at: Millis::from_secs(secs) }
}

fn set(book: &mut Book, kind: Kind, named: Vec<Address>, now: Instant) {
    book.set(kind, named.into_iter().map(|address| said(address, 0)).collect(), || 0.0, now);
}

const SECOND: Duration = Duration::from_secs(1);

fn due(book: &mut Book, connected: &[u8], now: Instant) -> Vec<Address> {
    book.due(&connected.iter().map(|n| peer(*n)).collect(), 8, || 1.0, now)
}

#[test]
fn a_dead_place_is_asked_after_less_and_less_often_and_at_once_when_it_is_the_last_hope() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, vec![at(1)], start);
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
    set(&mut book, Kind::Static, vec![at(1), at(2)], start);
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
    set(&mut book, Kind::Static, vec![place.clone()], start);
    assert_eq!(due(&mut book, &[], start).len(), 1);
    book.connected(&place, &peer(1));
    assert_eq!(book.next_due(&[peer(1)].into()), None);
    book.gone(&peer(1), false, start + SECOND);
    assert_eq!(due(&mut book, &[2], start + SECOND), [place]);
}

#[test]
fn what_is_over_the_budget_waits_a_moment() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, (1..=8 * 3).map(at).collect(), start);
    let rounds: Vec<usize> = (0..4).map(|second| due(&mut book, &[], start + second * SECOND).len()).collect();
    assert_eq!(rounds[0], 8);
    assert_eq!(book.next_due(&BTreeSet::new()).map(|at| at > start), Some(true));
    assert!(rounds.iter().sum::<usize>() >= 24, "{rounds:?}");
}

#[test]
fn of_two_peers_at_one_place_the_one_named_last_is_there() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, vec![at(1)], start);
    for tick in 0..9 {
        due(&mut book, &[], start + tick * SECOND);
    }
    let moved_in = at(1).with_peer(&peer(2));
    let now = start + 10 * SECOND;
    set(&mut book, Kind::File, vec![moved_in.clone()], now);
    assert_eq!((book.len(), due(&mut book, &[], now)), (1, vec![moved_in]), "and it is dialled at once");
}

#[test]
fn a_kind_takes_back_what_it_alone_named() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, vec![at(1), at(2)], start);
    book.add(Kind::Mdns, &said(at(2), 0), start + 10 * SECOND, start);
    set(&mut book, Kind::File, vec![], start);
    assert_eq!((book.len(), book.of_kind(Kind::Mdns)), (1, 1));
    book.add(Kind::Mdns, &said(at(2), 0), start + 5 * SECOND, start);
    book.expire(start + 9 * SECOND);
    assert_eq!(book.len(), 1, "a shorter word takes nothing back");
    book.expire(start + 10 * SECOND);
    assert_eq!(book.len(), 0);
    set(&mut book, Kind::File, vec![at(0)], start);
    set(&mut book, Kind::Static, vec![at(250)], start);
    assert_eq!(book.len(), 0, "neither this node itself nor who is blocked is in it");
}

#[test]
fn the_operator_s_peers_come_first_and_the_others_all_get_their_turn() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, (10..60).map(at).collect(), start);
    set(&mut book, Kind::Static, vec![at(1)], start);
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
    book.set(Kind::Issue, (1..200).map(|n| said(at(n), 0)).collect(), spread, start);
    let at_once = book.due(&BTreeSet::new(), 1000, || 1.0, start + SECOND / 10).len();
    assert!(at_once < 20, "{at_once} at once");
    assert_eq!(book.due(&BTreeSet::new(), 1000, || 1.0, start + limits::BURST_TIME_MAX).len(), 199);
}

#[test]
fn with_neighbours_enough_only_the_operator_s_own_are_dialled() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, vec![at(1)], start);
    let enough: BTreeSet<Peer> = (0..limits::NEIGHBOURS_WANTED).map(|n| Peer::new(format!("p{n}"))).collect();
    assert!(book.due(&enough, 8, || 1.0, start).is_empty());
    assert_eq!(book.next_due(&enough), None);
    book.add(Kind::Static, &said(at(1), 0), start + SECOND, start);
    assert_eq!(book.due(&enough, 8, || 1.0, start), [at(1)]);
}

#[test]
fn the_book_is_bounded() {
    let (mut book, start) = book();
    let place =
        |kind: usize, n: usize| said(format!("/ip4/10.{kind}.{}.{}/tcp/9100", n / 256, n % 256).parse().unwrap(), 0);
    for n in 0..=limits::KNOWN_ADDRESSES_MAX {
        book.add(Kind::Exchange, &place(1, n), start + SECOND, start);
    }
    assert_eq!(book.len(), limits::KNOWN_ADDRESSES_MAX / 2, "hearsay leaves room for what the operator names");
    let many = (0..=limits::KNOWN_ADDRESSES_MAX).map(|n| place(2, n)).collect();
    book.set(Kind::File, many, || 0.0, start);
    assert_eq!(book.len(), limits::KNOWN_ADDRESSES_MAX);
}

#[test]
fn a_dead_machine_s_word_does_not_hide_who_came_after_it() {
    let (mut book, start) = book();
    let (living, dead) = (at(1), at(1).with_peer(&peer(2)));
    let until = start + 600 * SECOND;
    book.add(Kind::Exchange, &said(living.clone(), 200), until, start);
    for tick in 0..5 {
        due(&mut book, &[], start + tick * SECOND);
    }
    let pause = book.next_due(&BTreeSet::new());
    for kind in [Kind::Exchange, Kind::Issue, Kind::Mdns] {
        book.add(kind, &said(dead.clone(), 100), until, start + 5 * SECOND);
    }
    assert_eq!(book.next_due(&BTreeSet::new()), pause, "an older word changes nothing");
    // In one list both are there, in whatever order, at each reading.
    for _ in 0..3 {
        book.set(Kind::Issue, vec![said(dead.clone(), 100), said(living.clone(), 200)], || 0.0, start + 5 * SECOND);
        assert_eq!(book.next_due(&BTreeSet::new()), pause);
    }
    assert_eq!(due(&mut book, &[], start + 60 * SECOND), [living]);
}

#[test]
fn nobody_but_a_directory_says_that_another_is_where_the_operator_named_one() {
    let (mut book, start) = book();
    let (pinned, other) = (at(1), at(1).with_peer(&peer(2)));
    set(&mut book, Kind::Static, vec![pinned.clone()], start);
    for kind in [Kind::Exchange, Kind::Issue, Kind::Mdns] {
        book.add(kind, &said(other.clone(), 900), start + 600 * SECOND, start);
    }
    assert_eq!(due(&mut book, &[], start), [pinned]);
    book.answered_by(&other, &peer(3), start);
    assert_eq!(due(&mut book, &[], start), [], "who answers is not taken for him either");
    set(&mut book, Kind::File, vec![other.clone()], start);
    assert_eq!(due(&mut book, &[], start), [other]);
}

#[test]
fn who_answers_in_place_of_another_is_asked_for_once_at_once_and_then_in_turn() {
    let (mut book, start) = book();
    set(&mut book, Kind::File, vec![at(1)], start);
    assert_eq!(due(&mut book, &[], start), [at(1)]);
    book.answered_by(&at(1), &peer(2), start);
    let moved_in = at(1).with_peer(&peer(2));
    assert_eq!(due(&mut book, &[], start), std::slice::from_ref(&moved_in));
    for n in 3..20 {
        book.answered_by(&moved_in, &peer(n), start);
        assert_eq!(due(&mut book, &[], start), [], "no name makes us dial more often");
    }
    book.answered_by(&moved_in, &peer(2), start);
    book.connected(&moved_in, &peer(2));
    assert_eq!(book.next_due(&[peer(2)].into()), None);
    book.answered_by(&moved_in, &peer(0), start);
    assert_eq!(book.next_due(&[peer(2)].into()), None, "this node itself is nobody to dial");
}
