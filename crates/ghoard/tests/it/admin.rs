//! What the operator asks of a running daemon by its own socket: why, invalidate, savings.

use std::{os::unix::fs::PermissionsExt, process::Output};

use crate::{
    http,
    world::{GitHub, Machine, OUTSIDER, Setup, TOKEN, two_members, wait_until},
};

const SECRET_REPO: &str = "/repos/acme/secret/branches";
const HELLO: &str = "/repos/octocat/Hello-World";
const SPOON: &str = "/repos/octocat/Spoon-Knife";

fn machine(github: &GitHub) -> Machine {
    Setup::new(github).env("CACHE_DEFAULT_TTL", "600").start()
}

fn run(machine: &Machine, command: &str, token: Option<&str>) -> Output {
    let mut command = machine.setup.command(command);
    if let Some(token) = token {
        command.env("GH_TOKEN", token);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

fn why(machine: &Machine, question: &str, token: Option<&str>) -> serde_json::Value {
    let output = run(machine, &format!("why --json {question}"), token);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    json(&output)
}

fn invalidate(machine: &Machine, pattern: &str) -> (serde_json::Value, Option<i32>) {
    let output = run(machine, &format!("invalidate --json {pattern}"), None);
    (json(&output), output.status.code())
}

fn is_hit(machine: &Machine, path: &str) -> bool {
    machine.get(path, Some(TOKEN)).header("cache-status").starts_with("ghoard; hit")
}

fn kept(machine: &Machine, entries: u64) {
    wait_until("the answers are on the disk", || machine.stat("cache_size") == entries);
}

#[test]
fn why_tells_what_is_held_for_this_credential_and_what_comes_next() {
    let github = GitHub::start();
    let machine = machine(&github);
    let question = format!("GET {SECRET_REPO}");
    let before = why(&machine, &question, Some(TOKEN));
    assert_eq!((&before["plan"], &before["held"]), (&"cache".into(), &serde_json::Value::Null));
    assert_eq!(before["family"], "api.github.com/repos/acme/secret");
    assert_eq!(before["selects"]["accept"], "application/vnd.github+json");
    assert_eq!(machine.get(SECRET_REPO, Some(TOKEN)).status, 200);
    let requests = github.hub().counts().total.requests;

    let after = why(&machine, &question, Some(TOKEN));
    assert_eq!(after["key"], before["key"]);
    assert_eq!((&after["held"]["in"], &after["held"]["from"]), (&"memory".into(), &"origin".into()));
    assert_eq!((&after["held"]["status"], &after["held"]["has_etag"]), (&200.into(), &true.into()));
    assert!(after["held"]["fresh_for_seconds"].as_i64().unwrap() > 500);
    assert_eq!(after["next"], serde_json::json!(["hit: answer from here"]));
    let shown = text(&run(&machine, &format!("why GET {SECRET_REPO}"), Some(TOKEN)));
    assert!(shown.contains("held        in memory, from the origin: status 200"), "{shown}");

    // The same question in the client's own words is another one.
    let raw = run(&machine, &format!("why --json {question} -H Accept:application/vnd.github.raw+json"), Some(TOKEN));
    assert_ne!(json(&raw)["key"], after["key"]);
    let revalidating = run(&machine, &format!("why --json {question} -H Cache-Control:no-cache"), Some(TOKEN));
    assert!(json(&revalidating)["next"].to_string().contains("its own ETag"), "{revalidating:?}");

    kept(&machine, 1);
    let machine = machine.kill().start();
    assert_eq!(why(&machine, &question, Some(TOKEN))["held"]["in"], "disk");
    assert_eq!(github.hub().counts().total.requests, requests, "to ask why costs nothing");
}

#[test]
fn why_tells_nothing_of_what_another_credential_holds() {
    let github = GitHub::start();
    let machine = machine(&github);
    let question = format!("GET https://api.github.com{SECRET_REPO}");
    let before = [Some(OUTSIDER), None].map(|token| why(&machine, &question, token));
    assert_eq!(machine.get(SECRET_REPO, Some(TOKEN)).status, 200);
    kept(&machine, 1);
    assert_eq!([Some(OUTSIDER), None].map(|token| why(&machine, &question, token)), before);
}

#[test]
fn why_knows_writes_passes_refusals_and_keeps_secrets_to_itself() {
    let github = GitHub::start();
    let machine = machine(&github);
    let write = why(&machine, "PATCH /repos/Octocat/Hello-World/issues/7", None);
    assert_eq!(write["plan"], "write");
    assert!(write["touches"].to_string().contains("\"api.github.com/repos/octocat/hello-world\""), "{write}");
    assert_eq!(why(&machine, "DELETE /repos/octocat/Hello-World", None)["touches"], "everything");

    assert!(why(&machine, "POST /graphql", None)["why"].to_string().contains("depends on the document"));
    let missing = format!("{HELLO}/issues/99999");
    assert_eq!(machine.get(&missing, Some(TOKEN)).status, 404);
    let told_again = why(&machine, &format!("GET {missing}"), Some(TOKEN));
    assert_eq!((&told_again["held"]["status"], &told_again["next"][0]), (&404.into(), &"hit: answer from here".into()));

    let query = format!("{HELLO}?access_token=ghp_inTheQuery&page=2");
    let output = run(&machine, &format!("why GET {query}"), Some(TOKEN));
    let shown = text(&output);
    assert!(shown.contains("access_token=***&page=2") && shown.contains("a credential in the query"), "{shown}");
    assert_eq!(why(&machine, "GET https://example.org/x", None)["plan"], "pass");

    let refused = run(&machine, "why GET /repos/../user", None);
    let said = String::from_utf8(refused.stderr.clone()).unwrap();
    assert_eq!(
        (refused.status.code(), said.lines().next()),
        (Some(2), Some("error: the path has a . or .. segment; send the path it resolves to"))
    );
    for place in [&machine.log.text(), &machine.told.text(), &shown, &String::from_utf8(output.stderr).unwrap()] {
        assert!(!place.contains(TOKEN) && !place.contains("inTheQuery"), "{place}");
    }
}

#[test]
fn a_repository_is_dropped_for_every_credential_and_for_good() {
    let github = GitHub::start();
    let machine = machine(&github);
    for token in [TOKEN, OUTSIDER] {
        machine.get(HELLO, Some(token));
    }
    machine.get(SPOON, Some(TOKEN));
    kept(&machine, 3);
    assert!(is_hit(&machine, HELLO) && is_hit(&machine, SPOON));

    let (done, code) = invalidate(&machine, "OctoCat/hello-world");
    assert_eq!((code, &done["repositories"], &done["entries"]), (Some(0), &1.into(), &2.into()), "{done}");
    assert_eq!((&done["everything_doubted"], &done["other_machines_told"]), (&false.into(), &false.into()));
    let machine = machine.kill().start();
    assert!(is_hit(&machine, SPOON));
    for token in [TOKEN, OUTSIDER] {
        let asked = github.count(HELLO).requests;
        machine.get(HELLO, Some(token));
        assert_eq!(github.count(HELLO).requests, asked + 1);
    }

    // A list may show the repository and goes along, and is not it.
    machine.get("/user/repos", Some(TOKEN));
    kept(&machine, 4);
    let (done, code) = invalidate(&machine, "nobody/nothing");
    assert_eq!(done["entries"], 1, "{done}");
    assert_eq!((code, &done["matched"]), (Some(1), &false.into()), "{done}");
    let wrong = run(&machine, "invalidate a/b/c", None);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn a_url_goes_with_its_family_and_a_pattern_with_stars_as_far_as_it_must() {
    let github = GitHub::start();
    let machine = machine(&github);
    for path in [HELLO, SPOON, SECRET_REPO, "/user"] {
        machine.get(path, Some(TOKEN));
    }
    kept(&machine, 4);
    let (done, code) = invalidate(&machine, &format!("https://api.github.com{HELLO}/issues?page=2"));
    assert_eq!((code, &done["families"]), (Some(0), &serde_json::json!(["api.github.com/repos/octocat/hello-world"])));
    assert!(!is_hit(&machine, HELLO) && is_hit(&machine, SPOON) && is_hit(&machine, SECRET_REPO));

    let (done, _) = invalidate(&machine, "octocat/*");
    assert_eq!((&done["repositories"], &done["earlier_entries_doubted"]), (&2.into(), &true.into()), "{done}");
    assert!(is_hit(&machine, SECRET_REPO) && is_hit(&machine, "/user"), "what is known not to be meant stays");
    assert!(!is_hit(&machine, HELLO) && !is_hit(&machine, SPOON));

    // After a restart no family of the disk has a name any more.
    wait_until("all is on the disk", || machine.stat("cache_size") == 4);
    let machine = machine.kill().start();
    assert!(is_hit(&machine, "/user"));
    let said = run(&machine, "invalidate acme/*", None);
    assert_eq!(said.status.code(), Some(0));
    assert!(text(&said).contains("entries from before the last start are doubted as a whole"), "{said:?}");
    let setup = machine.kill();
    let machine = setup.start();
    for path in [HELLO, SPOON, SECRET_REPO, "/user"] {
        assert!(!is_hit(&machine, path), "{path}");
    }
}

#[test]
fn what_peers_have_announced_of_it_is_not_used_either() {
    for pattern in ["octocat/hello-world", "octocat/*"] {
        let github = GitHub::start();
        let (a, b) = two_members(&github);
        a.get(HELLO, Some(TOKEN));
        wait_until("b has heard of it", || b.stat("index_entries") == 1);
        // It has never been asked for at b, so b does not know it by name.
        invalidate(&b, pattern);
        wait_until("b has forgotten it", || b.stat("index_entries") == 0);
        assert!(!is_hit(&b, HELLO));
        assert_eq!(github.count(HELLO).requests, 2, "{pattern}");
        // The other machine is told of what has a name here, and of no pattern.
        match pattern {
            "octocat/*" => assert!(is_hit(&a, HELLO)),
            _ => wait_until("a has dropped it, too", || a.stat("count_tombstones_buried") == 1),
        }
    }
}

#[test]
fn why_names_the_patterns_of_the_operator_and_the_mode() {
    let github = GitHub::start();
    let setup =
        Setup::new(&github).env("GHOARD_NEVER_CACHE", "acme/*").env("GHOARD_NEVER_SHARE", "octocat/spoon-knife");
    let machine = setup.env("GHOARD_SHARE", "token").start();
    let excluded = why(&machine, &format!("GET {SECRET_REPO}"), Some(TOKEN));
    assert_eq!((&excluded["never_cache"], &excluded["share"]), (&"acme/*".into(), &"token".into()));
    assert_eq!(excluded["next"], serde_json::json!(["ask the origin, as never_cache says"]));
    // By the address of the door, as clients write it.
    let kept_here = why(&machine, &format!("GET http://{}{SPOON}", machine.base()), Some(TOKEN));
    assert_eq!(kept_here["never_share"], "octocat/spoon-knife");
    let machine = machine.kill().env("GHOARD_MODE", "shadow").start();
    let next = why(&machine, &format!("GET {SPOON}"), Some(TOKEN));
    assert_eq!(next["next"], serde_json::json!(["ask the origin, as mode = shadow always does"]));
}

#[test]
fn savings_are_counted_by_repository_and_told_to_the_operator_alone() {
    let github = GitHub::start();
    let machine = machine(&github);
    assert!(text(&run(&machine, "savings", None)).is_empty());
    for _ in 0..4 {
        machine.get("/repos/octocat/HELLO-World/issues", Some(TOKEN));
    }
    machine.request("GET", SECRET_REPO, Some(TOKEN), "");
    machine.request("GET", SECRET_REPO, Some(TOKEN), "\nCache-Control: no-cache");
    let savings = json(&run(&machine, "savings --json", None));
    let row = |family: &str, saved: u64, hits: u64, proofs: u64, charged: u64| {
        let family = format!("api.github.com/repos/{family}");
        serde_json::json!({ "family": family, "saved": saved, "hits": hits, "proofs": proofs, "charged": charged })
    };
    let rows = [row("octocat/hello-world", 3, 3, 0, 1), row("acme/secret", 1, 0, 1, 1)];
    assert_eq!(savings["savings"], serde_json::json!(rows));
    let shown = text(&run(&machine, "savings", None));
    let first: Vec<_> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(first, ["3", "3", "0", "1", "octocat/hello-world"]);
    for page in ["/api/mcp/cache/stats", "/metrics", "/"] {
        let page = machine.status(page).text().to_lowercase();
        assert!(!page.contains("hello-world") && !page.contains("acme"), "{page}");
    }
    for page in ["/savings", "/why", "/invalidate"] {
        assert_eq!(machine.status(page).status, 404);
    }
}

#[test]
fn the_socket_is_for_this_user_alone_and_says_what_it_does_not_know() {
    let github = GitHub::start();
    let machine = machine(&github);
    let socket = machine.setup.home.path("door-admin.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |head: &str, body: &[u8]| http::exchange(http::unix(&socket), head, body);
    assert_eq!(ask("GET /secrets HTTP/1.1\nHost: localhost", b"").status, 404);
    assert_eq!(ask("GET /savings HTTP/1.1\nHost: localhost\nOrigin: https://example.org", b"").status, 403);
    for body in ["{}", "x", "{\"pattern\":7}", "{\"pattern\":\"a/b/c\"}"] {
        let head = format!("POST /invalidate HTTP/1.1\nHost: localhost\nContent-Length: {}", body.len());
        assert_eq!(ask(&head, body.as_bytes()).status, 400, "{body}");
    }

    let (setup, _) = machine.terminate();
    let gone = setup.command("savings").output().unwrap();
    let said = String::from_utf8(gone.stderr).unwrap();
    assert_eq!(gone.status.code(), Some(2));
    assert!(said.starts_with("error: no daemon answers at ") && said.contains("hint: start `ghoard run`"), "{said}");
}
