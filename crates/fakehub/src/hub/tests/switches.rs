use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::Failure;

#[test]
fn every_way_to_present_a_token_is_understood() {
    let mut hub = hub();
    let basic = |pair: &str| format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
    for (value, status) in [
        ("token octocat-t".to_owned(), 200),
        ("bearer octocat-t".to_owned(), 200),
        (basic("octocat:octocat-t"), 200),
        (basic("octocat-t:x-oauth-basic"), 200),
        (basic("octocat:wrong"), 401),
        ("Digest octocat-t".to_owned(), 401),
        ("octocat-t".to_owned(), 401),
    ] {
        let response = ask(&mut hub, "anonymous GET /user", &[("authorization", &value)], "");
        assert_eq!(response.status().as_u16(), status, "{value}");
    }
}

#[test]
fn a_revoked_token_is_a_stranger() {
    let mut hub = hub();
    assert_eq!(get(&mut hub, "octocat", "/repos/acme/secret").status(), 200);
    assert!(hub.set_role("octocat-t", "acme/secret", None));
    assert_eq!(get(&mut hub, "octocat", "/repos/acme/secret").status(), 404);
    assert!(hub.revoke("octocat-t") && !hub.revoke("octocat-t"));
    let response = get(&mut hub, "octocat", "/user");
    assert_eq!((response.status().as_u16(), &json(&response)["message"]), (401, &json!("Bad credentials")));
}

#[test]
fn failures_follow_the_longest_prefix_and_end() {
    let mut hub = hub();
    hub.fail_with("", Failure::Status(StatusCode::BAD_GATEWAY));
    hub.fail_with("/repos", Failure::SecondaryLimit { retry_after: 30 });
    assert_eq!(get(&mut hub, "octocat", "/user").status(), 502);
    let limited = get(&mut hub, "octocat", "/repos/octocat/Hello-World");
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (403, &"30".parse().unwrap()));
    assert!(json(&limited)["message"].as_str().unwrap().contains("secondary rate limit"));
    hub.recover();
    assert_eq!(get(&mut hub, "octocat", "/user").headers()["x-ratelimit-used"], "1");
    assert_eq!(hub.counts().total.failed, 2);
}

#[test]
fn latency_and_silence_are_the_shells_to_carry_out() {
    let mut hub = hub();
    hub.set_latency("/user", Duration::from_millis(20));
    hub.silence("/repos");
    let mut send = |path: &str| hub.handle(&Request::get(path).body(Bytes::new()).unwrap(), NOW);
    assert_eq!(send("/users/octocat").latency, Duration::from_millis(20));
    assert_eq!(send("/meta").latency, Duration::ZERO);
    assert!(send("/repos/octocat/Hello-World").response.is_none());
    assert_eq!(hub.counts().total.requests, 3);
}

#[test]
fn changes_change_the_etag() {
    let mut hub = hub();
    let (repo, name) = ("/repos/octocat/Hello-World", "octocat/Hello-World");
    let tag = |hub: &mut Hub, path: &str| get(hub, "octocat", &format!("{repo}{path}")).headers()["etag"].clone();
    let before = ["", "/issues/1", "/commits"].map(|path| tag(&mut hub, path));
    hub.modify_repo(name, NOW).unwrap();
    hub.modify_issue(name, 1, "Changed", NOW).unwrap();
    let sha = hub.push(name, "More", NOW).unwrap();
    for (path, before) in ["", "/issues/1", "/commits"].into_iter().zip(before) {
        assert_ne!(tag(&mut hub, path), before, "{path}");
    }
    let main = json(&get(&mut hub, "octocat", &format!("{repo}/commits/main")));
    assert_eq!((&main["sha"], &main["commit"]["message"]), (&json!(sha), &json!("More")));
    assert_eq!(
        hub.modify_issue(name, 999, "x", NOW).unwrap_err().to_string(),
        "nothing is called octocat/Hello-World#999"
    );
}

#[test]
fn a_former_name_redirects_those_who_may_see() {
    let mut hub = hub();
    hub.rename("acme/secret", "hidden").unwrap();
    let moved = get(&mut hub, "hubot", "/repos/acme/secret/issues");
    assert_eq!(moved.status(), 301);
    assert_eq!(moved.headers()["location"], "https://api.github.com/repositories/9100001/issues");
    assert_eq!(get(&mut hub, "surtur", "/repos/acme/secret").status(), 404);
    assert_eq!(get(&mut hub, "hubot", "/repos/acme/hidden").status(), 200, "roles follow");
    hub.set_private("acme/hidden", false).unwrap();
    assert_eq!(get(&mut hub, "surtur", "/repositories/9100001").status(), 200);
}
