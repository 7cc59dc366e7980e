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

#[test]
fn a_way_through_a_relay_is_tried_again_as_any_other_and_no_more_of_them_than_are_missed() {
    let (mut book, start) = book();
    let through = |relay: u8, to: u8| at(relay).circuit(&peer(relay), &peer(to)).unwrap();
    let name = |book: &mut Book, now: Instant| {
        for to in 1..=20 {
            book.add(Kind::Circuits, &said(through(100, to), 0), now + limits::CIRCUIT_LIFE, now);
        }
    };
    name(&mut book, start);
    let connected: Vec<u8> = (100..107).collect();
    assert_eq!(due(&mut book, &connected, start).len(), 1, "one neighbour is missing");
    assert_eq!(due(&mut book, &[100], start + SECOND).len(), limits::NEIGHBOURS_ENOUGH - 1);
    book.expire(start + limits::CIRCUIT_LIFE);
    assert_eq!(book.len(), 0, "nobody names them any more");

    let mut dials = Vec::new();
    for tick in 0..40 {
        let now = start + 10 * SECOND + tick * SECOND / 2;
        book.add(Kind::Circuits, &said(through(100, 1), 0), now + limits::CIRCUIT_LIFE, now);
        dials.extend(due(&mut book, &[100], now).iter().map(|_| f64::from(tick) / 2.0));
    }
    assert_eq!(dials, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5]);
}

#[test]
fn a_private_address_of_another_network_waits_for_better_ones_unless_one_who_knows_names_it() {
    let (mut book, start) = book();
    book.set_networks(Networks::of(&["/ip4/192.168.1.2/tcp/9100".parse().unwrap()]));
    let place = |ip: &str, n: u8| format!("/ip4/{ip}/tcp/9100").parse::<Address>().unwrap().with_peer(&peer(n));
    let (near, far, public) = (place("192.168.1.3", 1), place("192.168.2.3", 2), place("50.0.0.2", 2));
    let until = start + 600 * SECOND;
    for told in [&near, &far, &public] {
        book.add(Kind::Exchange, &said(told.clone(), 1), until, start);
    }
    assert_eq!(due(&mut book, &[], start), [public.clone(), near.clone()]);
    assert_eq!(due(&mut book, &[1, 2], start + limits::ELSEWHERE_PAUSE), [], "he was reached elsewhere");
    assert!(due(&mut book, &[1], start + limits::ELSEWHERE_PAUSE).contains(&far), "a router may know the way");

    let other = place("192.168.3.3", 3);
    book.add(Kind::Issue, &said(other.clone(), 1), until, start);
    assert_eq!(due(&mut book, &[1, 2], start), []);
    set(&mut book, Kind::Static, vec![other.clone()], start);
    assert_eq!(due(&mut book, &[1, 2], start), [other]);
}

/// Node `n` of a large fleet, at an address of another network.
fn member(n: u32) -> (Peer, Address) {
    let peer = Identity::from_seed(std::array::from_fn(|at| n.to_be_bytes()[at % 4])).peer();
    let address = format!("/ip4/50.0.{}.{}/tcp/9100", n / 256, n % 256).parse::<Address>().unwrap();
    (peer.clone(), address.with_peer(&peer))
}

/// A book that knows 300 members, the first ten of them anchors.
fn large() -> (Book, BTreeSet<Peer>, Instant) {
    let (mut book, start) = book();
    set(&mut book, Kind::File, (1000..1300).map(|n| member(n).1).collect(), start);
    let anchors = (1000..1010).map(|n| member(n).0).collect();
    (book, anchors, start)
}

fn all_due(book: &mut Book, connected: &BTreeSet<Peer>, now: Instant) -> BTreeSet<Peer> {
    book.due(connected, 1000, || 1.0, now).iter().filter_map(Address::peer).collect()
}

#[test]
fn of_a_large_fleet_as_many_as_are_wanted_are_dialled_with_anchors_among_them() {
    let (mut book, anchors, start) = large();
    book.choose(&anchors, &BTreeSet::new(), start);
    let dialled = all_due(&mut book, &BTreeSet::new(), start);
    assert_eq!(dialled.len(), limits::NEIGHBOURS_WANTED);
    assert!(dialled.intersection(&anchors).count() >= limits::ANCHORS_WANTED);
    // Others have dialled it: what it still wants is anchors, and whom the operator named.
    let others: BTreeSet<Peer> = (1100..1164).map(|n| member(n).0).collect();
    book.refresh(start);
    set(&mut book, Kind::Static, vec![member(1299).1], start);
    book.choose(&anchors, &others, start);
    let dialled = all_due(&mut book, &others, start);
    assert_eq!(dialled.iter().filter(|peer| !anchors.contains(peer)).collect::<Vec<_>>(), [&member(1299).0]);
    assert!(dialled.len() > limits::ANCHORS_WANTED, "{}", dialled.len());
}

#[test]
fn who_does_not_answer_or_goes_gives_way_to_others() {
    let (mut book, anchors, start) = large();
    let alive: BTreeSet<Peer> = (1290..1300).map(|n| member(n).0).collect();
    let mut connected = BTreeSet::new();
    let mut now = start;
    while connected.len() < alive.len() {
        assert!(now < start + 20 * SECOND, "only {} of those that live were found", connected.len());
        book.choose(&anchors, &connected, now);
        for peer in all_due(&mut book, &connected, now).intersection(&alive) {
            let place = (1290..1300).map(member).find(|(other, _)| other == peer).unwrap().1;
            book.connected(&place, peer);
            connected.insert(peer.clone());
        }
        now += SECOND / 2;
    }
    let gone = connected.pop_first().unwrap();
    book.gone(&gone, false, now);
    book.choose(&anchors, &connected, now + SECOND);
    assert!(!all_due(&mut book, &connected, now + SECOND).contains(&gone), "it may have given us up");
    book.refresh(now + 2 * SECOND);
    book.choose(&anchors, &connected, now + 2 * SECOND);
    assert!(
        all_due(&mut book, &connected, now + 2 * SECOND).len() > 32,
        "the dead are asked after again, a part of them"
    );
}

#[test]
fn whom_to_give_up_is_told_by_what_they_are() {
    let (mut book, anchors, start) = large();
    set(&mut book, Kind::Static, vec![member(1).1], start);
    book.set_networks(Networks::of(&["/ip4/192.168.1.2/tcp/9100".parse().unwrap()]));
    let near = |n: u32| format!("/ip4/192.168.1.{}/tcp/9100", n % 256).parse().unwrap();
    let others = (1..=limits::NEIGHBOURS_MAX as u32 - 100).map(member);
    let of_site = (2000..2100).map(|n| (member(n).0, near(n)));
    let mut connected: Vec<(Peer, Address)> = others.chain(of_site).collect();
    assert_eq!(book.superfluous(connected.clone(), &anchors), []);
    connected.extend((1000..1010).map(member));
    let given_up = book.superfluous(connected, &anchors);
    assert_eq!(given_up.len(), 10);
    let others: BTreeSet<Peer> = (2..1000).map(|n| member(n).0).collect();
    assert!(given_up.iter().all(|peer| others.contains(peer)));
}
