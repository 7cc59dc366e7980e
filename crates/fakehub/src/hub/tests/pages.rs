use super::*;

/// The URL of `rel` in a `Link`.
fn rel(response: &Response<Bytes>, rel: &str) -> Option<String> {
    let suffix = format!(">; rel=\"{rel}\"");
    let link = header(response, "link").split(", ").find(|part| part.ends_with(&suffix))?;
    Some(link.trim_start_matches('<').trim_end_matches(&suffix).to_owned())
}

#[test]
fn a_thousand_issues_are_walked_by_next_and_named_by_id() {
    let mut hub = hub();
    hub.add_issues("acme/secret", 1_000, NOW).unwrap();
    let mut url = Some("/repos/acme/secret/issues?state=all&per_page=100".to_owned());
    let (mut numbers, mut pages) = (Vec::new(), 0);
    while let Some(target) = url {
        let page = get(&mut hub, "octocat", target.strip_prefix("https://api.github.com").unwrap_or(&target));
        numbers.extend(json(&page).as_array().unwrap().iter().map(|issue| issue["number"].as_u64().unwrap()));
        pages += 1;
        let base = "https://api.github.com/repositories/9100001/issues?state=all&per_page=100&page=";
        let at = |page: u64| Some(format!("{base}{page}"));
        assert_eq!(rel(&page, "prev"), (pages > 1).then(|| at(pages - 1)).flatten());
        assert_eq!(rel(&page, "first"), (pages > 1).then(|| at(1)).flatten());
        assert_eq!(rel(&page, "last"), (pages < 11).then(|| at(11)).flatten());
        url = rel(&page, "next");
        assert_eq!(url, (pages < 11).then(|| at(pages + 1)).flatten());
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), pages), (1_005, 11));
}

#[test]
fn a_full_last_page_keeps_its_etag_when_a_next_one_appears() {
    let mut hub = hub();
    hub.add_issues("octo-org/empty", 30, NOW).unwrap();
    let path = "/repos/octo-org/empty/issues?direction=asc&state=all";
    let full = get(&mut hub, "octocat", path);
    assert_eq!((json(&full).as_array().unwrap().len(), rel(&full, "next")), (30, None));
    hub.add_issues("octo-org/empty", 1, NOW).unwrap();
    let tag = header(&full, "etag").to_owned();
    let trap = ask(&mut hub, &format!("octocat GET {path}"), &[("if-none-match", &tag)], "");
    assert_eq!((trap.status().as_u16(), header(&trap, "link")), (304, ""), "nothing tells of the new page");
    assert!(rel(&get(&mut hub, "octocat", path), "next").unwrap().ends_with("&page=2"));
}

#[test]
fn the_end_and_nonsense_are_answered_as_at_github() {
    let mut hub = hub();
    let path = "/repos/octocat/Hello-World/issues?state=all";
    let count =
        |hub: &mut Hub, query: &str| json(&get(hub, "octocat", &format!("{path}{query}"))).as_array().unwrap().len();
    assert_eq!(
        [count(&mut hub, ""), count(&mut hub, "&per_page=1000"), count(&mut hub, "&per_page=none&page=-1")],
        [30, 70, 30]
    );
    let beyond = get(&mut hub, "octocat", &format!("{path}&page=99"));
    assert_eq!((beyond.body(), rel(&beyond, "prev").unwrap().ends_with("page=3")), (&Bytes::from("[]"), true));
}

#[test]
fn listings_that_count_have_empty_forms_of_their_own() {
    let mut hub = hub();
    hub.add_token(Token::new("admin-t", "boss").with_repo("octo-org/empty", Role::Admin));
    let run = hub.runs("octocat/Hello-World")[0];
    for (path, expected) in [
        ("/repos/octo-org/empty/actions/runs", r#"{"total_count":0,"workflow_runs":[]}"#),
        ("/repos/octo-org/empty/actions/workflows", r#"{"total_count":0,"workflows":[]}"#),
        ("/repos/octo-org/empty/actions/artifacts", r#"{"total_count":0,"artifacts":[]}"#),
        ("/repos/octo-org/empty/actions/runners", r#"{"total_count":0,"runners":[]}"#),
    ] {
        assert_eq!(get(&mut hub, "admin", path).body(), expected, "{path}");
    }
    for (path, key) in [("jobs", "jobs"), ("artifacts", "artifacts"), ("attempts/1/jobs", "jobs")] {
        let body = json(&get(&mut hub, "octocat", &format!("/repos/octocat/Hello-World/actions/runs/{run}/{path}")));
        assert_eq!(body["total_count"], body[key].as_array().unwrap().len());
    }
    let failed = json(&get(&mut hub, "octocat", "/repos/octocat/Hello-World/actions/runs?status=failure"));
    let all = failed["workflow_runs"].as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|run| run["conclusion"] == "failure"));
}

#[test]
fn a_connection_is_walked_by_its_cursors() {
    let mut hub = hub();
    let query = "query($after: String) { repository(owner: \"octocat\", name: \"Hello-World\") {
        issues(first: 20, after: $after) { totalCount nodes { number } pageInfo { hasNextPage endCursor } } } }";
    let (mut after, mut numbers) = (Value::Null, Vec::new());
    loop {
        let issues = graphql(&mut hub, query, &json!({ "after": after }))["data"]["repository"]["issues"].clone();
        assert_eq!(issues["totalCount"], 56);
        numbers.extend(issues["nodes"].as_array().unwrap().iter().map(|node| node["number"].as_u64().unwrap()));
        if issues["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = issues["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(numbers.len(), 56);
    assert!(numbers.is_sorted_by(|a, b| a > b), "each once, newest first");
}
