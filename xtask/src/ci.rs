use std::process::Command;

use crate::{
    cache_tests, etag, nat_lab, readme,
    run::{self, Outcome, Steps},
    sim, tidy,
};

/// Runs everything that a change must pass. CI runs exactly this.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("ci takes no arguments".to_owned());
    }
    let mut steps = Steps::default();
    steps.step("fmt", || run::check(&mut run::cargo(&["fmt", "--all", "--check"])));
    steps.step("tidy", || tidy::run(&[]));
    steps.step("clippy", || {
        run::check(&mut run::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.step("clippy of the simulator", || sim::lint(&[]));
    steps.step("test", readme_tests);
    steps.step("etag-vectors", || etag::run(&[]));
    steps.step("cache-tests", || cache_tests::run(&[]));
    steps.step("nat-lab", nat_lab::in_ci);
    steps.step("sim", || sim::ci(&[]));
    steps.step("sim-apart", || sim::apart(&[]));
    steps.step("doc", || {
        run::check(run::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.close()
}

/// Runs the line of the README itself, so that what it promises stays true.
fn readme_tests() -> Outcome {
    let path = run::root().join("README.md");
    let text = std::fs::read_to_string(&path).map_err(|cause| format!("could not read {}: {cause}", path.display()))?;
    let line = readme::test_command(&text).ok_or("README.md names no `cargo xtask test` in a code block")?;
    run::say(&format!("README.md says: {line}"));
    run::check(Command::new("bash").args(["-euo", "pipefail", "-c", line]).current_dir(run::root()))
}
