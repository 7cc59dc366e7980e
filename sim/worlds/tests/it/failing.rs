use std::fs;

use serde_json::Value;

use crate::{folder, sim};

#[test]
fn a_world_that_fails_says_what_is_broken_and_how_to_see_it_again() {
    let folder = folder();
    let said = sim(folder.path(), &["run", "lan", "--seed", "0", "--canary", "ignores-expiry"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("right.fresh"), "{}", said.err);
    let paste = said.err.lines().find_map(|line| line.strip_prefix("replay:   cargo xtask sim ")).unwrap();
    let again = sim(folder.path(), &paste.split(' ').collect::<Vec<_>>());
    assert_eq!(again.code, 1);
    assert!(again.err.contains("right.fresh"), "{}", again.err);

    let page = fs::read_to_string(folder.path().join("target/sim/lan-0-ignores-expiry.html")).unwrap();
    assert!(page.contains("\"invariant\":\"right.fresh\""));
}

#[test]
fn a_large_plan_shrinks_to_what_matters() {
    let folder = folder();
    let canary = "serves-across-scopes";
    let arguments = ["run", "churn", "--nodes", "20", "--ops", "200", "--seed", "1", "--canary", canary];
    assert_eq!(sim(folder.path(), &arguments).code, 1);
    let said = sim(folder.path(), &["shrink", &format!("target/sim/churn-1-{canary}.json"), "--out", "small.json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let small: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("small.json")).unwrap()).unwrap();
    let count = |items: &str| small[items].as_array().unwrap().len();
    assert!(count("nodes") <= 5 && count("ops") <= 10, "{} machines, {} operations", count("nodes"), count("ops"));
    assert_eq!(sim(folder.path(), &["replay", "small.json"]).code, 1);
}

#[test]
fn a_plan_that_does_not_fail_is_not_shrunk() {
    let folder = folder();
    let plan = plan(&folder, "lan", |_| {});
    let said = sim(folder.path(), &["shrink", &plan]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("does not fail"), "{}", said.err);
}

#[test]
fn a_world_that_does_not_come_to_rest_is_told_from_one_that_serves_wrong() {
    let folder = folder();
    let plan = plan(&folder, "lan", |plan| {
        let parted = serde_json::json!({ "partition": { "side": [0, 1] } });
        plan["faults"] = serde_json::json!([{ "id": 0, "from_ms": 1, "until_ms": 15_000, "what": parted }]);
        plan["settle_ms"] = 100.into();
    });
    let said = sim(folder.path(), &["replay", &plan]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("back.connected"), "{}", said.err);
}

/// A plan that somebody has changed by hand.
fn plan(folder: &tempfile::TempDir, scenario: &str, change: impl FnOnce(&mut Value)) -> String {
    // A world that fails leaves its plan.
    let arguments = ["run", scenario, "--seed", "1", "--secs", "15", "--canary", "serves-across-scopes"];
    assert_eq!(sim(folder.path(), &arguments).code, 1);
    let file = folder.path().join("target/sim").join(format!("{scenario}-1-serves-across-scopes.json"));
    let mut plan: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    plan.as_object_mut().unwrap().remove("canary");
    change(&mut plan);
    fs::write(&file, plan.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_with_its_reason() {
    let folder = folder();
    type Change = fn(&mut Value);
    let nonsense: [(Change, &str); 5] = [
        (|plan| plan["tick_ms"] = 0.into(), "a tick of 0 ms"),
        (|plan| plan["ops"][0]["what"]["ask"]["path"] = "no path".into(), "which is no path"),
        (|plan| plan["ops"][0]["what"]["ask"]["token"] = 99.into(), "has no token"),
        (|plan| plan["nodes"][1]["id"] = 0.into(), "two machines have one number"),
        (|plan| plan["surprise"] = 1.into(), "unknown field"),
    ];
    for (change, says) in nonsense {
        let file = plan(&folder, "lan", |plan| {
            plan["ops"] = serde_json::json!([
                { "id": 0, "at_ms": 1, "what": { "ask": { "node": 0, "token": 0, "path": "/repos/o/r" } } },
            ]);
            change(plan);
        });
        let said = sim(folder.path(), &["replay", &file]);
        assert_eq!(said.code, 4, "{says}");
        assert!(said.err.contains(says), "{says}: {}", said.err);
    }
}
