use std::collections::BTreeSet;

use wire::FamilyId;

use super::*;

fn candidate(body: &str, at: u64) -> Candidate {
    let validated_at = Millis::from_secs(at);
    let until = Millis::from_secs(at + 60);
    let record = Record {
        family: FamilyId([1; 16]),
        version: Version { date_secs: at, digest: Digest::of(body.as_bytes()) },
        status: 200,
        headers: vec![],
        body_bytes: 1,
        validated_at,
        fresh_until: until,
        proved_until: until,
        stale_until: until,
    };
    let element = crate::sync::Element::of((KeyId([1; 16]), ScopeId([1; 16])), &record);
    Candidate { record, tag: None, holders: BTreeSet::new(), held: true, element }
}

fn at(n: u8) -> At {
    (KeyId([1; 16]), scope(n))
}

fn scope(n: u8) -> ScopeId {
    ScopeId([n; 16])
}

fn picked(me: u8, known: Option<&Candidate>, kin: &Kin, told: &[(u8, Vec<Candidate>)]) -> Vec<Digest> {
    let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
    let known = known.map(|known| Told { version: known.record.version, here: true });
    offers(at(me), known, kin, others, Millis::from_secs(20))
}

#[test]
fn without_anything_known_the_most_common_answer_is_offered_first() {
    let told =
        [(1, vec![candidate("reader", 10)]), (2, vec![candidate("admin", 12)]), (3, vec![candidate("reader", 9)])];
    let digest = |body: &str| Digest::of(body.as_bytes());
    assert_eq!(picked(9, None, &Kin::default(), &told), [digest("reader"), digest("admin")]);
    assert_eq!(picked(2, None, &Kin::default(), &told)[0], digest("reader"), "one's own is no offer");
}

#[test]
fn who_was_told_the_same_before_counts_more_than_the_crowd() {
    let mut kin = Kin::default();
    let before = [(1, vec![candidate("r", 1)]), (2, vec![candidate("a", 1)])];
    kin.learn(at(9), &candidate("a", 1).record, &[], before.iter().map(|(n, c)| (scope(*n), c.as_slice())));
    let told = [(1, vec![candidate("R", 10)]), (2, vec![candidate("A", 10)]), (3, vec![candidate("R", 10)])];
    assert_eq!(picked(9, None, &kin, &told)[0], Digest::of(b"A"));
}

#[test]
fn what_is_known_is_only_replaced_by_something_newer_of_the_same_view() {
    let (old, new) = (candidate("old", 5), candidate("new", 10));
    let none: [Digest; 0] = [];
    let same_view = [(1, vec![new.clone(), old.clone()])];
    assert_eq!(picked(9, Some(&old), &Kin::default(), &same_view), [Digest::of(b"new")]);
    let other_view = [(1, vec![new.clone(), candidate("other", 5)])];
    assert_eq!(picked(9, Some(&old), &Kin::default(), &other_view), none);
    assert_eq!(picked(9, Some(&new), &Kin::default(), &same_view), none, "the same is no news");
    assert_eq!(picked(9, Some(&candidate("old", 15)), &Kin::default(), &same_view), none, "older is no news");
}

#[test]
fn a_newer_version_of_kin_takes_the_place_of_the_own_though_the_old_one_was_never_told_it() {
    let (old, new) = (candidate("old", 5), candidate("new", 10));
    let told = [(1, vec![new.clone()])];
    let mut kin = Kin::default();
    let learn = |kin: &mut Kin, key: u8, mine: Candidate, theirs: &str| {
        let theirs = [candidate(theirs, 3)];
        kin.learn((KeyId([key; 16]), scope(9)), &mine.record, &[], [(scope(1), &theirs[..])].into_iter());
    };
    let none: [Digest; 0] = [];
    assert_eq!(picked(9, Some(&old), &kin, &told), none, "a stranger's");
    learn(&mut kin, 2, candidate("same", 3), "same");
    assert_eq!(picked(9, Some(&old), &kin, &told), [Digest::of(b"new")]);
    learn(&mut kin, 2, candidate("changed", 3_600), "same");
    assert_eq!(picked(9, Some(&old), &kin, &told), [Digest::of(b"new")], "it has only changed since");
    learn(&mut kin, 2, candidate("same", 3), "same");
    learn(&mut kin, 1, candidate("mine", 3), "theirs");
    assert!(kin.score(scope(9), scope(1)) > 0);
    assert_eq!(picked(9, Some(&old), &kin, &told), none, "at this key each has a view of its own");
}

#[test]
fn what_is_past_its_time_is_not_offered() {
    let told = [(1, vec![candidate("old", 0)])];
    let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
    assert!(offers(at(9), None, &Kin::default(), others, Millis::from_secs(60)).is_empty());
}

#[test]
fn the_table_of_kin_is_bounded() {
    let mut kin = Kin::default();
    let told: Vec<_> = (0..=255).map(|n| (scope(n), [candidate("a", 1)])).collect();
    for n in 0..limits::KIN_SCOPES_MAX as u128 + 5 {
        let others = told.iter().map(|(scope, candidates)| (*scope, &candidates[..]));
        kin.learn((KeyId(n.to_be_bytes()), ScopeId(n.to_be_bytes())), &candidate("a", 1).record, &[], others);
    }
    assert_eq!(kin.scores.len(), limits::KIN_SCOPES_MAX);
    assert!(kin.scores.values().all(|scores| scores.len() <= limits::KIN_MAX));
}

#[test]
fn what_was_replaced_comes_after_what_replaced_it_however_many_were_told_it() {
    let later = 10 + limits::KIN_RECENT.as_secs();
    let at_end = |told: &[(u8, Vec<Candidate>)]| {
        let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
        offers(at(9), None, &Kin::default(), others, Millis::from_secs(later + 1))
    };
    let crowd = [9, 10].map(|secs| lasting("old", secs));
    let [old_1, old_2] = crowd.map(|old| vec![old]);
    let digest = |body: &str| Digest::of(body.as_bytes());
    let told = [(1, old_1.clone()), (2, old_2.clone()), (3, vec![lasting("new", later)])];
    assert_eq!(at_end(&told)[0], digest("new"), "nobody was told the old one any more");
    let told = [(1, old_1.clone()), (2, old_2.clone()), (3, vec![lasting("other", later - 1)])];
    assert_eq!(at_end(&told)[0], digest("old"), "side by side, so it is another view");
    let told = [(1, old_1.clone()), (2, old_2), (3, vec![lasting("new", 12), lasting("old", 11)])];
    assert_eq!(at_end(&told)[0], digest("new"), "one credential was told both, one after the other");
    let told = [(1, old_1), (2, vec![lasting("old", 13)]), (3, vec![lasting("new", 12), lasting("old", 11)])];
    assert_eq!(at_end(&told)[0], digest("old"), "it is back");
}

#[test]
fn a_stranger_is_not_asked_what_replaced_a_version_of_kin() {
    let later = 10 + limits::KIN_RECENT.as_secs();
    let mut kin = Kin::default();
    let before = [candidate("same", 1)];
    kin.learn(at(9), &candidate("same", 1).record, &[], [(scope(1), &before[..])].into_iter());
    let told = [(1, vec![lasting("old", 10)]), (2, vec![lasting("new", later)])];
    let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
    assert_eq!(offers(at(9), None, &kin, others, Millis::from_secs(later))[0], Digest::of(b"old"));
}

#[test]
fn what_was_only_heard_of_gives_way_to_kin_where_some_were_told_the_same() {
    let mut kin = Kin::default();
    let theirs = [candidate("same", 3)];
    let elsewhere = (KeyId([2; 16]), scope(9));
    kin.learn(elsewhere, &candidate("same", 3).record, &[], [(scope(1), &theirs[..])].into_iter());
    let heard = |told: &[(u8, Vec<Candidate>)]| {
        let known = Some(Told { version: candidate("old", 5).record.version, here: false });
        let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
        offers(at(9), known, &kin, others, Millis::from_secs(20))
    };
    let new = (1, vec![candidate("new", 10)]);
    let none: [Digest; 0] = [];
    assert_eq!(heard(std::slice::from_ref(&new)), none, "each may have a view of its own");
    assert_eq!(heard(&[new.clone(), (2, vec![candidate("old", 6)])]), [Digest::of(b"new")]);
    assert_eq!(heard(&[new, (2, vec![candidate("new", 11)])]), [Digest::of(b"new")]);
}

/// One that is of use for an hour.
fn lasting(body: &str, at: u64) -> Candidate {
    let mut lasting = candidate(body, at);
    lasting.record.stale_until = Millis::from_secs(at + 3_600);
    lasting
}
