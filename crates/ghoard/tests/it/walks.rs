//! Real clients walk a listing of 1,000 issues, page by page, each by the links that it is given.
//!
//! The links of the origin name the hub itself, on loopback: a client that followed one would be
//! counted there, and not be answered by the cache.

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::SystemTime,
};

use crate::world::{GitHub, Machine, Setup, TOKEN, has_gh};

const REPO: &str = "octo-org/empty";
const ISSUES: &str = "/repos/octo-org/empty/issues?sort=created&direction=asc&per_page=100";

/// Ten full pages: the last of them is the trap.
const ITEMS: u64 = 1_000;
const PAGES: u64 = 10;

/// Returns the numbers that a client sees at a machine; the text is a prefix of the base URL's path.
type Walk = fn(&Machine, &str) -> Vec<u64>;

#[test]
fn curl_finds_every_page_cached_the_second_time() {
    every_page_is_cached(curl, &["/api/v3", ""]);
}

#[test]
fn curl_survives_a_full_last_page() {
    a_full_last_page_is_no_trap(curl);
}

#[test]
fn gh_finds_every_page_cached_the_second_time() {
    if has_gh("gh_finds_every_page_cached_the_second_time") {
        every_page_is_cached(gh, &["by the socket"]);
    }
}

#[test]
fn gh_survives_a_full_last_page() {
    if has_gh("gh_survives_a_full_last_page") {
        a_full_last_page_is_no_trap(gh);
    }
}

#[test]
fn octokit_finds_every_page_cached_the_second_time() {
    if is_installed("octokit") {
        every_page_is_cached(octokit, &["/api/v3", ""]);
    }
}

#[test]
fn octokit_survives_a_full_last_page() {
    if is_installed("octokit") {
        a_full_last_page_is_no_trap(octokit);
    }
}

#[test]
fn pygithub_finds_every_page_cached_the_second_time() {
    if is_installed("pygithub") {
        every_page_is_cached(pygithub, &["/api/v3", ""]);
    }
}

#[test]
fn pygithub_survives_a_full_last_page() {
    if is_installed("pygithub") {
        a_full_last_page_is_no_trap(pygithub);
    }
}

/// Its objects go on by the URLs in the bodies that they were made of.
#[test]
fn pygithub_reads_and_writes_by_the_urls_in_bodies() {
    if !is_installed("pygithub") {
        return;
    }
    let github = GitHub::start();
    github.hub().api_url.clone_from(&github.url);
    let machine = Setup::new(&github).start();
    let base_url = format!("http://{}/api/v3", machine.base());
    let script = include_str!("../clients/pygithub/follow.py");
    let told = stdout(by_script(&mut python(&machine, "follow.py", script), &base_url));
    let expected = format!("{base_url}/repos/octocat/Hello-World\nRenamed by PyGithub\n");
    assert_eq!(told, expected);
    assert_eq!(github.hub().counts().total.mutations, 2);
    assert_eq!(github.count("/repos/octocat/Hello-World").requests, 1);
}

fn every_page_is_cached(walk: Walk, prefixes: &[&str]) {
    let github = with_issues();
    // Fresh for longer than any of this takes.
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "3600").start();
    assert!(walk(&machine, prefixes[0]).into_iter().eq(1..=ITEMS));
    let total = github.hub().counts().total;
    assert_eq!((total.requests, total.charged), (PAGES, PAGES), "each page was asked for once");
    github.hub().reset_counts();
    for prefix in prefixes {
        assert!(walk(&machine, prefix).into_iter().eq(1..=ITEMS), "{prefix:?}, the second time");
    }
    let counts = github.hub().counts();
    assert_eq!(counts.total.requests, 0, "went round the cache: {:?}", counts.rows);
}

/// A full last page stays what it was when a next one appears, and so does its ETag: GitHub answers
/// 304, without the link to the next page.
fn a_full_last_page_is_no_trap(walk: Walk) {
    let (github, prefix) = (with_issues(), "");
    // Nothing is fresh: whatever can be confirmed free of charge is.
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "0").start();
    assert!(walk(&machine, prefix).into_iter().eq(1..=ITEMS));
    github.hub().reset_counts();
    assert!(walk(&machine, prefix).into_iter().eq(1..=ITEMS));
    let total = github.hub().counts().total;
    assert_eq!((total.requests, total.not_modified), (PAGES, PAGES - 1), "all but the last page are confirmed");
    add_issues(&github, 1);
    assert!(walk(&machine, prefix).into_iter().eq(1..=ITEMS + 1), "the page after the last is found");
}

fn with_issues() -> GitHub {
    let github = GitHub::start();
    github.hub().api_url.clone_from(&github.url);
    add_issues(&github, ITEMS);
    github
}

fn add_issues(github: &GitHub, count: u64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    github.hub().add_issues(REPO, count, now).unwrap();
}

/// Follows `Link` as it stands.
fn curl(machine: &Machine, prefix: &str) -> Vec<u64> {
    let mut next = Some(format!("http://{}{prefix}{ISSUES}", machine.base()));
    let mut numbers = Vec::new();
    while let Some(url) = next {
        let mut curl = machine.setup.home.command("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--include",
            "--header",
            &format!("Authorization: token {TOKEN}"),
            &url,
        ]);
        let told = stdout(&mut curl);
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        let issues: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
        numbers.extend(issues.iter().map(|issue| issue["number"].as_u64().unwrap()));
        let link = head.lines().find_map(|line| line.strip_prefix("link: ")).unwrap_or_default();
        let relation = link.split(", ").find_map(|relation| relation.strip_suffix(">; rel=\"next\""));
        next = relation.map(|relation| relation.trim_start_matches('<').to_owned());
        let base = format!("http://{}{prefix}/repositories/", machine.base());
        assert!(next.as_ref().is_none_or(|next| next.starts_with(&base)), "{link}");
    }
    numbers
}

fn gh(machine: &Machine, _: &str) -> Vec<u64> {
    let output = machine.gh(&["api", "--paginate", ISSUES, "--jq", ".[].number"], TOKEN);
    numbers(&told(&output))
}

fn octokit(machine: &Machine, prefix: &str) -> Vec<u64> {
    // Node looks for packages beside the script.
    let home = &machine.setup.home;
    let packages = home.path("node_modules");
    if !packages.exists() {
        std::os::unix::fs::symlink(tools("octokit").join("node_modules"), packages).unwrap();
    }
    let script = home.write("walk.mjs", include_str!("../clients/octokit/walk.mjs"));
    let base_url = format!("http://{}{prefix}", machine.base());
    numbers(&stdout(by_script(home.command("node").arg(script), &base_url)))
}

fn pygithub(machine: &Machine, prefix: &str) -> Vec<u64> {
    let base_url = format!("http://{}{prefix}", machine.base());
    let mut python = python(machine, "walk.py", include_str!("../clients/pygithub/walk.py"));
    numbers(&stdout(by_script(&mut python, &base_url)))
}

fn python(machine: &Machine, name: &str, script: &str) -> Command {
    let home = &machine.setup.home;
    let python = tools("pygithub").join("venv/bin/python");
    let mut python = home.command(python.to_str().unwrap());
    python.arg(home.write(name, script));
    python
}

fn by_script<'a>(script: &'a mut Command, base_url: &str) -> &'a mut Command {
    // Whoever wants to reach another host ends at a port where nobody listens.
    let nobody = "http://127.0.0.1:9";
    script.env("HTTP_PROXY", nobody).env("HTTPS_PROXY", nobody).env("NO_PROXY", "127.0.0.1");
    script.env("BASE_URL", base_url).env("TOKEN", TOKEN)
}

fn numbers(told: &str) -> Vec<u64> {
    told.lines().map(|line| line.parse().unwrap()).collect()
}

fn stdout(command: &mut Command) -> String {
    told(&command.output().unwrap())
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Where `cargo xtask clients` puts what is no part of this project.
fn tools(client: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(client)
}

/// Whether a client can be used. CI must have it, unless its registry could not be reached; elsewhere
/// a test without it says so.
fn is_installed(client: &str) -> bool {
    let folder = tools(client);
    if folder.join("installed").is_file() {
        return true;
    }
    let unreachable = std::fs::read_to_string(folder.join("unreachable")).ok();
    assert!(unreachable.is_some() || std::env::var_os("CI").is_none(), "CI needs {client}: run `cargo xtask clients`");
    let why = unreachable.unwrap_or("not installed; run `cargo xtask clients`".to_owned());
    eprintln!("the walk with {client} is skipped: {why}");
    false
}
