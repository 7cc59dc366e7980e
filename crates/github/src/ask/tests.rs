use super::*;
use crate::API_HOST;

fn plan_of(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Plan {
    let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    plan(&method.parse().unwrap(), API_HOST, Target::parse(path, query).unwrap(), &headers, false)
}

fn ask(path: &str, headers: &[(&'static str, &str)]) -> Ask {
    match plan_of("GET", path, headers) {
        Plan::Cache(ask) => *ask,
        other => panic!("not cacheable: {other:?}"),
    }
}

#[test]
fn the_clients_that_people_use_share_one_key() {
    let gh_old =
        ask("/repos/o/r", &[("accept", ""), ("time-zone", "Europe/Berlin"), ("content-type", "application/json")]);
    let gh = ask("/repos/o/r", &[("accept", "*/*"), ("user-agent", "GitHub CLI 2.60.0")]);
    let octokit = ask("/repos/o/r", &[("accept", "application/vnd.github.v3+json"), ("sec-fetch-mode", "cors")]);
    let curl = ask("/repos/o/r", &[("user-agent", "curl/8.0")]);
    for other in [&gh, &octokit, &curl] {
        assert_eq!(gh_old.key(), other.key());
        assert_eq!(gh_old.upstream_headers(), other.upstream_headers());
    }
    assert!(curl.wants.pretty && !gh.wants.pretty);
}

#[test]
fn whatever_selects_the_body_is_in_the_key() {
    let plain = ask("/repos/o/r", &[]).key();
    for other in [
        ask("/repos/o/s", &[]),
        ask("/repos/o/r?page=2", &[]),
        ask("/repos/o/r", &[("accept", "application/vnd.github.raw+json")]),
        ask("/repos/o/r", &[("x-github-api-version", "2022-11-28")]),
    ] {
        assert_ne!(plain, other.key());
    }
    let with_token = ask("/repos/o/r", &[("authorization", "token abc")]);
    assert_eq!(plain, with_token.key(), "the credential is the scope, not the key");
}

#[test]
fn a_head_is_answered_from_its_get() {
    let Plan::Cache(head) = plan_of("HEAD", "/repos/o/r", &[]) else { panic!("cacheable") };
    assert!(head.wants.head_only);
    assert_eq!(head.key(), ask("/repos/o/r", &[]).key());
}

#[test]
fn what_is_uncertain_passes_through() {
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("/repos/o/r", &[("cookie", "a=b")]),
        ("/repos/o/r", &[("range", "bytes=0-1")]),
        ("/repos/o/r", &[("x-github-otp", "123456")]),
        ("/repos/o/r", &[("x-unheard-of", "1")]),
        ("/repos/o/r", &[("cache-control", "no-store")]),
        ("/repos/o/r", &[("accept", "a/b"), ("accept", "c/d")]),
        ("/repos/o/r?access_token=abc", &[]),
        ("/search/issues?q=x", &[]),
        ("/rate_limit", &[]),
    ];
    for (path, headers) in cases {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let target = Target::parse(path, query).unwrap();
        let plan = plan(&Method::GET, API_HOST, target, &map, false);
        assert!(matches!(plan, Plan::Pass { .. }), "{path} {headers:?}: {plan:?}");
    }
}

#[test]
fn a_write_says_what_it_touches() {
    assert!(matches!(plan_of("PATCH", "/repos/o/r/issues/7", &[]), Plan::Write { touches: Touches::Families(_) }));
    assert!(matches!(plan_of("POST", "/graphql", &[]), Plan::Pass { .. }));
}

#[test]
fn client_directives_and_validators_are_read() {
    let wants = ask("/repos/o/r", &[("cache-control", "max-age=0"), ("if-none-match", "W/\"a\", \"b\"")]).wants;
    assert!(wants.directives.revalidates());
    assert_eq!(wants.if_none_match, ["W/\"a\"", "\"b\""]);
    for (value, accepted) in [
        ("gzip", true),
        ("br, gzip;q=0.5", true),
        ("gzip;q=0", false),
        ("br", false),
        ("*", true),
        ("*, gzip;q=0", false),
        ("GZIP;Q=1", true),
    ] {
        assert_eq!(ask("/repos/o/r", &[("accept-encoding", value)]).wants.gzip, accepted, "{value}");
    }
}

#[test]
fn the_expected_etag_is_that_of_the_request_as_it_is_sent() {
    let ask = ask("/repos/o/r", &[("authorization", "token abc"), ("accept", "*/*")]);
    let input =
        EtagInput { accept: Some(b"application/vnd.github+json"), authorization: Some(b"Bearer abc"), cookie: None };
    assert_eq!(ask.expected_etag(b"{}"), etag(input, b"{}"));
}

#[test]
fn what_is_denied_past_the_cache_is_denied_to_its_cached_form() {
    let form = |headers: &[(&'static str, &str)]| {
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        cacheable_form(API_HOST, Target::parse("/repos/o/r", None).unwrap(), &headers)
    };
    let plain = ask("/repos/o/r", &[]).key();
    for header in [("range", "bytes=0-9"), ("cache-control", "no-store"), ("pragma", "no-store"), ("x-unheard-of", "1")]
    {
        assert_eq!(form(&[header]).map(|ask| ask.key()), Some(plain.clone()), "{header:?}");
    }
}
