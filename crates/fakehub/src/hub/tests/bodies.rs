use super::*;
use crate::Visibility;

#[test]
fn the_same_seed_tells_the_same_story() {
    let tell = |seed| {
        let mut hub = Hub::standard(seed);
        let paths = ["/repos/octocat/Hello-World/issues", "/orgs/acme/repos", "/repos/octocat/Hello-World/commits"];
        paths.map(|path| format!("{:?}", get(&mut hub, "anonymous", path)))
    };
    assert_eq!(tell(7), tell(7));
    assert_ne!(tell(7), tell(8));
}

#[test]
fn every_route_answers() {
    let mut hub = hub();
    let repo = "/repos/octocat/Hello-World";
    let run = 1_296_269_001_u64;
    let in_repo =
        ["", "/issues", "/issues/1", "/issues/1/comments", "/pulls", "/pulls/71", "/commits", "/commits/main"]
            .into_iter()
            .chain([
                "/branches",
                "/branches/main",
                "/tags",
                "/releases",
                "/releases/latest",
                "/actions/runs",
                "/actions/workflows",
            ])
            .chain(["/actions/runners", "/contributors", "/readme", "/contents", "/contents/README.md"])
            .map(|rest| format!("{repo}{rest}"));
    let elsewhere =
        ["/", "/meta", "/user", "/user/repos", "/users/hubot", "/users/hubot/repos", "/orgs/acme", "/orgs/acme/repos"]
            .map(str::to_owned);
    let more = ["/labels", "/labels/bug", "/issues/1/labels", "/pulls/71/files", "/languages", "/collaborators"]
        .into_iter()
        .chain(["/git/ref/heads/main", "/git/matching-refs/tags", "/git/trees/main", "/commits/main/status"])
        .chain(["/releases/tags/v1.0.0", "/releases/12962690/assets", "/actions/workflows/ci.yml/runs", "/events"])
        .chain(["/actions/artifacts", "/actions/runners/1", "/actions/jobs/12962690010"])
        .map(|rest| format!("{repo}{rest}"));
    let people = ["/orgs/acme/members", "/orgs/acme/teams", "/orgs/acme/teams/everyone/members", "/user/orgs"]
        .into_iter()
        .chain([
            "/orgs/acme/actions/runners",
            "/users/octocat/orgs",
            "/organizations/9001001/repos",
            "/user/583231/repos",
        ])
        .map(str::to_owned);
    let jobs = [format!("{repo}/actions/runs/{run}"), format!("/repositories/1296269/actions/runs/{run}/jobs")];
    for path in in_repo.chain(elsewhere).chain(jobs).chain(more).chain(people) {
        let response = get(&mut hub, "octocat", &path);
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers().contains_key("etag"), "{path}");
        assert!(response.body().len() > 1, "{path}");
    }
    assert_eq!(json(&get(&mut hub, "octocat", "/repos/OCTOCAT/hello-world"))["full_name"], "octocat/Hello-World");
    for path in
        ["/repos/octocat", "/repos/octocat/none", "/repositories/x", "/users/none", "/repos/octocat/Hello-World/x"]
    {
        let response = get(&mut hub, "octocat", path);
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(json(&response)["message"], "Not Found");
        assert_eq!(json(&response)["status"], "404");
    }
}

#[test]
fn pages_lead_to_each_other_by_id() {
    let mut hub = hub();
    let first = get(&mut hub, "octocat", "/repos/octocat/Hello-World/issues?state=all&per_page=30");
    let url = "https://api.github.com/repositories/1296269/issues?state=all&per_page=30";
    assert_eq!(first.headers()["link"], format!("<{url}&page=2>; rel=\"next\", <{url}&page=3>; rel=\"last\""));
    let path = "/repositories/1296269/issues?state=all&per_page=30&page=3";
    let last = get(&mut hub, "octocat", path);
    assert_eq!((json(&first).as_array().unwrap().len(), json(&last).as_array().unwrap().len()), (30, 10));
    assert_eq!(json(&last)[9]["number"], 1);
    assert!(last.headers()["link"].to_str().unwrap().ends_with("page=1>; rel=\"first\""));

    let tag = last.headers()["etag"].to_str().unwrap();
    let same = ask(&mut hub, &format!("octocat GET {path}"), &[("if-none-match", tag)], "");
    assert_eq!(same.status(), 304);
    assert!(!same.headers().contains_key("link"), "a 304 has no Link");

    let runs = json(&get(&mut hub, "octocat", "/repos/octocat/Hello-World/actions/runs?per_page=5"));
    assert_eq!((&runs["total_count"], runs["workflow_runs"].as_array().unwrap().len()), (&json!(40), 5));
    assert_eq!(get(&mut hub, "octocat", "/repos/octo-org/empty/issues").body(), "[]");
    assert_eq!(
        get(&mut hub, "octocat", "/repos/octo-org/empty/actions/runs").body(),
        r#"{"total_count":0,"workflow_runs":[]}"#
    );
}

#[test]
fn another_base_url_is_named_everywhere() {
    let mut hub = hub();
    hub.api_url = "http://127.0.0.1:9".to_owned();
    let response = get(&mut hub, "octocat", "/repos/octocat/Hello-World/issues");
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(
        text.contains("\"http://127.0.0.1:9/repos/octocat/Hello-World/issues/") && !text.contains("api.github.com")
    );
    assert!(response.headers()["link"].to_str().unwrap().starts_with("<http://127.0.0.1:9/repositories/1296269/"));
}

#[test]
fn a_private_repository_is_not_there_for_strangers() {
    let mut hub = hub();
    for who in ["surtur", "anonymous"] {
        for path in ["/repos/acme/secret", "/repos/acme/secret/issues", "/repositories/9100001"] {
            assert_eq!(get(&mut hub, who, path).status(), 404, "{who} {path}");
        }
        let list = get(&mut hub, who, "/orgs/acme/repos");
        assert!(!String::from_utf8_lossy(list.body()).contains("acme/secret"));
    }
    let list = json(&get(&mut hub, "hubot", "/orgs/acme/repos"));
    assert!(list.as_array().unwrap().iter().any(|repo| repo["full_name"] == "acme/secret"));
}

#[test]
fn each_user_has_a_view_and_a_clone_token_of_their_own() {
    let mut hub = hub();
    let [octocat, hubot] = ["octocat", "hubot"].map(|who| json(&get(&mut hub, who, "/repos/acme/secret")));
    assert_eq!((&octocat["permissions"]["push"], &hubot["permissions"]["push"]), (&json!(true), &json!(false)));
    let secret = octocat["temp_clone_token"].as_str().unwrap();
    assert!(!secret.is_empty() && hubot["temp_clone_token"] != secret);
    let file = json(&get(&mut hub, "octocat", "/repos/acme/secret/contents/README.md"));
    assert!(file["download_url"].as_str().unwrap().ends_with(&format!("?token={secret}")));

    let public = json(&get(&mut hub, "hubot", "/repos/octocat/Hello-World"));
    assert_eq!(public["temp_clone_token"], "");
    let anonymous = json(&get(&mut hub, "anonymous", "/repos/octocat/Hello-World"));
    assert!(anonymous.get("permissions").is_none() && anonymous.get("temp_clone_token").is_none());
}

#[test]
fn documents_have_exactly_the_bytes_and_readers_they_were_given() {
    let mut hub = hub();
    hub.put_document("/repos/acme/secret/huge", Visibility::Repo("acme/secret".to_owned()), &b"[1]"[..]);
    hub.put_document("/open", Visibility::Public, &b"{\"url\":\"https://api.github.com/\"}"[..]);
    for (who, path, status) in [
        ("octocat", "/repos/acme/secret/huge", 200),
        ("octocat", "/repositories/9100001/huge", 200),
        ("surtur", "/repos/acme/secret/huge", 404),
        ("anonymous", "/open", 200),
    ] {
        assert_eq!(get(&mut hub, who, path).status().as_u16(), status, "{who} {path}");
    }
    assert_eq!(get(&mut hub, "octocat", "/repos/ACME/secret/huge").body(), "[1]");
    for bytes in [1_024, 102_400, 1 << 20, (16 << 20) + 1] {
        let response = get(&mut hub, "octocat", &format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}"));
        assert_eq!(response.body().len(), bytes);
    }
}

#[test]
fn writes_change_what_is_read() {
    let mut hub = hub();
    let list = "/repos/octocat/Hello-World/issues";
    let before = get(&mut hub, "octocat", list).headers()["etag"].clone();
    let made = ask(&mut hub, &format!("hubot POST {list}"), &[], r#"{"title":"New","body":"Text"}"#);
    assert_eq!(made.status(), 201);
    let number = json(&made)["number"].as_u64().unwrap();
    assert_eq!(number, 79, "after 70 issues and 8 pulls");
    assert_eq!(made.headers()["location"], format!("https://api.github.com/repos/octocat/Hello-World/issues/{number}"));
    assert_ne!(get(&mut hub, "octocat", list).headers()["etag"], before);
    assert_eq!(json(&get(&mut hub, "octocat", list))[0]["title"], "New");

    let issue = format!("{list}/{number}");
    assert_eq!(ask(&mut hub, &format!("surtur PATCH {issue}"), &[], "{}").status(), 403);
    assert_eq!(ask(&mut hub, &format!("anonymous PATCH {issue}"), &[], "{}").status(), 401);
    assert_eq!(ask(&mut hub, &format!("octocat PATCH {issue}"), &[], "no").status(), 400);
    let patched = ask(&mut hub, &format!("octocat PATCH {issue}"), &[], r#"{"state":"closed"}"#);
    assert_eq!((patched.status().as_u16(), &json(&patched)["state"]), (200, &json!("closed")));
    assert_ne!(json(&get(&mut hub, "octocat", list))[0]["number"], number);

    assert_eq!(ask(&mut hub, &format!("hubot POST {issue}/comments"), &[], r#"{"body":"hi"}"#).status(), 201);
    assert_eq!(json(&get(&mut hub, "octocat", &issue))["comments"], 1);
    assert_eq!(json(&get(&mut hub, "octocat", &format!("{issue}/comments")))[0]["body"], "hi");
    assert_eq!(ask(&mut hub, &format!("hubot POST {list}"), &[], "{}").status(), 422);
}

#[test]
fn graphql_projects_what_was_selected() {
    let mut hub = hub();
    let answer = graphql(&mut hub, "query { viewer { login } }", &json!({}));
    assert_eq!(answer, json!({ "data": { "viewer": { "login": "octocat" } } }));

    let query = "query Q($owner: String!, $n: Int = 3) { # a comment
        r: repository(owner: $owner, name: \"Hello-World\") { ...Parts, issues(first: 2) { nodes { number } } } }
        fragment Parts on Repository { name defaultBranchRef { name } ... on Node { isPrivate } }";
    let answer = graphql(&mut hub, query, &json!({ "owner": "octocat" }));
    let repo = json!({
        "name": "Hello-World",
        "defaultBranchRef": { "name": "main" },
        "isPrivate": false,
        "issues": { "nodes": [{ "number": 69 }, { "number": 68 }] },
    });
    assert_eq!(answer, json!({ "data": { "r": repo } }));

    let answer = graphql(&mut hub, "{ repository(owner: \"acme\", name: \"none\") { id } }", &json!({}));
    assert_eq!((&answer["data"]["repository"], &answer["errors"][0]["type"]), (&json!(null), &json!("NOT_FOUND")));
    let deep = "{a".repeat(10_000);
    assert_eq!(graphql(&mut hub, &deep, &json!({}))["errors"][0]["message"], "Parse error");
}

#[test]
fn a_mutation_is_counted_as_one_and_seen_by_rest() {
    let mut hub = hub();
    let before = json(&get(&mut hub, "octocat", "/repos/octocat/Hello-World"));
    let query = "mutation($id: ID!) { addStar(input: {starrableId: $id}) { starrable { stargazerCount } } }";
    let answer = graphql(&mut hub, query, &json!({ "id": before["node_id"] }));
    let stars = before["stargazers_count"].as_u64().unwrap() + 1;
    assert_eq!(answer["data"]["addStar"]["starrable"]["stargazerCount"], stars);
    assert_eq!(json(&get(&mut hub, "octocat", "/repos/octocat/Hello-World"))["stargazers_count"], stars);
    assert_eq!(hub.counts().total.mutations, 1);
}
