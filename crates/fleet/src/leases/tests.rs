use super::*;

const KEY: KeyId = KeyId([1; 16]);

fn by(name: &str, id: u64) -> Claimant {
    Claimant { peer: Peer::new(name), id }
}

fn scope(n: u8) -> ScopeId {
    ScopeId([n; 16])
}

fn is_granted(word: &ClaimWord) -> bool {
    matches!(word, ClaimWord::Granted { .. })
}

/// Who is told what, in short.
fn told(words: &Words) -> Vec<String> {
    let short = |word: &ClaimWord| match word {
        ClaimWord::Granted { .. } => "granted",
        ClaimWord::Wait { .. } => "wait",
        ClaimWord::Ended(LeaseEnd::Failed { .. }) => "failed",
        ClaimWord::Ended(LeaseEnd::Alone) => "alone",
        ClaimWord::Ended(_) => "ended",
        ClaimWord::Have(_) => "have",
        ClaimWord::No => "no",
    };
    words.iter().map(|(by, _, word)| format!("{}{} {}", by.peer, by.id, short(word))).collect()
}

#[test]
fn one_asks_and_the_others_wait_for_it() {
    let mut leases = Leases::default();
    let fill = |leases: &mut Leases, name, now| leases.claim(by(name, 1), KEY, scope(1), Purpose::Fill, Millis(now));
    assert!(is_granted(&fill(&mut leases, "a", 0)));
    assert_eq!(fill(&mut leases, "b", 100), ClaimWord::Wait { since_ms: 100 });
    assert_eq!(fill(&mut leases, "c", 200), ClaimWord::Wait { since_ms: 200 });
    assert!(is_granted(&fill(&mut leases, "a", 250)), "who asks again has not heard the answer");
    let words = leases.ended(&by("a", 1), KEY, &LeaseEnd::Failed { status: 502 }, Millis(300));
    assert_eq!(told(&words), ["b1 failed", "c1 failed"]);
    assert_eq!(leases.len(), 0);
}

#[test]
fn a_dead_holder_makes_room_for_the_next_at_once_and_a_silent_one_after_its_lease() {
    let mut leases = Leases::default();
    for name in ["a", "b", "c"] {
        leases.claim(by(name, 1), KEY, scope(1), Purpose::Fill, Millis(0));
    }
    assert_eq!(told(&leases.gone(&Peer::new("a"), Millis(10))), ["b1 granted"]);
    let over = Millis(10).after(limits::LEASE_TIME);
    assert_eq!(leases.due(), Some(over));
    assert_eq!(told(&leases.expire(over)), ["c1 granted"]);
    leases.renew(&by("c", 1), KEY, over.after(limits::LEASE_RENEWAL));
    assert_eq!(leases.due(), Some(over.after(limits::LEASE_RENEWAL).after(limits::LEASE_TIME)));
}

#[test]
fn no_lease_is_renewed_for_ever() {
    let mut leases = Leases::default();
    leases.claim(by("a", 1), KEY, scope(1), Purpose::Fill, Millis(0));
    for secs in 1..60 {
        leases.renew(&by("a", 1), KEY, Millis::from_secs(secs));
    }
    assert_eq!(leases.due(), Some(Millis(0).after(limits::LEASE_TIME_MAX)));
}

#[test]
fn so_many_prove_at_once_and_no_more() {
    let mut leases = Leases::default();
    let most = u8::try_from(limits::PROOF_LEASES_MAX).unwrap();
    for n in 0..most + 5 {
        let word = leases.claim(by("a", n.into()), KEY, scope(n), Purpose::Proof, Millis(0));
        assert_eq!(is_granted(&word), n < most, "{n}");
    }
    let same = leases.claim(by("b", 0), KEY, scope(0), Purpose::Proof, Millis(0));
    assert!(!is_granted(&same), "somebody proves this credential already");
    let words = leases.ended(&by("a", 1), KEY, &LeaseEnd::Alone, Millis(1));
    assert_eq!(told(&words), [format!("a{most} granted")], "in their order");
    assert_eq!(told(&leases.left(&by("a", 0), KEY, Millis(2))).len(), 1, "one place, one of those who wait");
}

#[test]
fn who_leaves_is_told_nothing() {
    let mut leases = Leases::default();
    leases.claim(by("a", 1), KEY, scope(1), Purpose::Fill, Millis(0));
    leases.claim(by("b", 1), KEY, scope(1), Purpose::Fill, Millis(0));
    assert!(leases.left(&by("b", 1), KEY, Millis(1)).is_empty());
    assert!(leases.ended(&by("a", 1), KEY, &LeaseEnd::Alone, Millis(2)).is_empty());
}

#[test]
fn over_its_limits_an_owner_says_go_ahead() {
    let mut leases = Leases::default();
    for n in 0..limits::LEASED_KEYS_MAX as u128 {
        leases.claim(by("a", 1), KeyId(n.to_be_bytes()), scope(1), Purpose::Fill, Millis(0));
    }
    let one_more = KeyId([0xff; 16]);
    assert_eq!(leases.claim(by("a", 1), one_more, scope(1), Purpose::Fill, Millis(0)), ClaimWord::No);
    let crowded = KeyId([0; 16]);
    for n in 0..limits::LEASE_WAITERS_MAX as u64 {
        leases.claim(by("b", n), crowded, scope(1), Purpose::Fill, Millis(0));
    }
    assert_eq!(leases.claim(by("c", 1), crowded, scope(1), Purpose::Fill, Millis(0)), ClaimWord::No);
}
