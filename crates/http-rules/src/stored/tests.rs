use proptest::prelude::*;

use super::*;
use crate::{Failure, Reuse, Verdict, condition_on, evaluate, if_range_holds, missing_part};

type Pairs<'a> = &'a [(&'static str, &'a str)];

fn headers(pairs: Pairs<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn store_as(method: &Method, request: Pairs<'_>, status: u16, response: Pairs<'_>) -> Result<Stored, NotStored> {
    let request = headers(request);
    let exchange = Exchange { method, target: "/a", request: &request, asked: start(), answered: start() };
    Stored::new(&exchange, StatusCode::from_u16(status).unwrap(), &headers(response))
}

fn store(response: Pairs<'_>) -> Result<Stored, NotStored> {
    store_as(&Method::GET, &[], 200, response)
}

fn freshened(stored: &Stored, after: u64, answer: Pairs<'_>) -> (Stored, bool) {
    let (at, request) = (start() + secs(after), HeaderMap::new());
    let exchange = Exchange { method: &Method::GET, target: "/a", request: &request, asked: at, answered: at };
    stored.freshened(&exchange, &headers(answer))
}

fn date(seconds_on: i64) -> String {
    let at = if seconds_on < 0 { start() - secs(seconds_on.unsigned_abs()) } else { start() + secs(seconds_on as u64) };
    httpdate::fmt_http_date(at)
}

fn reuse(stored: &Stored, after: u64, wishes: &str) -> Reuse {
    stored.reuse(&Wishes::of(&headers(&[("cache-control", wishes)])), start() + secs(after))
}

#[test]
fn what_may_be_stored() {
    let (cc, day_ago) = ("cache-control", date(-86_400));
    let modified = ("last-modified", day_ago.as_str());
    let cases: [(u16, Pairs<'_>, Option<NotStored>); 19] = [
        (200, &[(cc, "max-age=60")], None),
        (200, &[(cc, "s-maxage=60, max-age=0")], None),
        (200, &[modified], None),
        (200, &[], Some(NotStored::Useless)),
        (200, &[(cc, "max-age=0")], Some(NotStored::Useless)),
        (200, &[(cc, "no-cache"), ("etag", "\"x\"")], None),
        (200, &[(cc, "no-store, max-age=60")], Some(NotStored::Forbidden)),
        (200, &[(cc, "private, max-age=60")], Some(NotStored::Forbidden)),
        (200, &[(cc, "private=\"a\", max-age=60")], None),
        (200, &[(cc, "max-age=60"), ("vary", "a, *")], Some(NotStored::Vary)),
        (599, &[(cc, "max-age=60")], None),
        (599, &[(cc, "max-age=60, must-understand")], Some(NotStored::Forbidden)),
        (200, &[(cc, "max-age=60, must-understand, no-store")], None),
        (599, &[modified], Some(NotStored::Status)),
        (599, &[modified, (cc, "public")], None),
        (404, &[modified], None),
        (304, &[(cc, "max-age=60")], Some(NotStored::Status)),
        (206, &[(cc, "max-age=60")], Some(NotStored::Status)),
        (200, &[(cc, "no-store"), ("surrogate-control", "max-age=60;ghoard")], None),
    ];
    for (status, response, refused) in cases {
        assert_eq!(store_as(&Method::GET, &[], status, response).err(), refused, "{status} {response:?}");
    }
}

#[test]
fn the_request_has_a_say() {
    let fresh: Pairs<'_> = &[("cache-control", "max-age=60")];
    let stored = |method: &Method, request, response| store_as(method, request, 200, response).err();
    assert_eq!(stored(&Method::HEAD, &[], fresh), Some(NotStored::Method));
    assert_eq!(stored(&Method::POST, &[], fresh), Some(NotStored::Method));
    assert_eq!(stored(&Method::POST, &[], &[("cache-control", "max-age=60"), ("content-location", "/a")]), None);
    assert_eq!(stored(&Method::GET, &[("cache-control", "no-store")], fresh), Some(NotStored::Forbidden));
    let token: Pairs<'_> = &[("authorization", "x")];
    assert_eq!(stored(&Method::GET, token, fresh), Some(NotStored::Authorization));
    for shared in ["public, max-age=60", "max-age=60, must-revalidate", "s-maxage=60"] {
        assert!(store_as(&Method::GET, token, 200, &[("cache-control", shared)]).is_ok(), "{shared}");
    }
}

#[test]
fn freshness_has_an_order_and_bad_values_are_stale() {
    let (past, soon, later, bad) = (date(-9), date(9), date(300), "0".to_owned());
    let cases: [(Pairs<'_>, u64); 9] = [
        (&[("cache-control", "max-age=60"), ("expires", &past)], 60),
        (&[("cache-control", "max-age=1, s-maxage=60"), ("expires", &past)], 60),
        (&[("expires", &soon)], 9),
        (&[("expires", &soon), ("date", "foo")], 9),
        (&[("expires", &later), ("date", &soon)], 291),
        (&[("expires", &bad), ("etag", "\"x\"")], 0),
        (&[("expires", &soon), ("expires", &later), ("etag", "\"x\"")], 0),
        (&[("last-modified", &date(-1000))], 100),
        (&[("last-modified", &date(-1000)), ("set-cookie", "a=b")], 0),
    ];
    for (response, lifetime) in cases {
        let stored = store(response).unwrap();
        assert_eq!(stored.lifetime, secs(lifetime), "{response:?}");
    }
    let unknown_age = store(&[("cache-control", "max-age=60"), ("age", "x")]).unwrap();
    assert_eq!(reuse(&unknown_age, 0, ""), Reuse::Validate);
    assert_eq!(reuse(&unknown_age, 0, "max-stale=100"), Reuse::Validate);
}

#[test]
fn a_client_may_ask_for_fresher_or_take_staler() {
    let stored = store(&[("cache-control", "max-age=60"), ("age", "10")]).unwrap();
    for (after, wishes, expected) in [
        (49, "", Reuse::Fresh),
        (50, "", Reuse::Validate),
        (0, "no-cache", Reuse::Validate),
        (0, "max-age=9", Reuse::Validate),
        (0, "max-age=10", Reuse::Fresh),
        (0, "min-fresh=50", Reuse::Fresh),
        (0, "min-fresh=51", Reuse::Validate),
        (60, "max-stale=10", Reuse::Stale),
        (61, "max-stale=10", Reuse::Validate),
        (1_000_000, "max-stale", Reuse::Stale),
    ] {
        assert_eq!(reuse(&stored, after, wishes), expected, "{after} {wishes}");
    }
    assert!(Wishes::of(&headers(&[("pragma", "no-cache")])).no_cache);
    assert!(!Wishes::of(&headers(&[("pragma", "no-cache"), ("cache-control", "max-age=1")])).no_cache);
}

#[test]
fn stale_is_served_only_where_it_is_allowed() {
    let with = |more: &str| store(&[("cache-control", &format!("max-age=60{more}")), ("etag", "\"x\"")]).unwrap();
    assert_eq!(reuse(&with(", stale-while-revalidate=10"), 69, ""), Reuse::StaleWhileRevalidating);
    assert_eq!(reuse(&with(", stale-while-revalidate=10"), 70, ""), Reuse::Validate);
    let outlives = |more, failure| with(more).outlives(failure, &Wishes::default(), secs(100), start() + secs(100));
    assert!(outlives("", Failure::Disconnected) && !outlives("", Failure::Error));
    assert!(outlives(", stale-if-error=50", Failure::Error));
    for strict in [", must-revalidate", ", proxy-revalidate", ", s-maxage=60", ", no-cache"] {
        assert!(!outlives(strict, Failure::Disconnected), "{strict}");
        assert_eq!(reuse(&with(strict), 70, "max-stale"), Reuse::Validate, "{strict}");
    }
}

#[test]
fn a_confirmation_updates_all_but_what_tells_of_the_body() {
    let stored = store(&[
        ("cache-control", "max-age=60"),
        ("age", "30"),
        ("etag", "\"x\""),
        ("content-length", "5"),
        ("a", "1"),
        ("a", "2"),
        ("b", "3"),
    ])
    .unwrap();
    let answer: Pairs<'_> = &[("a", "4"), ("etag", "\"y\""), ("content-length", "9"), ("connection", "c"), ("c", "5")];
    let (fresh, may_stay) = freshened(&stored, 50, answer);
    let text = |name: &str| fresh.headers().get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    let all: [Vec<String>; 5] = [text("a"), text("b"), text("etag"), text("content-length"), text("c")];
    assert_eq!(all.map(|values| values.join(" ")), ["4", "3", "\"x\"", "5", ""]);
    assert!(may_stay && fresh.age(start() + secs(55)) == secs(5) && reuse(&fresh, 100, "") == Reuse::Fresh);
    assert!(!freshened(&stored, 50, &[("cache-control", "no-store")]).1);
    assert!(!freshened(&stored, 50, &[("vary", "*")]).1);
}

#[test]
fn listed_fields_are_not_kept() {
    let stored = store(&[
        ("cache-control", "max-age=60, no-cache=\"a\", private=\"b\""),
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("surrogate-control", "x"),
    ]);
    let served = stored.unwrap().served(start());
    let names: Vec<_> = served.keys().map(HeaderName::as_str).filter(|name| name.len() < 2).collect();
    assert_eq!(names, ["c"]);
    assert!(!served.contains_key("surrogate-control") && served.contains_key("age"));
}

#[test]
fn clients_conditions_are_judged_here() {
    let (old, new) = (date(-100), date(0));
    let stored = store(&[("cache-control", "max-age=60"), ("etag", "W/\"x\""), ("last-modified", &old)]).unwrap();
    let verdict = |request: Pairs<'_>| evaluate(&headers(request), &stored);
    let cases: [(Pairs<'_>, Verdict); 7] = [
        (&[("if-none-match", "\"a\", \"x\"")], Verdict::NotModified),
        (&[("if-none-match", "\"a, \"x\"")], Verdict::Whole),
        (&[("if-none-match", "*")], Verdict::NotModified),
        (&[("if-none-match", "\"a\""), ("if-modified-since", &new)], Verdict::Whole),
        (&[("if-modified-since", &old)], Verdict::NotModified),
        (&[("if-modified-since", &date(-101))], Verdict::Whole),
        (&[("if-modified-since", "x")], Verdict::Whole),
    ];
    for (request, expected) in cases {
        assert_eq!(verdict(request), expected, "{request:?}");
    }
    let missing = store_as(&Method::GET, &[], 404, &[("cache-control", "max-age=60"), ("etag", "\"x\"")]).unwrap();
    assert_eq!(evaluate(&headers(&[("if-none-match", "\"x\"")]), &missing), Verdict::Whole);
    assert!(!if_range_holds(&headers(&[("if-range", "W/\"x\"")]), &stored));
    assert!(if_range_holds(&headers(&[("if-range", &old)]), &stored));
}

#[test]
fn the_origin_is_asked_with_our_condition() {
    let stored = store(&[("cache-control", "max-age=60"), ("etag", "\"x\"")]).unwrap();
    let asked = condition_on(&stored, &headers(&[("if-none-match", "\"y\""), ("range", "bytes=0-"), ("foo", "1")]));
    let told: Vec<_> = asked.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(told, [("foo", "1"), ("if-none-match", "\"x\"")]);
}

#[test]
fn parts_of_the_same_are_joined_and_others_not() {
    let part = |etag, range| {
        store_as(&Method::GET, &[], 206, &[("cache-control", "max-age=60"), ("etag", etag), ("content-range", range)])
    };
    let first = part("\"x\"", "bytes 0-4/10").unwrap();
    assert_eq!(missing_part(&first, &HeaderMap::new()).unwrap()["range"], "bytes=5-");
    assert_eq!(missing_part(&part("\"x\"", "bytes 4-9/10").unwrap(), &HeaderMap::new()).unwrap()["range"], "bytes=0-3");
    assert_eq!(missing_part(&part("W/\"x\"", "bytes 0-4/10").unwrap(), &HeaderMap::new()), None);
    assert_eq!(missing_part(&part("\"x\"", "bytes 2-4/10").unwrap(), &HeaderMap::new()), None);

    let request = HeaderMap::new();
    let exchange =
        Exchange { method: &Method::GET, target: "/a", request: &request, asked: start(), answered: start() };
    let complete = |rest: Pairs<'_>| first.completed(&exchange, &headers(rest));
    let whole = complete(&[("etag", "\"x\""), ("content-range", "bytes 5-9/10")]).unwrap();
    assert_eq!(
        (whole.status().as_u16(), whole.part(), &whole.headers()["content-length"]),
        (200, None, &"10".parse().unwrap())
    );
    for rest in [
        &[("etag", "\"y\""), ("content-range", "bytes 5-9/10")][..],
        &[("content-range", "bytes 5-9/10")][..],
        &[("etag", "\"x\""), ("content-range", "bytes 6-9/10")][..],
        &[("etag", "\"x\""), ("content-range", "bytes 5-8/10")][..],
        &[("etag", "\"x\""), ("content-range", "bytes 5-9/11")][..],
    ] {
        assert_eq!(complete(rest), None, "{rest:?}");
    }
}

proptest! {
    /// Whatever is said: what is served fresh is younger than the shortest lifetime that anybody told.
    #[test]
    fn nothing_is_fresh_past_its_lifetime(
        max_age in proptest::option::of(0_u64..100),
        s_maxage in proptest::option::of(0_u64..100),
        age in proptest::option::of(0_u64..100),
        expires in proptest::option::of(-100_i64..100),
        after in 0_u64..200,
    ) {
        let directive = |name, seconds: Option<u64>| seconds.map(|seconds| format!("{name}={seconds}"));
        let said: Vec<String> = [directive("max-age", max_age), directive("s-maxage", s_maxage)].into_iter().flatten().collect();
        let mut response = headers(&[("etag", "\"x\"")]);
        if !said.is_empty() {
            response.insert("cache-control", said.join(", ").parse().unwrap());
        }
        if let Some(age) = age {
            response.insert("age", age.into());
        }
        if let Some(expires) = expires {
            response.insert("expires", date(expires).parse().unwrap());
        }
        let request = HeaderMap::new();
        let exchange = Exchange { method: &Method::GET, target: "/a", request: &request, asked: start(), answered: start() };
        let stored = Stored::new(&exchange, StatusCode::OK, &response).unwrap();
        let lifetime = s_maxage.or(max_age).unwrap_or_else(|| expires.map_or(0, |at| at.max(0) as u64));
        let is_fresh = lifetime > age.unwrap_or(0) + after;
        prop_assert_eq!(reuse(&stored, after, "") == Reuse::Fresh, is_fresh);
    }
}
