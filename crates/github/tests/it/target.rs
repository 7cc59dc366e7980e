use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use github::{API_HOST, Family, Plan, Resource, Route, Target, Touches, judge_at, plan};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use url::Url;
use wire::Millis;

use crate::fuzz;

const WORDS: [&str; 26] = [
    "..",
    "/../",
    "%2e",
    "%2f",
    "%5c",
    "%00",
    "%25",
    "//",
    "repos",
    "repositories",
    "user",
    "orgs",
    "actions",
    "runners",
    "registration-token",
    "search",
    "per_page=",
    "access_token=",
    "\naccept: ",
    "\nauthorization: token x",
    "\ncache-control: max-age=",
    "\naccept: */*",
    "0123456789012345678901234567890123456789",
    "\u{e9}",
    "@evil",
    "#",
];

/// A first line with a method and a target, then headers, as they come from a client.
#[test]
fn no_request_is_normalised_to_another() {
    fuzz::run("request", include_str!("../corpus/request.txt"), &WORDS, |input| {
        let Ok(input) = std::str::from_utf8(input) else { return 0 };
        let mut lines = input.split('\n');
        let (method, text) = lines.next().unwrap_or_default().split_once(' ').unwrap_or(("GET", input));
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let target = match Target::parse(path, query) {
            Ok(target) => target,
            Err(error) => return sign((error as u8, 0)),
        };
        assert_eq!(Target::parse(target.path(), target.query()), Ok(target.clone()), "the normal form is its own");
        readers_agree(&target);
        let route = Route::of(&target);
        let lower = Target::parse(&target.path().to_ascii_lowercase(), target.query()).expect("case changes no form");
        assert_eq!(Route::of(&lower), route, "case changes no class");
        let shape = (Route::is_listing(&target), Route::empty_answer(&target).is_some(), Resource::of(&target));
        let headers = headers(lines);
        let location = headers.get("location").cloned();
        let moved = location.into_iter().map(|value| (http::header::LOCATION, value)).collect();
        let base = "https://api.github.com";
        let _ = judge_at(base, &target, StatusCode::MOVED_PERMANENTLY, &moved, b"", Millis::ZERO);
        writes_touch_what_is_read(&target);
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let plan = plan(&method, API_HOST, target, &headers, false);
        let kind = match &plan {
            Plan::Cache(ask) => {
                assert!(route.is_stored());
                let key = ask.key();
                let parts = key.split(|byte| *byte == b'\n').count();
                assert_eq!(parts, 3 + ask.upstream_headers().len() - 2 - usize::from(ask.credential.is_some()));
                assert!(key.iter().all(|byte| *byte >= 0x20 || matches!(byte, b'\n' | b'\t')), "{key:?}");
                1
            }
            Plan::Pass { why } => 2 + why.len(),
            Plan::Write { touches: Touches::Everything } => 100,
            Plan::Write { touches: Touches::Families(families) } => 101 + families.len(),
        };
        sign((kind, (route, shape)))
    });
}

/// Whoever parses the normal form next (the client to the origin) must see the same.
fn readers_agree(target: &Target) {
    let url = Url::parse(&format!("https://api.github.com{}", target.text())).expect("a normal form is a URL");
    assert_eq!((url.path(), url.query()), (target.path(), target.query()));
    assert_eq!((url.host_str(), url.fragment(), url.username()), (Some("api.github.com"), None, ""));
    let uri: Uri = target.text().parse().expect("a normal form is a request target");
    assert_eq!((uri.path(), uri.query()), (target.path(), target.query()));
}

fn writes_touch_what_is_read(target: &Target) {
    let read = Family::of(API_HOST, target);
    if let Touches::Families(families) = Family::touched_by(API_HOST, &Method::PUT, target) {
        assert!(families.is_empty() || families.contains(&read), "{} is in {}", target.text(), read.as_str());
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> HeaderMap {
    let fields = lines.filter_map(|line| line.split_once(": "));
    let fields = fields.filter_map(|(name, value)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields.take(16) {
        headers.append(name, value);
    }
    headers
}

fn sign(of: impl std::fmt::Debug) -> u64 {
    let mut hash = DefaultHasher::new();
    format!("{of:?}").hash(&mut hash);
    hash.finish()
}
