use super::*;

const REPO: &str = "/repos/octocat/Hello-World";

/// Sends a write by `octocat` and returns status and body.
fn write(hub: &mut Hub, line: &str, body: &Value) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap();
    let response = ask(hub, &format!("octocat {method} {path}"), &[], &body.to_string());
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
}

/// The statuses of a GET of `paths`, offering the ETag of `before` to each: 304 means unchanged.
fn changed(hub: &mut Hub, paths: &[&str], before: &[Response<Bytes>]) -> Vec<u16> {
    let again = |(path, before): (&&str, &Response<Bytes>)| {
        let headers = [("if-none-match", header(before, "etag"))];
        ask(hub, &format!("octocat GET {REPO}{path}"), &headers, "").status().as_u16()
    };
    paths.iter().zip(before).map(again).collect()
}

#[test]
fn each_write_changes_the_reads_that_show_it_and_no_other() {
    let reads =
        ["", "/issues", "/issues/1", "/issues/1/comments", "/pulls/71", "/commits", "/readme", "/labels", "/releases"];
    for (line, body, status, expected) in [
        ("PATCH /issues/1", json!({ "title": "x" }), 200, "304 200 200 304 304 304 304 304 304"),
        ("PATCH /issues/1", json!({ "state": "closed" }), 200, "200 200 200 304 304 304 304 304 304"),
        ("POST /issues", json!({ "title": "x" }), 201, "200 200 304 304 304 304 304 304 304"),
        ("POST /issues/1/comments", json!({ "body": "x" }), 201, "304 200 200 200 304 304 304 304 304"),
        ("POST /issues/1/labels", json!({ "labels": ["bug"] }), 200, "304 200 200 304 304 304 304 304 304"),
        ("PUT /issues/1/lock", json!({}), 204, "304 200 200 304 304 304 304 304 304"),
        ("POST /labels", json!({ "name": "x" }), 201, "304 304 304 304 304 304 304 200 304"),
        ("PATCH /pulls/71", json!({ "title": "x" }), 200, "304 304 304 304 200 304 304 304 304"),
        ("PUT /pulls/71/merge", json!({}), 200, "200 304 304 304 200 200 304 304 304"),
        (
            "PUT /contents/new.txt",
            json!({ "content": "aGk=", "message": "m" }),
            201,
            "200 304 304 304 304 200 304 304 304",
        ),
        ("POST /releases", json!({ "tag_name": "v9" }), 201, "304 304 304 304 304 304 304 304 200"),
        ("PATCH ", json!({ "description": "x" }), 200, "200 304 304 304 304 304 304 304 304"),
    ] {
        let mut hub = hub();
        // Issue 1 is everybody's first listing entry only with few issues on a page; list the oldest.
        let reads = reads.map(|path| if path == "/issues" { "/issues?direction=asc&per_page=100" } else { path });
        let before = reads.map(|path| get(&mut hub, "octocat", &format!("{REPO}{path}")));
        let (method, path) = line.split_once(' ').unwrap();
        assert_eq!(write(&mut hub, &format!("{method} {REPO}{path}"), &body).0, status, "{line}");
        let told: Vec<String> = changed(&mut hub, &reads, &before).iter().map(u16::to_string).collect();
        assert_eq!(told.join(" "), expected, "{line}");
        assert_eq!(hub.counts().total.mutations, 1, "{line}");
    }
}

#[test]
fn validators_play_no_part_in_a_write_and_its_answer_is_tagged_all_the_same() {
    let mut hub = hub();
    let issue = format!("{REPO}/issues/1");
    let tag = header(&get(&mut hub, "octocat", &issue), "etag").to_owned();
    for conditions in [[("if-none-match", tag.as_str())], [("if-none-match", "*")], [("if-match", "\"x\"")]] {
        let response = ask(&mut hub, &format!("octocat PATCH {issue}"), &conditions, r#"{"title":"x"}"#);
        assert_eq!(response.status(), 200, "{conditions:?}");
        assert_eq!(header(&response, "cache-control"), "private, max-age=60, s-maxage=60");
        assert!(!header(&response, "etag").is_empty());
    }
    assert_eq!(hub.counts().total.charged, 4);
}

#[test]
fn comments_are_changed_and_deleted() {
    let mut hub = hub();
    let (_, made) = write(&mut hub, &format!("POST {REPO}/issues/1/comments"), &json!({ "body": "hi" }));
    let path = format!("{REPO}/issues/comments/{}", made["id"]);
    assert_eq!(write(&mut hub, &format!("PATCH {path}"), &json!({ "body": "ho" })).1["body"], "ho");
    assert_eq!(ask(&mut hub, &format!("hubot DELETE {path}"), &[], "").status(), 403);
    let gone = ask(&mut hub, &format!("octocat DELETE {path}"), &[], "");
    assert_eq!((gone.status().as_u16(), header(&gone, "content-type"), header(&gone, "etag")), (204, "", ""));
    assert_eq!(get(&mut hub, "octocat", &path).status(), 404);
    assert_eq!(json(&get(&mut hub, "octocat", &format!("{REPO}/issues/1")))["comments"], 0);
}

#[test]
fn files_need_their_sha_and_references_their_commit() {
    let mut hub = hub();
    let path = format!("{REPO}/contents/README.md");
    let content = json!({ "content": "aGk=", "message": "m" });
    assert_eq!(write(&mut hub, &format!("PUT {path}"), &content).0, 409);
    let sha = json(&get(&mut hub, "octocat", &path))["sha"].clone();
    assert_eq!(write(&mut hub, &format!("DELETE {path}"), &json!({ "sha": sha, "message": "m" })).0, 200);
    assert_eq!(get(&mut hub, "octocat", &path).status(), 404);

    let head = json(&get(&mut hub, "octocat", &format!("{REPO}/commits")))[3]["sha"].clone();
    let made = json!({ "ref": "refs/heads/topic", "sha": head });
    assert_eq!(write(&mut hub, &format!("POST {REPO}/git/refs"), &made).0, 201);
    assert_eq!(write(&mut hub, &format!("POST {REPO}/git/refs"), &made).0, 422);
    assert_eq!(json(&get(&mut hub, "octocat", &format!("{REPO}/commits/topic")))["sha"], head);
    assert_eq!(write(&mut hub, &format!("PATCH {REPO}/git/refs/heads/topic"), &json!({ "sha": "x" })).0, 422);
    assert_eq!(write(&mut hub, &format!("DELETE {REPO}/git/refs/heads/topic"), &json!({})).0, 204);
    assert_eq!(get(&mut hub, "octocat", &format!("{REPO}/git/ref/heads/topic")).status(), 404);
}

#[test]
fn runs_are_started_run_again_cancelled_and_deleted() {
    let mut hub = hub();
    let count = |hub: &mut Hub| json(&get(hub, "octocat", &format!("{REPO}/actions/runs")))["total_count"].clone();
    assert_eq!(
        write(&mut hub, &format!("POST {REPO}/actions/workflows/ci.yml/dispatches"), &json!({ "ref": "main" })).0,
        204
    );
    assert_eq!(count(&mut hub), 41);
    let run = *hub.runs("octocat/Hello-World").last().unwrap();
    let path = format!("{REPO}/actions/runs/{run}");
    for (line, status, state) in [("POST /cancel", 202, "completed"), ("POST /rerun", 201, "queued")] {
        let (method, rest) = line.split_once(' ').unwrap();
        assert_eq!(write(&mut hub, &format!("{method} {path}{rest}"), &json!({})).0, status, "{line}");
        assert_eq!(json(&get(&mut hub, "octocat", &path))["status"], state);
    }
    assert_eq!(write(&mut hub, &format!("DELETE {path}"), &json!({})).0, 204);
    assert_eq!(count(&mut hub), 40);
    let (status, made) = write(&mut hub, &format!("POST {REPO}/actions/runners/registration-token"), &json!({}));
    assert!(status == 201 && made["token"].as_str().unwrap().len() == 29);
}

#[test]
fn what_is_uploaded_is_what_is_downloaded() {
    let mut hub = hub();
    let (_, release) = write(&mut hub, &format!("POST {REPO}/releases"), &json!({ "tag_name": "v9" }));
    let url = release["upload_url"].as_str().unwrap().replace("{?name,label}", "?name=a%20b.txt");
    let made = json(&ask(&mut hub, &format!("octocat POST {url}"), &[], "the bytes"));
    assert_eq!((&made["name"], &made["size"]), (&json!("a b.txt"), &json!(9)));
    let asset = format!("{REPO}/releases/assets/{}", made["id"]);
    let moved = ask(&mut hub, &format!("octocat GET {asset}"), &[("accept", "application/octet-stream")], "");
    let url = header(&moved, "location").to_owned();
    assert_eq!(fetch(&mut hub, &url, &[], NOW).body(), "the bytes");
    assert_eq!(write(&mut hub, &format!("DELETE {asset}"), &json!({})).0, 204);
    assert_eq!(fetch(&mut hub, &url, &[], NOW).status(), 404);
}

#[test]
fn stars_and_repositories_themselves_are_written_too() {
    let mut hub = hub();
    let stars = |hub: &mut Hub| json(&get(hub, "octocat", REPO))["stargazers_count"].as_u64().unwrap();
    let before = stars(&mut hub);
    for (method, after) in [("PUT", before + 1), ("PUT", before + 1), ("DELETE", before)] {
        assert_eq!(write(&mut hub, &format!("{method} /user/starred/octocat/Hello-World"), &json!({})).0, 204);
        assert_eq!(stars(&mut hub), after);
    }
    assert_eq!(ask(&mut hub, &format!("hubot PATCH {REPO}"), &[], "{}").status(), 403);
    assert_eq!(write(&mut hub, &format!("PATCH {REPO}"), &json!({ "name": "Hi" })).1["full_name"], "octocat/Hi");
    assert_eq!(get(&mut hub, "octocat", REPO).status(), 301);
    assert_eq!(write(&mut hub, "DELETE /repos/octocat/Hi", &json!({})).0, 204);
    assert_eq!(get(&mut hub, "octocat", "/repositories/1296269").status(), 404);
}
