//! The real gh, by the socket and straight, and clients with a base URL.

use std::process::{Command, Output};

use fakehub::{Options, tls};
use task::Tasks;

use crate::{
    http,
    world::{GitHub, Machine, Setup, TOKEN, has_gh},
};

/// What gh is asked, both ways. `{n}` is replaced by a number of the way.
const COMMANDS: [&[&str]; 8] = [
    &["api", "/repos/octocat/Hello-World"],
    &["api", "repos/octocat/Hello-World/issues?per_page=20", "--paginate", "--jq", ".[].number"],
    &["api", "graphql", "-f", "query=query { viewer { login } }"],
    &["api", "-X", "PATCH", "/repos/octocat/Hello-World/issues/2", "-f", "title=as gh wrote it", "--jq", ".title"],
    &["api", "-X", "POST", "/repos/octocat/Hello-World/issues", "-f", "title=new", "--jq", ".title"],
    &["api", "/repos/octocat/Hello-World/issues/2", "--jq", ".title"],
    &["api", "/repos/octocat/no-such-repository"],
    &["api", "/repos/acme/secret/branches", "-i", "--jq", ".[].name"],
];

/// gh without ghoard: over TLS and a proxy, to the same hub.
fn straight(setup: &Setup, proxy: &tls::Proxy, arguments: &[&str]) -> Output {
    let mut gh = setup.home.command("gh");
    direct(setup, proxy, &mut gh);
    gh.args(arguments).output().unwrap()
}

fn direct(setup: &Setup, proxy: &tls::Proxy, gh: &mut Command) {
    let ca = setup.home.write("ca.pem", &proxy.ca_pem);
    gh.env("HTTPS_PROXY", proxy.url()).env("SSL_CERT_FILE", ca).env("GH_TOKEN", TOKEN);
}

fn proxy(github: &GitHub) -> tls::Proxy {
    let _context = github.runtime.enter();
    let options = Options { control: false };
    github.runtime.block_on(tls::serve(&Tasks::tokio(), github.shared_hub(), options)).unwrap()
}

/// Standard output without the headers of the moment, which `-i` shows.
fn told(output: &Output) -> (String, Option<i32>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let kept = |line: &&str| !line.contains(": ") || line.trim_start().starts_with('"') || line.starts_with('{');
    (text.lines().filter(kept).collect::<Vec<_>>().join("\n"), output.status.code())
}

#[test]
fn gh_says_the_same_by_the_socket_as_straight() {
    if !has_gh("gh_says_the_same_by_the_socket_as_straight") {
        return;
    }
    // Two hubs of one seed, so that a write on one way does not show on the other.
    let (by_socket, direct) = (GitHub::start(), GitHub::start());
    let machine = Setup::new(&by_socket).start();
    let straight_setup = Setup::new(&direct);
    let proxy = proxy(&direct);
    for arguments in COMMANDS {
        let (through, plain) = (machine.gh(arguments, TOKEN), straight(&straight_setup, &proxy, arguments));
        assert_eq!(told(&through), told(&plain), "{arguments:?}: {}", String::from_utf8_lossy(&through.stderr));
        // And from the cache, where it is a read.
        if !arguments.contains(&"POST") {
            assert_eq!(told(&machine.gh(arguments, TOKEN)), told(&plain), "{arguments:?}, the second time");
        }
    }
    let path = "/repos/octocat/Hello-World";
    assert_eq!(by_socket.count(path).requests, 1, "the second time came from the cache");
}

#[test]
fn with_the_daemon_stopped_ghoard_gh_goes_straight_and_works() {
    if !has_gh("with_the_daemon_stopped_ghoard_gh_goes_straight_and_works") {
        return;
    }
    let github = GitHub::start();
    let proxy = proxy(&github);
    let (setup, code) = Setup::new(&github).start().terminate();
    assert_eq!(code, Some(0));
    let mut gh = setup.command("gh");
    direct(&setup, &proxy, &mut gh);
    let output = gh.args(["api", "/repos/octocat/Hello-World", "--jq", ".full_name"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "octocat/Hello-World\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("going direct"));
}

#[test]
fn setup_gh_points_the_plain_gh_at_the_cache() {
    if !has_gh("setup_gh_points_the_plain_gh_at_the_cache") {
        return;
    }
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    assert!(machine.setup.command("setup gh").status().unwrap().success());
    let asked = |machine: &Machine| {
        let mut gh = machine.setup.home.command("gh");
        gh.args(["api", "/repos/octocat/Hello-World", "--jq", ".id"]).env("GH_TOKEN", TOKEN).output().unwrap()
    };
    assert_eq!(String::from_utf8_lossy(&asked(&machine).stdout), "1296269\n");
    assert_eq!(String::from_utf8_lossy(&asked(&machine).stdout), "1296269\n");
    assert_eq!(github.count("/repos/octocat/Hello-World").requests, 1);
}

#[test]
fn a_base_url_client_stays_on_the_base_url() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    for prefix in ["", "/api/v3"] {
        let page = machine.get(&format!("{prefix}/repos/octocat/Hello-World/issues?per_page=10"), Some(TOKEN));
        let next = page.header("link").to_owned();
        assert!(next.contains(&format!("<http://{}{prefix}/repositories/1296269/issues?", machine.base())), "{next}");
        assert!(!next.contains("api.github.com"), "{next}");
    }
    let by_socket = http::exchange(
        http::unix(&machine.socket()),
        &format!(
            "GET /repos/octocat/Hello-World/issues?per_page=10 HTTP/1.1\nHost: api.github.com\nAuthorization: token {TOKEN}"
        ),
        b"",
    );
    assert!(by_socket.header("link").contains("<https://api.github.com/repositories/"), "{:?}", by_socket.headers);
    assert_eq!(github.count("/repos/octocat/Hello-World/issues?per_page=10").requests, 1, "one key for all of them");
}

#[test]
fn each_client_gets_its_own_form_of_one_answer() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let path = "/repos/octocat/Hello-World/issues";
    let plain = machine.get(path, Some(TOKEN));
    let curl = machine.request("GET", path, Some(TOKEN), "\nUser-Agent: curl/8.0");
    assert!(curl.text().starts_with("[\n  {\n    \""), "curl sees it laid out");
    assert_eq!(curl.json(), plain.json());
    let packed = machine.request("GET", path, Some(TOKEN), "\nAccept-Encoding: gzip");
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len());
    let etag = plain.header("etag").to_owned();
    let unchanged = machine.request("GET", path, Some(TOKEN), &format!("\nIf-None-Match: {etag}"));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let head = machine.request("HEAD", path, Some(TOKEN), "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), plain.body.len().to_string());
    assert_eq!(github.count(path).requests, 1);
    let before: u64 = plain.header("x-ratelimit-remaining").parse().unwrap();
    machine.get("/repos/octocat/Hello-World", Some(TOKEN));
    let hit = machine.get(path, Some(TOKEN));
    assert_eq!(hit.header("x-ratelimit-remaining"), (before - 1).to_string(), "the limits are those of now");
}

#[test]
fn an_expired_answer_is_confirmed_free_of_charge() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "0").start();
    let path = "/repos/octocat/Hello-World";
    let first = machine.get(path, Some(TOKEN));
    for _ in 0..3 {
        let again = machine.get(path, Some(TOKEN));
        assert_eq!(again.body, first.body);
        assert!(again.header("cache-status").contains("fwd-status=304"), "{:?}", again.headers);
    }
    let tally = github.count(path);
    assert_eq!((tally.charged, tally.not_modified), (1, 3));
}

#[test]
fn a_body_over_the_limit_streams_through() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let bytes = 17 << 20;
    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}");
    for asked in 1..=2 {
        assert_eq!(machine.get(&path, Some(TOKEN)).body.len(), bytes);
        assert_eq!(github.count(&path).requests, asked, "it is not kept");
    }
}
