use super::*;

const REPO: &str = "/repos/octocat/Hello-World";

#[test]
fn statistics_are_202_until_the_next_time_and_again_after_a_push() {
    let mut hub = hub();
    for path in ["/stats/contributors", "/stats/participation"] {
        let path = format!("{REPO}{path}");
        let first = get(&mut hub, "octocat", &path);
        assert_eq!((first.status().as_u16(), &first.body()[..]), (202, &b"{}"[..]));
        assert!(!first.headers().contains_key("etag") && !first.headers().contains_key("cache-control"));
        assert_eq!(get(&mut hub, "hubot", &path).status(), 200);
        hub.push("octocat/Hello-World", "More", NOW).unwrap();
        assert_eq!(get(&mut hub, "hubot", &path).status(), 202);
        assert_eq!(get(&mut hub, "hubot", &path).status(), 200);
    }
    assert_eq!(get(&mut hub, "octocat", &format!("{REPO}/stats/none")).status(), 404);
}

#[test]
fn events_and_references_ask_to_be_polled_slowly_on_a_304_too() {
    let mut hub = hub();
    for (path, secs) in [
        (format!("{REPO}/events"), "60"),
        ("/events".to_owned(), "60"),
        ("/users/octocat/events".to_owned(), "60"),
        ("/orgs/acme/events".to_owned(), "60"),
        ("/notifications".to_owned(), "60"),
        (format!("{REPO}/git/ref/heads/main"), "300"),
        (format!("{REPO}/git/matching-refs/heads"), "300"),
    ] {
        let response = get(&mut hub, "octocat", &path);
        assert_eq!((response.status().as_u16(), header(&response, "x-poll-interval")), (200, secs), "{path}");
        let tag = header(&response, "etag").to_owned();
        let same = ask(&mut hub, &format!("octocat GET {path}"), &[("if-none-match", &tag)], "");
        assert_eq!((same.status().as_u16(), header(&same, "x-poll-interval")), (304, secs), "{path}");
    }
    assert_eq!(get(&mut hub, "octocat", "/events?page=11").status(), 422);
}

#[test]
fn a_references_last_modified_lies_and_its_etag_does_not() {
    let mut hub = hub();
    let path = format!("{REPO}/git/ref/heads/main");
    let before = get(&mut hub, "octocat", &path);
    hub.push("octocat/Hello-World", "More", NOW).unwrap();
    let line = format!("octocat GET {path}");
    let by_date = ask(&mut hub, &line, &[("if-modified-since", header(&before, "last-modified"))], "");
    assert_eq!(by_date.status(), 304, "and yet it has moved");
    let by_tag = ask(&mut hub, &line, &[("if-none-match", header(&before, "etag"))], "");
    assert_eq!(by_tag.status(), 200);
    assert_ne!(json(&by_tag)["object"]["sha"], json(&before)["object"]["sha"]);
}

#[test]
fn downloads_change_a_releases_etag_and_not_its_last_modified() {
    let mut hub = hub();
    for path in ["/releases", "/releases/latest", "/releases/tags/v1.3.0"].map(|path| format!("{REPO}{path}")) {
        let before = get(&mut hub, "octocat", &path);
        hub.download_assets("octocat/Hello-World").unwrap();
        let after = get(&mut hub, "octocat", &path);
        assert_ne!(header(&after, "etag"), header(&before, "etag"), "{path}");
        assert_eq!(header(&after, "last-modified"), header(&before, "last-modified"));
        assert!(!header(&after, "last-modified").is_empty());
    }
    let asset = format!("{REPO}/releases/assets/129626930");
    let count = |hub: &mut Hub| json(&get(hub, "octocat", &asset))["download_count"].as_u64().unwrap();
    let before = count(&mut hub);
    ask(&mut hub, &format!("octocat GET {asset}"), &[("accept", "application/octet-stream")], "");
    assert_eq!(count(&mut hub), before + 1, "a download is one");
}

#[test]
fn objects_by_sha_never_change_and_say_so() {
    let mut hub = hub();
    let tree = json(&get(&mut hub, "octocat", &format!("{REPO}/git/trees/main")));
    let (sha, blob) = (tree["sha"].as_str().unwrap(), tree["tree"][0]["sha"].as_str().unwrap());
    let commit = json(&get(&mut hub, "octocat", &format!("{REPO}/commits/main")))["sha"].as_str().unwrap().to_owned();
    let paths = [format!("trees/{sha}"), format!("blobs/{blob}"), format!("commits/{commit}")];
    let before = paths.clone().map(|path| get(&mut hub, "octocat", &format!("{REPO}/git/{path}")));
    for response in &before {
        assert_eq!(header(response, "cache-control"), "private, max-age=86400, s-maxage=86400");
    }
    let by_name = get(&mut hub, "octocat", &format!("{REPO}/git/trees/main"));
    assert_eq!(header(&by_name, "cache-control"), "private, max-age=60, s-maxage=60");

    let write = json!({ "message": "m", "content": "bmV3", "sha": blob }).to_string();
    assert_eq!(ask(&mut hub, &format!("octocat PUT {REPO}/contents/README.md"), &[], &write).status(), 200);
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(get(&mut hub, "octocat", &format!("{REPO}/git/{path}")).body(), before.body(), "{path}");
    }
    assert_ne!(json(&get(&mut hub, "octocat", &format!("{REPO}/git/trees/main")))["sha"], sha);
}

#[test]
fn searches_are_no_cache_show_what_one_may_see_and_have_a_minute_of_their_own() {
    let mut hub = hub();
    let path = "/search/issues?q=repo:acme/secret+is:open";
    let response = get(&mut hub, "octocat", path);
    assert_eq!((header(&response, "cache-control"), header(&response, "etag")), ("no-cache", ""));
    assert_eq!((header(&response, "x-ratelimit-resource"), header(&response, "x-ratelimit-limit")), ("search", "30"));
    assert!(json(&response)["total_count"].as_u64().unwrap() > 0);
    assert_eq!(json(&get(&mut hub, "hubot", "/search/issues?q=repo%3Aacme/secret"))["incomplete_results"], false);
    assert_eq!(json(&get(&mut hub, "anonymous", path))["total_count"], 0);
    assert_eq!(get(&mut hub, "octocat", "/search/code?q=can").headers()["x-ratelimit-resource"], "code_search");
    assert_eq!(get(&mut hub, "octocat", "/search/issues").status(), 422);
    assert_eq!(get(&mut hub, "octocat", "/search/issues?q=a&per_page=100&page=11").status(), 422);

    assert!(hub.spend("octocat", "search", 30, NOW));
    assert_eq!(get(&mut hub, "octocat", path).status(), 403);
    assert_eq!(get(&mut hub, "octocat", "/user").status(), 200);
    let later = fetch(&mut hub, path, &[("authorization", "token octocat-t")], NOW + 60);
    assert_eq!((later.status().as_u16(), header(&later, "x-ratelimit-remaining")), (200, "29"));
}

#[test]
fn alerts_say_nothing_about_keeping_them() {
    let mut hub = hub();
    for path in ["/code-scanning/alerts", "/dependabot/alerts", "/secret-scanning/alerts"] {
        let response = get(&mut hub, "octocat", &format!("{REPO}{path}"));
        assert_eq!(response.status(), 200, "{path}");
        assert!(!response.headers().contains_key("etag") && !response.headers().contains_key("cache-control"));
        assert_eq!(get(&mut hub, "hubot", &format!("{REPO}{path}")).status(), 403, "{path}");
    }
    assert_eq!(get(&mut hub, "octocat", "/orgs/acme/dependabot/alerts").body(), "[]");
    assert_eq!(get(&mut hub, "surtur", "/orgs/acme/dependabot/alerts").status(), 404);
}
