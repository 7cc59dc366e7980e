use super::*;

const REPO: &str = "/repos/octocat/Hello-World";

/// Where a GET by `octocat` is redirected to.
fn location(hub: &mut Hub, path: &str, headers: &[(&str, &str)]) -> String {
    let response = ask(hub, &format!("octocat GET {path}"), headers, "");
    assert_eq!(response.status(), 302, "{path}");
    assert!(!response.headers().contains_key("etag") && !response.headers().contains_key("cache-control"));
    header(&response, "location").to_owned()
}

fn ended_run(hub: &Hub) -> u64 {
    let runs = hub.runs("octocat/Hello-World");
    runs[runs.len() - 2]
}

#[test]
fn what_is_large_lies_on_another_host_under_a_signature() {
    let mut hub = hub();
    let run = ended_run(&hub);
    let octets = [("accept", "application/octet-stream")];
    for (path, host, headers) in [
        (format!("{REPO}/actions/runs/{run}/logs"), "productionresultssa7.blob.core.windows.net", &[][..]),
        (format!("{REPO}/actions/jobs/{run}0/logs"), "productionresultssa7.blob.core.windows.net", &[]),
        (format!("{REPO}/actions/artifacts/{run}9/zip"), "productionresultssa7.blob.core.windows.net", &[]),
        (format!("{REPO}/releases/assets/129626930"), "release-assets.githubusercontent.com", &octets),
        (format!("{REPO}/zipball/v1.0.0"), "codeload.github.com", &[]),
        ("/repos/octocat/diary/tarball".to_owned(), "codeload.github.com", &[]),
        (
            "/octocat/Hello-World/releases/download/v1.0.0/app.tar.gz".to_owned(),
            "release-assets.githubusercontent.com",
            &[],
        ),
    ] {
        let url = location(&mut hub, &path, headers);
        assert!(url.starts_with(&format!("https://{host}/")), "{path}: {url}");
        let response = fetch(&mut hub, &url, &[], NOW);
        assert_eq!(response.status(), 200, "{url}");
        assert!(response.body().len() > 50 && !response.headers().contains_key("x-ratelimit-limit"), "{url}");
        let by_host = url.strip_prefix(&format!("https://{host}")).unwrap();
        assert_eq!(fetch(&mut hub, by_host, &[("host", host)], NOW).status(), 200);
    }
    let counts = hub.counts();
    assert_eq!((counts.kinds["storage"].requests, counts.kinds["storage"].charged), (14, 0));
    assert!(counts.rows.iter().all(|row| !row.path.contains("sig=")), "a signature is a credential");
}

#[test]
fn a_signature_ends_is_for_one_path_and_wants_no_token_beside_it() {
    let mut hub = hub();
    let run = ended_run(&hub);
    let url = location(&mut hub, &format!("{REPO}/actions/runs/{run}/logs"), &[]);
    let refused = |hub: &mut Hub, url: &str, headers: &[(&str, &str)], now| {
        let response = fetch(hub, url, headers, now);
        (response.status().as_u16(), header(&response, "x-ms-error-code").to_owned())
    };
    assert_eq!(refused(&mut hub, &url, &[], NOW + 299).0, 200);
    assert_eq!(refused(&mut hub, &url, &[], NOW + 300), (403, "AuthenticationFailed".to_owned()));
    assert_eq!(refused(&mut hub, url.split('?').next().unwrap(), &[], NOW).0, 403);
    let other = url.replace(&run.to_string(), &(run - 1).to_string());
    assert_eq!(refused(&mut hub, &other, &[], NOW).0, 403);
    let token = [("authorization", "token octocat-t")];
    assert_eq!(refused(&mut hub, &url, &token, NOW), (400, "InvalidAuthenticationInfo".to_owned()));
    assert_eq!(hub.counts().total.leaked, 1);
}

#[test]
fn private_sources_need_their_signature_and_public_ones_none() {
    let mut hub = hub();
    let private = location(&mut hub, "/repos/octocat/diary/zipball/main", &[]);
    assert_eq!(fetch(&mut hub, private.split('?').next().unwrap(), &[], NOW).status(), 404);
    assert!(!location(&mut hub, &format!("{REPO}/zipball/main"), &[]).contains('?'));

    let file = json(&get(&mut hub, "octocat", "/repos/octocat/diary/contents/README.md"));
    let url = file["download_url"].as_str().unwrap();
    assert!(url.starts_with("https://raw.githubusercontent.com/octocat/diary/main/README.md?token="));
    assert!(fetch(&mut hub, url, &[], NOW).body().starts_with(b"# diary"));
    assert_eq!(fetch(&mut hub, url.split('?').next().unwrap(), &[], NOW).status(), 404);
}

#[test]
fn large_things_are_made_on_demand_and_ranges_cut_out_of_them() {
    let mut hub = hub();
    let run = ended_run(&hub);
    let id = hub.add_artifact("octocat/Hello-World", run, "large", 5 << 20).unwrap();
    hub.set_log_bytes("octocat/Hello-World", run, 1 << 20).unwrap();
    let url = location(&mut hub, &format!("{REPO}/actions/artifacts/{id}/zip"), &[]);
    assert!(fetch(&mut hub, &url, &[], NOW).body().len() > 5 << 20);
    let part = fetch(&mut hub, &url, &[("range", "bytes=0-3")], NOW);
    assert_eq!((part.status().as_u16(), &part.body()[..]), (206, &b"PK\x03\x04"[..]));
    let url = location(&mut hub, &format!("{REPO}/actions/runs/{run}/logs"), &[]);
    assert!(fetch(&mut hub, &url, &[], NOW).body().len() > 3 << 20);
    assert!(hub.add_artifact("octocat/Hello-World", 1, "x", 1).is_err());
}

#[test]
fn one_port_can_answer_for_every_store() {
    let mut hub = hub();
    hub.storage_url = Some("http://localhost:9".to_owned());
    let url =
        location(&mut hub, &format!("{REPO}/releases/assets/129626931"), &[("accept", "application/octet-stream")]);
    assert!(url.starts_with("http://localhost:9/_storage/release-assets.githubusercontent.com/"), "{url}");
    assert_eq!(fetch(&mut hub, &url, &[], NOW).body().len(), 640);
}

#[test]
fn a_run_that_goes_on_has_no_logs_yet() {
    let mut hub = hub();
    let run = *hub.runs("octocat/Hello-World").last().unwrap();
    let path = format!("{REPO}/actions/runs/{run}/logs");
    assert_eq!(get(&mut hub, "octocat", &path).status(), 404);
    hub.set_run("octocat/Hello-World", run, "completed", Some("success"), NOW).unwrap();
    assert_eq!(get(&mut hub, "octocat", &path).status(), 302);
}
