//! The simulator as a person uses it: its command line, and what it says of worlds that fail.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, helpers included")]

mod failing;
mod healing;

use std::{path::Path, process::Command};

struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the simulator in a folder of its own.
fn sim(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_ghoard-sim")).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn what_makes_no_sense_is_the_users_to_mend_and_no_verdict_about_ghoard() {
    let folder = folder();
    for (arguments, says) in [
        (&["run", "nothing"][..], "there is no scenario \"nothing\"; `list` names them"),
        (&["run", "lan", "--canary", "budgie"], "there is no canary"),
        (&["run", "lan", "--seeds", "5..5"], "5..5 holds no seed"),
        (&["replay", "missing.json"], "could not read missing.json"),
    ] {
        let said = sim(folder.path(), arguments);
        assert_eq!(said.code, 4, "{arguments:?}");
        assert!(said.err.contains(says), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn the_list_names_every_scenario_and_every_bug() {
    let said = sim(folder().path(), &["list"]);
    assert_eq!(said.code, 0);
    for name in ["churn", "crash-disk", "long-day", "skips-the-tag", "lying-disk"] {
        assert!(said.out.contains(name), "{name}");
    }
}

#[test]
fn a_run_tells_each_world_as_json_and_two_runs_can_be_compared() {
    let folder = folder();
    let said = sim(folder.path(), &["run", "lan", "--seeds", "3..5", "--secs", "10", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out.lines().count(), 2);
    let first: serde_json::Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    assert_eq!((&first["scenario"], &first["seed"]), (&"lan".into(), &3.into()));
    std::fs::write(folder.path().join("a"), &said.out).unwrap();
    let compared = sim(folder.path(), &["compare", "a", "a"]);
    assert_eq!(compared.code, 0, "{}", compared.err);
    assert!(compared.out.contains("charged") && compared.out.contains("+0.0%"));
}

#[test]
fn one_world_in_two_processes_is_the_same_to_the_byte() {
    let said = sim(folder().path(), &["meta", "churn", "--seed", "5", "--secs", "30"]);
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn a_case_that_fails_is_shrunk_and_replayed() {
    let folder = folder();
    let said = sim(folder.path(), &["property", "--cases", "50", "--canary", "ignores-expiry"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("right.fresh"), "{}", said.err);
    let paste = said.err.lines().find_map(|line| line.strip_prefix("replay:   cargo xtask sim ")).unwrap();
    assert_eq!(sim(folder.path(), &paste.split(' ').collect::<Vec<_>>()).code, 1);
}

#[test]
fn a_case_is_the_same_alone_and_among_others() {
    let folder = folder();
    let verdict = |arguments: &[&str], seed: &str| {
        let said = sim(folder.path(), arguments);
        assert_eq!(said.code, 0, "{}", said.err);
        let digest =
            |line: &str| line.contains(&format!("--seed {seed}:")).then(|| line.rsplit(' ').next().unwrap().to_owned());
        said.err.lines().find_map(digest).unwrap()
    };
    let among = verdict(&["property", "--story", "--cases", "20"], "19");
    assert_eq!(among, verdict(&["property", "--story", "--cases", "1", "--seed", "19"], "19"));
}

#[test]
fn an_hour_of_a_dashboard_is_charged_least_with_us() {
    let said = sim(folder().path(), &["savings", "dashboard", "--hours", "1"]);
    assert_eq!(said.code, 0, "{}", said.err);
    // Name, polls, charged, free.
    let charged = |name: &str| {
        let row = said.out.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2], "14400", "every poll was answered: {row}");
        cells[3].parse::<u64>().unwrap()
    };
    assert_eq!(charged("no cache"), 14_400);
    let (ours, revalidating, ttl) =
        (charged("ghoard"), charged("a central one, always revalidating"), charged("`gh api --cache 60s`"));
    assert!(2 * ours < revalidating && revalidating < ttl, "{}", said.out);
}
