use expect_test::{Expect, expect};

use super::*;

/// Runs a story: each line is seconds, who, method, path, and `same` to offer the last ETag.
///
/// For each it writes status, used and remaining; at the end the totals.
fn check(story: &str, expected: &Expect) {
    let (mut hub, mut told, mut last) = (hub(), String::new(), None);
    for line in story.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (at, who, method, path) = (words[0].trim_end_matches('s'), words[1], words[2], words[3]);
        let mut request = Request::builder().method(method).uri(path);
        if who != "anonymous" {
            request = request.header("authorization", format!("Bearer {who}-t"));
        }
        if let Some(tag) = last.take().filter(|_| words.get(4) == Some(&"same")) {
            request = request.header("if-none-match", tag);
        }
        let now = NOW + at.parse::<u64>().unwrap();
        let response = hub.handle(&request.body(Bytes::new()).unwrap(), now).response.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let (used, remaining) = (header("x-ratelimit-used"), header("x-ratelimit-remaining"));
        told.push_str(&format!("{at}s {who} {} used {used} left {remaining}\n", response.status().as_u16()));
        last = response.headers().get("etag").cloned();
    }
    let total = hub.counts().total;
    told.push_str(&format!(
        "requests {} charged {} free {} limited {}\n",
        total.requests, total.charged, total.not_modified, total.limited
    ));
    expected.assert_eq(&told);
}

#[test]
fn a_304_is_free_for_a_token_and_charged_for_nobody() {
    check(
        "0s octocat GET /repos/octocat/Hello-World
         1s octocat GET /repos/octocat/Hello-World same
         2s octocat HEAD /repos/octocat/Hello-World same
         3s anonymous GET /repos/octocat/Hello-World
         4s anonymous GET /repos/octocat/Hello-World same",
        &expect![[r#"
            0s octocat 200 used 1 left 4999
            1s octocat 304 used 1 left 4999
            2s octocat 304 used 1 left 4999
            3s anonymous 200 used 1 left 59
            4s anonymous 304 used 2 left 58
            requests 5 charged 3 free 2 limited 0
        "#]],
    );
}

#[test]
fn an_empty_budget_refuses_until_it_resets() {
    check(
        "0s surtur GET /user
         1s surtur GET /nothing/here
         2s surtur GET /rate_limit
         3s surtur GET /user
         4s surtur GET /user
         3599s surtur GET /user
         3600s surtur GET /user",
        &expect![[r#"
            0s surtur 200 used 1 left 2
            1s surtur 404 used 2 left 1
            2s surtur 200 used 2 left 1
            3s surtur 200 used 3 left 0
            4s surtur 403 used 3 left 0
            3599s surtur 403 used 3 left 0
            3600s surtur 200 used 1 left 2
            requests 7 charged 4 free 0 limited 2
        "#]],
    );
}

#[test]
fn an_unknown_token_is_told_so_and_spends_the_address() {
    check(
        "0s nobody GET /user
         1s anonymous GET /user",
        &expect![[r#"
            0s nobody 401 used 1 left 59
            1s anonymous 401 used 2 left 58
            requests 2 charged 2 free 0 limited 0
        "#]],
    );
}

#[test]
fn tokens_of_one_user_share_a_budget() {
    let mut hub = hub();
    hub.add_token(Token::new("second-t", "octocat"));
    get(&mut hub, "octocat", "/user");
    let response = get(&mut hub, "second", "/user");
    assert_eq!(response.headers()["x-ratelimit-used"], "2");
    assert_eq!(response.headers()["x-ratelimit-resource"], "core");
    assert_eq!(response.headers()["x-ratelimit-reset"], (NOW + 3_600).to_string());
}

#[test]
fn graphql_has_its_own_budget_and_is_limited_with_a_200() {
    let mut hub = hub();
    hub.exhaust("surtur", NOW);
    assert!(json(&get(&mut hub, "surtur", "/user"))["message"].as_str().unwrap().contains("rate limit exceeded"));
    let query = r#"{"query":"{ viewer { login } }"}"#;
    for left in ["2", "1", "0"] {
        let response = ask(&mut hub, "surtur POST /graphql", &[], query);
        assert_eq!(response.headers()["x-ratelimit-remaining"], left);
        assert_eq!(response.headers()["x-ratelimit-resource"], "graphql");
    }
    let response = ask(&mut hub, "surtur POST /graphql", &[], query);
    assert_eq!((response.status().as_u16(), &json(&response)["errors"][0]["type"]), (200, &json!("RATE_LIMITED")));
    assert_eq!(hub.counts().total.limited, 2);
}

#[test]
fn counts_are_by_login_method_and_path_and_never_show_a_token() {
    let mut hub = hub();
    get(&mut hub, "octocat", "/user");
    get(&mut hub, "octocat", "/user");
    get(&mut hub, "anonymous", "/meta");
    get(&mut hub, "wrong", "/user");
    ask(&mut hub, "octocat POST /repos/octocat/Hello-World/issues", &[], r#"{"title":"x"}"#);
    let counts = hub.counts();
    let rows: Vec<String> = counts
        .rows
        .iter()
        .map(|row| format!("{} {} {} {}", row.label, row.method, row.path, row.tally.requests))
        .collect();
    assert_eq!(
        rows,
        [
            "anonymous GET /meta 1",
            "octocat GET /user 2",
            "octocat POST /repos/octocat/Hello-World/issues 1",
            "unknown GET /user 1"
        ]
    );
    assert_eq!(counts.path("/user").requests, 3);
    assert_eq!((counts.kinds["token"].charged, counts.kinds["token"].mutations), (3, 1));
    assert_eq!(counts.labels["octocat"].requests, 3);
    assert!(!serde_json::to_string(&counts).unwrap().contains("octocat-t"));
    assert!(!format!("{hub:?}").contains("octocat-t"), "Debug leaves the texts of tokens out");
    hub.reset_counts();
    assert_eq!(hub.counts().total.requests, 0);
}
