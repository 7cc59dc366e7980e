use super::*;
use proptest::prelude::*;

mod fleet;

const A: ScopeId = ScopeId([1; 16]);
const B: ScopeId = ScopeId([2; 16]);
const ANONYMOUS: ScopeId = ScopeId([0; 16]);
const CORE: Resource = Resource::CORE;

/// The window of the stories ends at 3600 s.
const RESET: u64 = 3600;

const CLIENT: Work = Work::Client { has_stale: false };

fn at(secs: u64) -> Millis {
    Millis::from_secs(secs)
}

fn ledger() -> Ledger {
    Ledger::new(ANONYMOUS)
}

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn reading(limit: u64, remaining: u64, reset: u64) -> HeaderMap {
    headers(&[
        ("x-ratelimit-limit", limit.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
        ("x-ratelimit-used", (limit - remaining).to_string()),
    ])
}

fn learn(ledger: &mut Ledger, scope: ScopeId, status: u16, headers: &HeaderMap, now: u64) {
    ledger.learn(scope, CORE, headers, StatusCode::from_u16(status).unwrap(), b"", at(now));
}

/// An answer that leaves `remaining` of 5,000.
fn left(ledger: &mut Ledger, scope: ScopeId, remaining: u64, now: u64) {
    learn(ledger, scope, 200, &reading(5000, remaining, RESET), now);
}

fn stopped(secs: u64, reason: StopReason) -> Admit {
    Admit::Stopped { until: at(secs), reason }
}

fn goes(ledger: &mut Ledger, scope: ScopeId, work: Work, now: u64) -> bool {
    match ledger.admit(scope, CORE, work, at(now)) {
        Admit::Go(ticket) => {
            ledger.done(ticket);
            true
        }
        _ => false,
    }
}

#[test]
fn a_drained_budget_stops_its_resource_until_its_reset() {
    let mut ledger = ledger();
    assert!(goes(&mut ledger, A, CLIENT, 0), "nothing is known yet");
    left(&mut ledger, A, 0, 10);
    assert_eq!(ledger.admit(A, CORE, CLIENT, at(11)), stopped(RESET, StopReason::Drained));
    assert_eq!(ledger.admit(A, CORE, Work::Proof, at(11)), stopped(RESET, StopReason::Drained));
    assert!(matches!(ledger.admit(A, Resource::SEARCH, CLIENT, at(11)), Admit::Go(_)), "another budget");
    assert!(goes(&mut ledger, B, CLIENT, 11), "another credential");
    assert!(goes(&mut ledger, A, CLIENT, RESET));
}

#[test]
fn a_retry_after_stops_everything_of_the_bucket() {
    let mut ledger = ledger();
    learn(&mut ledger, A, 403, &headers(&[("retry-after", "30".to_owned())]), 10);
    for resource in [CORE, Resource::SEARCH, Resource::GRAPHQL] {
        assert_eq!(ledger.admit(A, resource, CLIENT, at(39)), stopped(40, StopReason::Refused));
    }
    assert!(goes(&mut ledger, A, CLIENT, 40));
    let answer = headers(&[("retry-after", "30".to_owned())]);
    learn(&mut ledger, A, 200, &answer, 50);
    assert!(goes(&mut ledger, A, CLIENT, 51), "a 200 of the REST API refuses nothing");
    ledger.learn(A, Resource::GRAPHQL, &answer, StatusCode::OK, b"", at(52));
    assert_eq!(ledger.admit(A, Resource::GRAPHQL, CLIENT, at(53)), stopped(82, StopReason::Refused));
}

#[test]
fn an_unnamed_limit_doubles_its_pause_until_an_answer() {
    let mut ledger = ledger();
    let (none, refused) = (HeaderMap::new(), StopReason::Refused);
    let mut now = 0;
    for pause in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
        learn(&mut ledger, A, 429, &none, now);
        learn(&mut ledger, A, 429, &none, now + 1);
        assert_eq!(
            ledger.admit(A, CORE, CLIENT, at(now + 2)),
            stopped(now + pause, refused),
            "those together count once"
        );
        learn(&mut ledger, A, 200, &none, now + 3);
        now += pause;
    }
    learn(&mut ledger, A, 200, &none, now + 1);
    learn(&mut ledger, A, 429, &none, now + 2);
    assert_eq!(ledger.admit(A, CORE, CLIENT, at(now + 3)), stopped(now + 62, refused), "an answer after the stop");
}

#[test]
fn a_denial_and_an_outage_are_no_limits() {
    let mut ledger = ledger();
    for status in [401, 403, 404, 500, 503] {
        learn(&mut ledger, A, status, &headers(&[]), 10);
        assert!(goes(&mut ledger, A, CLIENT, 11), "{status}");
    }
    ledger.learn(A, CORE, &headers(&[]), StatusCode::FORBIDDEN, b"You have exceeded a secondary rate limit", at(12));
    assert!(!goes(&mut ledger, A, CLIENT, 13));
}

#[test]
fn absurd_times_are_bounded() {
    let mut ledger = ledger();
    learn(&mut ledger, A, 403, &headers(&[("retry-after", u64::MAX.to_string())]), 10);
    learn(&mut ledger, B, 200, &reading(5000, 0, u64::MAX / 2), 10);
    assert_eq!(ledger.admit(A, CORE, CLIENT, at(11)), stopped(86_410, StopReason::Refused));
    assert_eq!(ledger.admit(B, CORE, CLIENT, at(11)), stopped(86_410, StopReason::Drained));
}

#[test]
fn below_the_reserve_stale_is_preferred_and_nobody_waits_in_vain() {
    for (limit, reserve) in [(5000, 100), (1000, 50), (15_000, 300), (60, 15), (30, 7)] {
        let mut ledger = ledger();
        learn(&mut ledger, A, 200, &reading(limit, reserve + 1, RESET), 10);
        assert!(goes(&mut ledger, A, Work::Background, 11), "{limit}");
        learn(&mut ledger, A, 200, &reading(limit, reserve, RESET), 12);
        assert_eq!(ledger.admit(A, CORE, Work::Background, at(13)), Admit::PreferStale, "{limit}");
        assert_eq!(ledger.admit(A, CORE, Work::Client { has_stale: true }, at(13)), Admit::PreferStale);
        assert!(goes(&mut ledger, A, CLIENT, 13) && goes(&mut ledger, A, Work::Proof, 13));
        assert!(goes(&mut ledger, A, Work::Background, RESET), "a new window");
    }
}

#[test]
fn so_many_are_on_their_way_and_no_more() {
    let mut ledger = ledger();
    for (work, most) in [(CLIENT, limits::CHARGED_IN_FLIGHT_MAX), (Work::Proof, limits::PROOFS_IN_FLIGHT_MAX)] {
        let tickets: Vec<Ticket> = (0..most).map(|_| ledger.go_ahead(A, CORE, work, at(1))).collect();
        assert_eq!(ledger.admit(A, CORE, work, at(1)), Admit::Wait { until: at(3) });
        assert!(goes(&mut ledger, B, work, 1));
        tickets.into_iter().for_each(|ticket| ledger.done(ticket));
        assert!(goes(&mut ledger, A, work, 1));
    }
}

/// Two tokens of one user take turns; each request lowers what both see.
fn interleave(ledger: &mut Ledger, readings: u64) -> u64 {
    (0..readings).for_each(|n| left(ledger, if n % 2 == 0 { A } else { B }, 4000 - n, 10 + n));
    4000 - readings
}

#[test]
fn tokens_of_one_user_become_one_bucket_and_stop_together() {
    let mut ledger = ledger();
    interleave(&mut ledger, 20);
    assert_eq!(ledger.gauges(at(40)).count(), 1);
    left(&mut ledger, A, 0, 40);
    assert_eq!(ledger.admit(B, CORE, CLIENT, at(41)), stopped(RESET, StopReason::Drained));
    let ticket = ledger.go_ahead(B, CORE, CLIENT, at(41));
    assert_eq!(ledger.buckets.values().map(|bucket| bucket.flying.charged).sum::<u32>(), 1);
    ledger.done(ticket);
}

#[test]
fn a_little_evidence_is_none_and_tokens_in_step_are_strangers() {
    let mut few = ledger();
    interleave(&mut few, 4);
    assert_eq!(few.gauges(at(40)).count(), 2);
    let mut in_step = ledger();
    for n in 0..200 {
        left(&mut in_step, A, 4000 - n, 10 + n);
        left(&mut in_step, B, 4000 - n, 10 + n);
    }
    assert_eq!(in_step.gauges(at(300)).count(), 2);
    let mut anonymous = ledger();
    for n in 0..50 {
        left(&mut anonymous, if n % 2 == 0 { A } else { ANONYMOUS }, 4000 - n, 10 + n);
    }
    assert_eq!(anonymous.gauges(at(300)).count(), 2);
}

#[test]
fn a_contradiction_parts_them_and_the_stop_stays() {
    let mut ledger = ledger();
    let left_now = interleave(&mut ledger, 20);
    learn(&mut ledger, B, 429, &headers(&[("retry-after", "600".to_owned())]), 40);
    ledger.learn(A, Resource::SEARCH, &reading(30, 0, RESET), StatusCode::OK, b"", at(40));
    left(&mut ledger, A, left_now, 41);
    assert_eq!(ledger.buckets.len(), 1, "no contradiction");
    left(&mut ledger, A, left_now + 500, 42);
    assert_eq!(ledger.buckets.len(), 2);
    assert_eq!(ledger.admit(A, CORE, CLIENT, at(43)), stopped(640, StopReason::Refused));
    assert_eq!(ledger.admit(A, Resource::SEARCH, CLIENT, at(700)), stopped(RESET, StopReason::Drained));
    assert_eq!(ledger.headers_for(A, CORE, at(43)).unwrap()["x-ratelimit-remaining"], (left_now + 500).to_string());
}

#[test]
fn headers_are_true_now() {
    let mut ledger = ledger();
    assert_eq!(ledger.headers_for(A, CORE, at(1)), None);
    left(&mut ledger, A, 4990, 10);
    left(&mut ledger, A, 4993, 11);
    let now = |ledger: &Ledger, secs| {
        let headers = ledger.headers_for(A, CORE, at(secs)).unwrap();
        ["limit", "remaining", "used", "reset", "resource"]
            .map(|name| headers[format!("x-ratelimit-{name}")].to_str().unwrap().to_owned())
            .join(" ")
    };
    assert_eq!(now(&ledger, 12), "5000 4990 10 3600 core", "a late answer raises nothing");
    assert_eq!(now(&ledger, 4000), "5000 5000 0 7600 core");
    learn(&mut ledger, A, 200, &reading(5000, 4999, 7700), 4100);
    assert_eq!(now(&ledger, 4101), "5000 4999 1 7700 core");
}

#[test]
fn the_answers_own_resource_wins() {
    let mut ledger = ledger();
    let mut headers = reading(30, 29, 70);
    headers.insert("x-ratelimit-resource", "search".parse().unwrap());
    learn(&mut ledger, A, 200, &headers, 10);
    assert!(ledger.headers_for(A, CORE, at(11)).is_none());
    assert_eq!(ledger.headers_for(A, Resource::SEARCH, at(11)).unwrap()["x-ratelimit-remaining"], "29");
    headers.insert("x-ratelimit-resource", "brand_new".parse().unwrap());
    learn(&mut ledger, A, 200, &headers, 12);
    assert!(ledger.headers_for(A, CORE, at(13)).is_none(), "an unknown name spoils no other");
}

#[test]
fn a_limit_is_told_again_counted_down_in_its_own_words() {
    let mut ledger = ledger();
    let refused = br#"{"message":"API rate limit exceeded for user ID 7."}"#;
    let mut headers = reading(5000, 0, RESET);
    headers.insert("retry-after", "90".parse().unwrap());
    ledger.learn(A, CORE, &headers, StatusCode::TOO_MANY_REQUESTS, refused, at(10));
    let answer = ledger.limit_answer(A, CORE, Millis(40_500)).unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (429, &refused[..]));
    assert_eq!(
        (&answer.headers["retry-after"], &answer.headers["x-ratelimit-remaining"]),
        (&"60".parse().unwrap(), &"0".parse().unwrap())
    );
    assert_eq!(ledger.limit_answer(A, CORE, at(RESET)), None);
    assert_eq!(ledger.limit_answer(B, CORE, at(40)), None);
}

#[test]
fn a_token_that_was_not_refused_itself_reads_words_of_ours() {
    let mut ledger = ledger();
    interleave(&mut ledger, 20);
    let headers = headers(&[("retry-after", "90".to_owned())]);
    ledger.learn(A, CORE, &headers, StatusCode::FORBIDDEN, b"for user ID 7", at(50));
    let answer = ledger.limit_answer(B, CORE, at(60)).unwrap();
    assert!(!String::from_utf8_lossy(&answer.body).contains("user ID"));
    assert_eq!(answer.headers["retry-after"], "80");
}

#[test]
fn rate_limit_is_answered_after_a_real_one_and_with_what_is_true_now() {
    let mut ledger = ledger();
    left(&mut ledger, A, 4990, 10);
    assert_eq!(ledger.rate_limit_answer(A, at(11)), None, "never asked");
    let body = br#"{"resources":{"core":{"limit":5000,"used":10,"remaining":4990,"reset":3600},
        "search":{"limit":30,"used":5,"remaining":25,"reset":70},
        "brand_new":{"limit":9,"used":1,"remaining":8,"reset":70}},"rate":{}}"#;
    ledger.seen_rate_limit(A, body, at(12));
    left(&mut ledger, A, 4980, 65);
    let answer: serde_json::Value = serde_json::from_slice(&ledger.rate_limit_answer(A, at(71)).unwrap()).unwrap();
    assert_eq!(answer["rate"], answer["resources"]["core"]);
    assert_eq!(answer["rate"]["remaining"], 4980);
    assert_eq!(answer["resources"]["search"], serde_json::json!({"limit":30,"used":0,"remaining":30,"reset":131}));
    assert_eq!(answer["resources"]["brand_new"]["remaining"], 9);
    assert_eq!(ledger.rate_limit_answer(B, at(71)), None, "another token");
    assert_eq!(ledger.rate_limit_answer(A, at(126)), None, "too long ago");
    ledger.seen_rate_limit(B, b"{", at(12));
    assert_eq!(ledger.rate_limit_answer(B, at(13)), None);
}

#[test]
fn the_ledger_is_bounded_and_keeps_who_is_busy() {
    let mut ledger = ledger();
    let _flying = ledger.go_ahead(A, CORE, CLIENT, at(0));
    for n in 0..2 * limits::LEDGER_SCOPES_MAX as u64 {
        let mut scope = [9; 16];
        scope[..8].copy_from_slice(&n.to_be_bytes());
        left(&mut ledger, ScopeId(scope), 4000, n);
    }
    assert_eq!((ledger.scopes.len(), ledger.buckets.len()), (limits::LEDGER_SCOPES_MAX, limits::LEDGER_SCOPES_MAX));
    assert!(ledger.state(A).is_some());
}

proptest! {
    /// Whatever is learnt of whom, and merged rightly or wrongly: nobody is let through whom its own
    /// readings would have stopped.
    #[test]
    fn a_merge_never_makes_bolder(steps in prop::collection::vec((0..4u8, 0..60u64, 0..5u8, any::<bool>()), 1..200)) {
        let mut ledger = ledger();
        let mut own: BTreeMap<ScopeId, u64> = BTreeMap::new();
        let mut tickets = Vec::new();
        for (n, (who, remaining, action, is_proof)) in (1..).zip(steps) {
            let scope = ScopeId([who; 16]);
            let remaining = own.get(&scope).map_or(remaining, |last| remaining.min(*last));
            match action {
                0..=2 => {
                    own.insert(scope, remaining);
                    learn(&mut ledger, scope, 200, &reading(60, remaining, RESET), n);
                }
                3 => {
                    let work = if is_proof { Work::Proof } else { CLIENT };
                    let admitted = ledger.admit(scope, CORE, work, at(n));
                    let is_stopped = matches!(admitted, Admit::Stopped { .. });
                    prop_assert!(is_stopped || own.get(&scope) != Some(&0));
                    if let Admit::Go(ticket) = admitted {
                        tickets.push(ticket);
                    }
                }
                _ => if let Some(ticket) = tickets.pop() { ledger.done(ticket) },
            }
        }
        for ticket in tickets {
            ledger.done(ticket);
        }
        prop_assert!(ledger.buckets.values().all(|bucket| bucket.flying.count() == 0));
        let members: usize = ledger.buckets.values().map(|bucket| bucket.scopes.len()).sum();
        prop_assert_eq!(members, ledger.scopes.len());
    }
}
