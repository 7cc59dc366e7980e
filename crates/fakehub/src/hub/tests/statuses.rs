use super::*;

const REPO: &str = "/repos/octocat/Hello-World";

#[test]
fn what_was_deleted_is_410_and_what_was_blocked_451() {
    let mut hub = hub();
    hub.delete_issue("octocat/Hello-World", 7).unwrap();
    for line in ["GET /issues/7", "GET /issues/7/comments", "PATCH /issues/7"] {
        let (method, path) = line.split_once(' ').unwrap();
        let gone = ask(&mut hub, &format!("octocat {method} {REPO}{path}"), &[], "{}");
        assert_eq!(
            (gone.status().as_u16(), &json(&gone)["message"]),
            (410, &json!("This issue was deleted")),
            "{line}"
        );
        assert!(!gone.headers().contains_key("etag"));
    }
    let listed = json(&get(&mut hub, "octocat", &format!("{REPO}/issues?state=all&per_page=100")));
    assert!(listed.as_array().unwrap().iter().all(|issue| issue["number"] != 7));
    assert!(hub.delete_issue("octocat/Hello-World", 7).is_err());

    hub.set_blocked("acme/secret", true).unwrap();
    let blocked = get(&mut hub, "octocat", "/repos/acme/secret/issues");
    assert_eq!((blocked.status().as_u16(), &json(&blocked)["block"]["reason"]), (451, &json!("dmca")));
    assert_eq!(get(&mut hub, "surtur", "/repos/acme/secret").status(), 404, "strangers hear nothing of it");
    hub.set_blocked("acme/secret", false).unwrap();
    assert_eq!(get(&mut hub, "octocat", "/repos/acme/secret").status(), 200);
}

#[test]
fn other_media_types_are_not_json_and_have_etags_of_their_own() {
    let mut hub = hub();
    for (path, accept, param, starts) in [
        ("/readme", "application/vnd.github.raw+json", "raw", "# Hello-World"),
        ("/readme", "application/vnd.github.v3.html", "html", "<div"),
        ("/contents/README.md", "application/vnd.github.raw", "raw", "# Hello-World"),
        ("/pulls/71", "application/vnd.github.v3.diff", "diff", "diff --git"),
        ("/pulls/71", "application/vnd.github.patch", "patch", "From "),
        ("/commits/main", "application/vnd.github.sha", "sha", ""),
    ] {
        let line = format!("octocat GET {REPO}{path}");
        let response = ask(&mut hub, &line, &[("accept", accept), ("user-agent", "curl/8")], "");
        assert_eq!(response.status(), 200, "{path} {accept}");
        assert_eq!(header(&response, "content-type"), format!("application/vnd.github.{param}; charset=utf-8"));
        assert_eq!(header(&response, "x-github-media-type"), format!("github.v3; param={param}"));
        assert!(response.body().starts_with(starts.as_bytes()), "{path} {accept}");
        let tag = header(&response, "etag").to_owned();
        let same = ask(&mut hub, &line, &[("accept", accept), ("if-none-match", &tag)], "");
        assert_eq!(same.status(), 304);
        assert_ne!(header(&ask(&mut hub, &line, &[], ""), "etag"), tag);
    }
}

#[test]
fn rate_limit_is_free_truthful_and_by_resource() {
    let mut hub = hub();
    get(&mut hub, "octocat", "/user");
    get(&mut hub, "octocat", "/search/users?q=octocat");
    graphql(&mut hub, "{ viewer { login } }", &json!({}));
    for _ in 0..2 {
        let response = get(&mut hub, "octocat", "/rate_limit");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        let body = json(&response);
        let used = |name: &str| body["resources"][name]["used"].as_u64().unwrap();
        assert_eq!(["core", "search", "graphql", "code_search", "scim"].map(used), [1, 1, 1, 0, 0]);
        assert_eq!((&body["resources"]["search"]["limit"], &body["rate"]["remaining"]), (&json!(30), &json!(4_999)));
    }
    assert_eq!(json(&get(&mut hub, "anonymous", "/rate_limit"))["resources"]["core"]["limit"], 60);
}

#[test]
fn head_of_the_root_and_meta_are_answered_to_everybody() {
    let mut hub = hub();
    for path in ["/", "/meta"] {
        let response = ask(&mut hub, &format!("anonymous HEAD {path}"), &[], "");
        assert_eq!((response.status().as_u16(), response.body().len()), (200, 0), "{path}");
        assert!(!response.headers().contains_key("x-github-enterprise-version"));
    }
}
