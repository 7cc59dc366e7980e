use std::io::Read as _;

use github::{EtagInput, etag};

use super::*;
use crate::EtagRule;

const REPO: &str = "octocat GET /repos/octocat/Hello-World";

#[test]
fn a_token_is_hashed_with_all_three_headers_as_they_came() {
    let response = ask(&mut hub(), REPO, &[("accept", "*/*"), ("cookie", "c=1")], "");
    let input = EtagInput { accept: Some(b"*/*"), authorization: Some(b"token octocat-t"), cookie: Some(b"c=1") };
    assert_eq!(response.headers()["etag"], etag(input, response.body()));
    assert_eq!(response.headers()["cache-control"], "private, max-age=60, s-maxage=60");
    assert!(response.headers()["vary"].to_str().unwrap().starts_with("Accept, Authorization, Cookie"));
}

#[test]
fn nobody_is_hashed_with_accept_only() {
    let response = ask(&mut hub(), "anonymous GET /users/octocat", &[("accept", ""), ("cookie", "c=1")], "");
    let input = EtagInput { accept: Some(b""), ..EtagInput::default() };
    assert_eq!(response.headers()["etag"], etag(input, response.body()));
    assert_eq!(response.headers()["cache-control"], "public, max-age=60, s-maxage=60");
    assert!(!response.headers()["vary"].to_str().unwrap().contains("Authorization"));
}

#[test]
fn gzip_makes_the_etag_weak_and_nothing_else() {
    let mut hub = hub();
    let plain = ask(&mut hub, REPO, &[], "");
    let zipped = ask(&mut hub, REPO, &[("accept-encoding", "br, gzip;q=0.8")], "");
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let tag = zipped.headers()["etag"].to_str().unwrap();
    assert_eq!(tag.strip_prefix("W/").unwrap(), plain.headers()["etag"]);
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&zipped.body()[..]).read_to_end(&mut text).unwrap();
    assert_eq!(&text, plain.body());

    let offered = format!("\"other\", {tag}");
    let same = ask(&mut hub, REPO, &[("accept-encoding", "gzip"), ("if-none-match", &offered)], "");
    assert_eq!(same.status(), 304);
    assert_eq!(same.headers()["etag"], plain.headers()["etag"], "a 304 names the strong form");
    assert!(same.body().is_empty());

    let refused = ask(&mut hub, REPO, &[("accept-encoding", "gzip;q=0")], "");
    let small = ask(&mut hub, "octocat GET /users/octocat", &[("accept-encoding", "gzip")], "");
    for response in [refused, small] {
        assert!(!response.headers().contains_key("content-encoding"));
    }
}

#[test]
fn people_get_pretty_bodies_with_the_etag_of_the_plain_one() {
    let mut hub = hub();
    let plain = ask(&mut hub, REPO, &[("user-agent", "gh")], "");
    let pretty = ask(&mut hub, REPO, &[("user-agent", "curl/8.5")], "");
    assert!(pretty.body().starts_with(b"{\n  \""));
    assert_eq!(json(&pretty), json(&plain));
    assert_eq!(pretty.headers()["etag"], plain.headers()["etag"]);
    assert_eq!(ask(&mut hub, REPO, &[("user-agent", "cUrL")], "").body(), plain.body());
}

#[test]
fn head_is_get_without_its_body() {
    let mut hub = hub();
    let (got, head) = (ask(&mut hub, REPO, &[], ""), ask(&mut hub, &REPO.replace("GET", "HEAD"), &[], ""));
    assert!(head.body().is_empty());
    for name in ["etag", "content-length", "last-modified", "content-type"] {
        assert_eq!(head.headers()[name], got.headers()[name]);
    }
    assert_eq!(got.headers()["content-length"], got.body().len().to_string());
}

#[test]
fn last_modified_validates_where_there_is_no_etag_to_compare() {
    let mut hub = hub();
    let at = ask(&mut hub, REPO, &[], "").headers()["last-modified"].to_str().unwrap().to_owned();
    assert_eq!(ask(&mut hub, REPO, &[("if-modified-since", &at)], "").status(), 304);
    assert_eq!(ask(&mut hub, REPO, &[("if-modified-since", &at), ("if-none-match", "\"x\"")], "").status(), 200);
    hub.modify_repo("octocat/Hello-World", NOW).unwrap();
    assert_eq!(ask(&mut hub, REPO, &[("if-modified-since", &at)], "").status(), 200);
}

#[test]
fn what_is_refused_or_absent_has_no_etag() {
    let mut hub = hub();
    for (line, status) in [
        ("octocat GET /nothing", 404),
        ("wrong GET /user", 401),
        ("hubot GET /repos/acme/secret/actions/runners", 403),
        ("octocat GET /rate_limit", 200),
    ] {
        let response = ask(&mut hub, line, &[("if-none-match", "*")], "");
        assert_eq!(response.status().as_u16(), status, "{line}");
        let caching = response.headers().get("cache-control").map(|value| value.to_str().unwrap());
        assert!(!response.headers().contains_key("etag"), "{line}");
        assert_eq!(caching, line.ends_with("/rate_limit").then_some("no-cache"), "{line}");
    }
}

#[test]
fn the_rule_can_change_and_stay_stable() {
    let mut hub = hub();
    let before = ask(&mut hub, REPO, &[], "").headers()["etag"].clone();
    hub.etag_rule = EtagRule::Changed;
    let after = ask(&mut hub, REPO, &[], "").headers()["etag"].clone();
    assert_ne!(before, after);
    assert_eq!(ask(&mut hub, REPO, &[("if-none-match", after.to_str().unwrap())], "").status(), 304);
}

#[test]
fn versions_and_media_types_are_echoed_or_refused() {
    let mut hub = hub();
    let response = ask(&mut hub, REPO, &[("accept", "application/vnd.github.mercy-preview+json")], "");
    assert_eq!(response.headers()["x-github-media-type"], "github.mercy-preview; format=json");
    let response = ask(&mut hub, REPO, &[("x-github-api-version", "2022-11-28")], "");
    assert_eq!(response.headers()["x-github-media-type"], "github.v3; format=json");
    assert_eq!(response.headers()["x-github-api-version-selected"], "2022-11-28");
    assert_eq!(ask(&mut hub, REPO, &[("x-github-api-version", "1999-01-01")], "").status(), 400);
}
