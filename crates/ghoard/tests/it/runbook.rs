//! The runbook for one machine, command by command, as it is written.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    home::Home,
    world::{GitHub, Lines, Setup, TOKEN, wait_until},
};

/// The commands of the runbook: the reader's and the writer's.
fn commands() -> [String; 2] {
    let text = include_str!("../../../../docs/RUNBOOK-ONE-MACHINE.md");
    let fences: Vec<&str> = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let find = |flag: &str| fences.iter().find(|fence| fence.contains(flag)).expect("the runbook has it").to_string();
    [find("--read"), find("--write")]
}

fn shell(home: &Home, command: &str) -> Command {
    let mut shell = home.command("sh");
    let ghoard = std::path::Path::new(env!("CARGO_BIN_EXE_ghoard")).parent().unwrap();
    let path = format!("{}:{}", ghoard.display(), std::env::var("PATH").unwrap());
    // The folder and the ports are the machine's, and other tests use it, too.
    let registry = home.path("registry").display().to_string();
    let command = command.replace("/tmp/ipfs_accel_p2p_peers", &registry);
    shell.arg("-c").arg(command).env("PATH", path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

/// Starts `first`, `second` when the first one is under way, and returns what both printed.
fn run(first: &str, second: &str) -> [String; 2] {
    let home = Home::new();
    let mut processes = Vec::new();
    for command in [first, second] {
        let mut child = shell(&home, command).spawn().unwrap();
        let (told, log) = (Lines::default(), Lines::default());
        told.collect(child.stdout.take().unwrap());
        log.collect(child.stderr.take().unwrap());
        wait_until("the process is under way", || told.text().contains("CACHE_BOOTSTRAP_PEERS="));
        processes.push((child, told, log));
    }
    let [first, second] = <[_; 2]>::try_from(processes).unwrap_or_else(|_| unreachable!());
    [first, second].map(|(mut child, told, log)| {
        let status = child.wait().unwrap();
        wait_until("all was printed", || told.text().ends_with("}\n"));
        assert_eq!(status.code(), Some(0), "{}\n{}", told.text(), log.text());
        assert!(!log.text().contains("another live peer"), "{}", log.text());
        told.text()
    })
}

fn assert_received(told: &str) {
    assert!(told.contains("Received cache entry!\n"), "{told}");
    assert!(told.contains("\"kind\":\"synthetic\""), "{told}");
    let (_, stats) = told.split_once("Final stats\n").expect("the stats close it");
    let stats: serde_json::Value = serde_json::from_str(stats).unwrap();
    assert_eq!(stats["peer_hits"], 1);
    assert!(stats["connected_peers"].as_u64().unwrap() >= 1);
}

#[test]
fn the_runbook_works_in_either_order() {
    let [reader, writer] = commands();
    let [read, wrote] = run(&reader, &writer);
    assert_received(&read);
    assert!(wrote.contains("A peer was told of the entry."), "{wrote}");
    let [_, read] = run(&writer, &reader);
    assert_received(&read);
}

#[test]
fn a_reader_that_hears_nothing_says_why_and_ends_with_1() {
    let home = Home::new();
    let [reader, _] = commands();
    let output = shell(&home, &reader.replace("--wait-seconds 90", "--wait-seconds 1")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("error: no entry for octocat/Hello-World arrived in 1 s"), "{log}");
    assert!(log.contains("hint: no peer was found; set CACHE_BOOTSTRAP_PEERS"), "{log}");
}

#[test]
fn a_real_entry_is_shown_to_an_equal_token_alone() {
    let github = GitHub::start();
    for (token, shown) in [(TOKEN, true), ("ghp_another", false)] {
        let setup = Setup::new(&github).env("CACHE_P2P_SHARED_SECRET", "dev-secret");
        let smoke = |arguments: &str, name: &str, token: &str| {
            let mut smoke = setup.command(arguments);
            smoke.env_remove("CACHE_DIR").env("RUNNER_NAME", name).env("GITHUB_TOKEN", token);
            smoke.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let reader = smoke("smoke --read --wait-seconds 30", "reader", token);
        let writer = smoke("smoke --write --wait-seconds 30", "writer", TOKEN);
        let (read, wrote) = (reader.wait_with_output().unwrap(), writer.wait_with_output().unwrap());
        let told = String::from_utf8_lossy(&read.stdout).into_owned();
        assert_eq!((read.status.code(), wrote.status.code()), (Some(0), Some(0)), "{told}");
        assert!(told.contains("Received cache entry!"));
        assert_eq!(told.contains("\"full_name\":\"octocat/Hello-World\""), shown, "{told}");
        assert_eq!(told.contains("belongs to another credential"), !shown, "{told}");
        assert_eq!(told.contains("\nproved: GitHub answered 304"), shown, "{told}");
        assert_eq!(told.contains("\nnot proved: GitHub answered 401"), !shown, "{told}");
    }
}

/// The writer's answer is proved by the reader's own question, at no charge; what GitHub denies by then is
/// not shown.
#[test]
fn a_real_entry_is_proved_before_it_is_shown() {
    for (change, code, expected) in [
        ("", 0, "\nproved: GitHub answered 304"),
        ("modified", 0, "\nnot proved: GitHub gave this machine's own question an answer of its own"),
        ("revoked", 1, "\nnot proved: GitHub answered 401"),
        ("down", 0, "\nnot proved: cannot connect to 127.0.0.1"),
    ] {
        let mut github = GitHub::start();
        let setup = Setup::new(&github).env("CACHE_P2P_SHARED_SECRET", "dev-secret").env("GITHUB_TOKEN", TOKEN);
        let smoke = |arguments: &str, name: &str| {
            let mut smoke = setup.command(arguments);
            smoke.env_remove("CACHE_DIR").env("RUNNER_NAME", name).stdout(Stdio::piped()).stderr(Stdio::piped());
            smoke.spawn().unwrap()
        };
        let mut writer = smoke("smoke --write --wait-seconds 30", "writer");
        let told = Lines::default();
        told.collect(writer.stdout.take().unwrap());
        wait_until("the writer has its answer", || told.text().contains("Asked GitHub for octocat/Hello-World"));
        match change {
            "modified" => github.hub().modify_repo("octocat/Hello-World", 1_700_000_000).unwrap(),
            "revoked" => assert!(github.hub().revoke(TOKEN)),
            "down" => github.stop(),
            _ => {}
        }
        let reader = smoke("smoke --read --wait-seconds 30", "reader").wait_with_output().unwrap();
        let read = String::from_utf8_lossy(&reader.stdout).into_owned();
        assert_eq!(reader.status.code(), Some(code), "{change}: {read}");
        assert!(read.contains("Received cache entry!") && read.contains(expected), "{change}: {read}");
        assert_eq!(read.contains("\"full_name\":\"octocat/Hello-World\""), change != "revoked", "{change}: {read}");
        assert_eq!(writer.wait().unwrap().code(), Some(0));
        let total = github.hub().counts().total;
        assert_eq!(total.not_modified, u64::from(change.is_empty()), "{change}");
        assert_eq!(total.charged, if matches!(change, "" | "down") { 1 } else { 2 }, "{change}");
    }
}

#[test]
fn the_demo_closes_with_its_figures() {
    let home = Home::new();
    let began = std::time::Instant::now();
    let output = home.ghoard("demo --json --seconds 8").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let figures: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("{name} in {figures}"));
    let requests = figure("requests");
    assert_eq!(figure("nodes"), 4);
    assert_eq!(figure("refused"), 0, "{figures}");
    assert!(requests > 500, "{figures}");
    for name in ["proofs", "local_hits", "peer_hits", "stale"] {
        assert!(figure(name) > 0, "{name} in {figures}");
    }
    // In the second of the write nothing is kept, since GitHub's dates do not tell before from after.
    assert!(figure("charged") < requests / 4, "{figures}");
    let events = figures["events"].to_string();
    for what in ["matrix of 50 jobs", "a comment through", "is gone after", "secondary rate limit", "answers again"] {
        assert!(events.contains(what), "{what} in {events}");
    }
    assert!(figures["seconds"].as_f64().unwrap() <= began.elapsed().as_secs_f64());
    assert!(began.elapsed() < Duration::from_secs(60));
}
