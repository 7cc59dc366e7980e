//! The paths by which clients with a base URL come, and what they are told about where to go on.

use crate::{
    http::{self, Reply},
    world::{GitHub, Machine, Setup, TOKEN},
};

const ISSUES: &str = "/repos/octocat/Hello-World/issues?per_page=10";

/// Both bases of a door: bare, and as an Enterprise Server has it.
const PREFIXES: [&str; 2] = ["", "/api/v3"];

#[test]
fn the_root_and_meta_answer_by_every_base() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    for path in ["/", "/api/v3", "/api/v3/"] {
        let (head, get) = (machine.request("HEAD", path, Some(TOKEN), ""), machine.get(path, Some(TOKEN)));
        assert_eq!((head.status, head.body.len(), get.status), (200, 0, 200), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        // Below /api/v3 it is as at an Enterprise Server, which names itself.
        let names =
            if path == "/" { "https://api.github.com".to_owned() } else { format!("http://{}/api/v3", machine.base()) };
        assert_eq!(get.json()["rate_limit_url"], format!("{names}/rate_limit"), "{path}");
        // github.com is no Enterprise Server, and has no such version.
        assert_eq!(head.header("x-github-enterprise-version"), "", "{path}");
    }
    for path in ["/meta", "/api/v3/meta"] {
        let meta = machine.get(path, Some(TOKEN));
        assert!(meta.json()["hooks"].is_array() && meta.json()["installed_version"].is_null(), "{}", meta.text());
    }
    assert_eq!((github.count("/").requests, github.count("/meta").requests), (1, 1), "one key for all of them");
}

#[test]
fn an_enterprise_server_tells_its_version_from_the_cache_too() {
    let github = GitHub::start();
    let api = format!("{}/api/v3", github.url);
    github.hub().enterprise = Some("3.17.0".to_owned());
    github.hub().api_url.clone_from(&api);
    let machine = Setup::new(&github).env("GHOARD_ORIGIN", api).start();
    for path in ["/", "/api/v3/", "/api/v3"] {
        let head = machine.request("HEAD", path, Some(TOKEN), "");
        assert_eq!((head.status, head.header("x-github-enterprise-version")), (200, "3.17.0"), "{path}");
    }
    assert_eq!(machine.get("/api/v3/meta", Some(TOKEN)).json()["installed_version"], "3.17.0");
    assert_eq!(github.hub().counts().total.requests, 2);
    for prefix in PREFIXES {
        let next = machine.get(&format!("{prefix}{ISSUES}"), Some(TOKEN)).header("link").to_owned();
        assert!(next.contains(&format!("<http://{}{prefix}/repositories/1296269/issues?", machine.base())), "{next}");
    }
}

#[test]
fn graphql_is_found_by_both_of_its_paths() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    for path in ["/graphql", "/api/graphql"] {
        let body = r#"{"query":"query { viewer { login } }"}"#;
        let reply = called(&machine, "POST", path, &machine.base().to_string(), body);
        assert_eq!(reply.json()["data"]["viewer"]["login"], "octocat", "{path}: {}", reply.text());
    }
}

#[test]
fn links_and_redirects_lead_back_by_the_base_that_the_client_came_by() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let localhost = format!("localhost:{}", machine.base().port());
    github.hub().rename("octocat/Hello-World", "Moved").unwrap();
    for prefix in PREFIXES {
        // Both names are this door's; what is told is the configured one, whatever `Host` says.
        for host in [&machine.base().to_string(), &localhost] {
            let base = format!("http://{}{prefix}/repositories/1296269", machine.base());
            let listing =
                called(&machine, "GET", &format!("{prefix}{}", ISSUES.replace("Hello-World", "Moved")), host, "");
            for relation in ["next", "last"] {
                let link =
                    listing.header("link").split(", ").find(|link| link.ends_with(&format!("rel=\"{relation}\"")));
                assert!(link.unwrap().starts_with(&format!("<{base}/issues?")), "{prefix} {host}: {link:?}");
            }
            let moved = called(&machine, "GET", &format!("{prefix}/repos/octocat/Hello-World"), host, "");
            assert_eq!((moved.status, moved.header("location")), (301, &*base), "{prefix} {host}");
        }
    }
}

#[test]
fn large_bodies_and_redirects_to_storage_pass_through_by_both_bases() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let bytes = 17 << 20;
    let run = github.hub().runs("octocat/Hello-World")[0];
    for prefix in PREFIXES {
        let blob = machine.get(&format!("{prefix}/repos/octocat/Hello-World/git/blobs/size-{bytes}"), Some(TOKEN));
        assert_eq!((blob.status, blob.body.len()), (200, bytes), "{prefix}");
        let logs = machine.get(&format!("{prefix}/repos/octocat/Hello-World/actions/runs/{run}/logs"), Some(TOKEN));
        assert_eq!(logs.status, 302, "{prefix}: {}", logs.text());
        assert!(logs.header("location").starts_with("https://productionresultssa7.blob.core.windows.net/"));
    }
}

/// Calls a machine's door by a name of one's choice.
fn called(machine: &Machine, method: &str, path: &str, host: &str, body: &str) -> Reply {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\nHost: {host}\nAuthorization: Bearer {TOKEN}\nContent-Length: {length}");
    http::exchange(http::tcp(machine.base()), &head, body.as_bytes())
}
