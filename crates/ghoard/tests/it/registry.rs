//! Machines that share nothing but a repository and a secret find each other in an issue of it.

use std::{
    net::{IpAddr, UdpSocket},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    http,
    world::{GitHub, Machine, OUTSIDER, SECRET, Setup, TOKEN, wait_until},
};

const REPO: &str = "octocat/Hello-World";

/// An address of this machine that is not loopback: such a one never goes into the registry. What is sent
/// to it does not leave the machine. Nothing is sent here: a UDP socket only looks for its way.
fn outside_address(test: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let ip = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).ok().map(|address| address.ip());
    let ip = ip.filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
    assert!(ip.is_some() || std::env::var_os("CI").is_none(), "CI needs an address that is not loopback");
    if ip.is_none() {
        eprintln!("{test} is skipped: this machine has loopback alone");
    }
    ip
}

/// A machine that has no other way to find anybody.
fn member(github: &GitHub, ip: IpAddr, secret: &str, name: &str) -> Setup {
    Setup::new(github)
        .member(secret, "off", name)
        .env("GHOARD_LISTEN_ADDRESS", ip.to_string())
        .env("IPFS_ACCELERATE_P2P_FORCE_LOCALHOST", "0")
        .env("GHOARD_MDNS", "false")
        .env("GHOARD_PEER_EXCHANGE", "false")
        .env("GITHUB_REPOSITORY", REPO)
        .env("GITHUB_TOKEN", TOKEN)
}

fn kind(machine: &Machine, name: &str) -> Value {
    machine.status("/api/mcp/peers").json()["connectivity"]["discovery"]["kinds"][name].clone()
}

/// A request to GitHub itself.
fn github_says(github: &GitHub, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let address = github.url.strip_prefix("http://").unwrap().parse().unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\nHost: api.github.com\nAuthorization: Bearer {token}\nContent-Length: {length}"
    );
    http::exchange(http::tcp(address), &head, body.as_bytes()).json()
}

fn issue(github: &GitHub) -> u64 {
    let issues = github_says(github, "GET", &format!("/repos/{REPO}/issues?per_page=100"), TOKEN, &Value::Null);
    let issues = issues.as_array().unwrap().iter().filter(|issue| issue["title"] == "p2p-peer-registry");
    issues.map(|issue| issue["number"].as_u64().unwrap()).min().unwrap()
}

fn comments(github: &GitHub) -> Vec<String> {
    let path = format!("/repos/{REPO}/issues/{}/comments?per_page=100", issue(github));
    let comments = github_says(github, "GET", &path, TOKEN, &Value::Null);
    comments.as_array().unwrap().iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
}

/// Requests that wrote something there, and readings of the comments that were charged.
fn cost(github: &GitHub) -> (u64, u64) {
    let counts = github.hub().counts();
    let issues = format!("/repos/{REPO}/issues");
    let of = |is_it: &dyn Fn(&str, &str) -> bool, tally: fn(&fakehub::Tally) -> u64| {
        let rows = counts.rows.iter().filter(|row| row.path.starts_with(&issues) && is_it(&row.method, &row.path));
        rows.map(|row| tally(&row.tally)).sum::<u64>()
    };
    let edits = of(&|method, _| matches!(method, "POST" | "PATCH"), |tally| tally.requests);
    let readings = of(&|method, path| method == "GET" && path.contains("/comments?"), |tally| tally.charged);
    (edits, readings)
}

#[test]
fn two_machines_that_share_nothing_but_a_repository_and_a_secret_find_each_other() {
    let Some(ip) = outside_address("two_machines_that_share_nothing_but_a_repository_and_a_secret") else { return };
    let github = GitHub::start();
    let a = member(&github, ip, SECRET, "a").start();
    wait_until("a has left its comment", || kind(&a, "issue_registry")["registry"]["is_writer"] == true);
    let (edits, _) = cost(&github);
    assert_eq!(edits, 2, "the issue and one comment");

    // What others write there changes nothing: people, the reference's plain records, another fleet, a copy
    // of a's own comment, and one that was changed.
    let path = format!("/repos/{REPO}/issues/{}/comments", issue(&github));
    let own = comments(&github).pop().unwrap();
    let evil = "/ip4/192.0.2.66/tcp/9100/p2p/12D3KooWA1b1NbSHiAT5CSTPaNzJDzDyKpzMsQQNTzBQoTqFpWLR";
    let planted =
        format!("<!-- p2p-peer-registry:evil -->\n```json\n{{\"peer_id\": \"x\", \"multiaddr\": \"{evil}\"}}\n```");
    let changed = own.replacen("ghoard\": \"", "ghoard\": \"AAAA", 1);
    for text in ["what is this?", &planted, &changed, &own, &"long ".repeat(5000)] {
        github_says(&github, "POST", &path, OUTSIDER, &json!({ "body": text }));
    }
    let stranger = member(&github, ip, "the secret of another team, quite long", "stranger").start();
    wait_until("the stranger has left its comment", || {
        kind(&stranger, "issue_registry")["registry"]["is_writer"] == true
    });
    assert_eq!(kind(&stranger, "issue_registry")["addresses"], 0, "a stranger learns no address");

    let b = member(&github, ip, SECRET, "b").start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    assert_eq!(a.stat("connected_peers"), 1);
    let found = kind(&b, "issue_registry");
    assert_eq!(
        (&found["configured"], &found["running"], &found["has_worked"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert!(found["last_success"].is_string() && found["trouble"].is_null(), "{found}");
    assert!(found["addresses"].as_u64() >= Some(1), "one for each transport: {found}");
    let skipped = &found["registry"]["skipped"];
    assert_eq!((&skipped["foreign"], &skipped["oversized"]), (&json!(4), &json!(1)), "{found}");
    for other in ["static", "dns", "file", "mdns", "peer_exchange"] {
        assert_eq!(kind(&b, other)["addresses"], 0, "{other}");
    }
    let lonely = stranger.stats();
    let why = lonely["connected_peers_why"].as_str().unwrap();
    assert!(why.contains("no address of another machine was found") && why.contains("issue_registry"), "{why}");

    for comment in comments(&github) {
        assert!(!comment.contains(&ip.to_string()) || comment == planted, "an address leaked: {comment}");
    }
    let (edits, readings) = cost(&github);
    // Ours: the issue, and a comment of each of three; five are a stranger's.
    assert!(edits - 5 <= 4, "{edits} edits");
    assert!(readings <= 16, "{readings} charged readings of three machines");

    // Who stops in order takes its comment back.
    let before = comments(&github).len();
    stranger.terminate();
    assert_eq!(comments(&github).len(), before - 1);
}

/// The runbook's commands, section 6.
#[test]
fn a_reader_and_a_writer_meet_by_a_repository_and_leave_nothing_behind() {
    let Some(ip) = outside_address("a_reader_and_a_writer_meet_by_a_repository_and_leave_nothing_behind") else {
        return;
    };
    let github = GitHub::start();
    let run = |name: &str, arguments: &str| {
        let setup = member(&github, ip, SECRET, name);
        let mut command = setup.command(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (setup, child)
    };
    let (_home_a, reader) = run("laptop-a", "smoke --read --synthetic --wait-seconds 120 --verbose");
    let (_home_b, writer) = run("laptop-b", "smoke --write --synthetic --verbose");
    for (who, child) in [("the writer", writer), ("the reader", reader)] {
        let output = child.wait_with_output().unwrap();
        let (told, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{who}:\n{told}\n{log}");
        let expected = if who == "the reader" { "Received cache entry!" } else { "A peer was told of the entry." };
        assert!(told.contains(expected), "{who}:\n{told}\n{log}");
    }
    assert_eq!(comments(&github), Vec::<String>::new(), "who ends takes its comment back");
}

#[test]
fn without_a_token_or_with_an_empty_budget_nothing_is_asked() {
    let Some(ip) = outside_address("without_a_token_or_with_an_empty_budget_nothing_is_asked") else { return };
    let github = GitHub::start();
    let mut setup = member(&github, ip, SECRET, "a");
    setup.env.retain(|(name, _)| name != "GITHUB_TOKEN");
    let a = setup.start();
    assert!(a.log.text().contains("there is no token to read its issues with"), "{}", a.log.text());
    let registry = kind(&a, "issue_registry");
    assert_eq!((&registry["configured"], &registry["running"]), (&true.into(), &false.into()), "{registry}");
    assert!(registry["trouble"].as_str().is_some_and(|trouble| trouble.contains("no token")), "{registry}");
    assert_eq!(github.hub().counts().total.requests, 0);
    drop(a);

    // Actions sets the variable in every job.
    let a = member(&github, ip, SECRET, "a").env("GITHUB_ACTIONS", "true").start();
    assert_eq!(kind(&a, "issue_registry")["configured"], false);
    drop(a);

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    github.hub().exhaust("octocat", now);
    let a = member(&github, ip, SECRET, "a").start();
    // The first answer says that nothing is left; from then on it asks for nothing.
    wait_until("it has asked once", || github.hub().counts().total.requests >= 1);
    assert_eq!(a.get("/repos/octocat/Hello-World", Some(TOKEN)).status, 403);
    let asked = github.hub().counts().total.requests;
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(github.hub().counts().total.requests, asked, "it goes on asking");
}
