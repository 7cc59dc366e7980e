use super::*;

fn ghes() -> Hub {
    let mut hub = hub();
    hub.enterprise = Some("3.17.0".to_owned());
    hub.api_url = "https://ghes.example/api/v3".to_owned();
    hub
}

#[test]
fn a_ghes_has_its_api_under_a_prefix_and_says_its_version() {
    let mut hub = ghes();
    let response = get(&mut hub, "octocat", "/api/v3/repos/octocat/Hello-World/issues");
    assert_eq!((response.status().as_u16(), header(&response, "x-github-enterprise-version")), (200, "3.17.0"));
    assert!(header(&response, "link").starts_with("<https://ghes.example/api/v3/repositories/1296269/issues?"));
    assert_eq!(json(&get(&mut hub, "anonymous", "/api/v3/meta"))["installed_version"], "3.17.0");
    assert_eq!(ask(&mut hub, "anonymous HEAD /api/v3/", &[], "").status(), 200);
    assert_eq!(ask(&mut hub, "anonymous HEAD /api/v3", &[], "").status(), 200);
    assert_eq!(get(&mut hub, "octocat", "/repos/octocat/Hello-World").status(), 404);
    let query = r#"{"query":"{ viewer { login } }"}"#;
    let told = ask(&mut hub, "octocat POST /api/graphql", &[], query);
    assert_eq!(json(&told)["data"]["viewer"]["login"], "octocat");
}

#[test]
fn a_ghes_has_no_limits() {
    let mut hub = ghes();
    for _ in 0..5 {
        let response = get(&mut hub, "surtur", "/api/v3/user");
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("x-ratelimit-limit"));
    }
    let refused = get(&mut hub, "surtur", "/api/v3/rate_limit");
    assert_eq!((refused.status().as_u16(), &json(&refused)["message"]), (404, &json!("Rate limiting is not enabled.")));
    assert_eq!(hub.counts().total.charged, 0);
}

#[test]
fn github_itself_has_no_such_prefix() {
    let mut hub = hub();
    for path in ["/api/v3/user", "/api/graphql"] {
        assert_eq!(get(&mut hub, "octocat", path).status(), 404, "{path}");
    }
}
