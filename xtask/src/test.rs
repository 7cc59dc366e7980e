use crate::{
    clients,
    run::{self, Outcome},
};

/// Runs every test of the workspace, and the examples in its documentation.
///
/// By nextest where it is installed. Arguments choose tests and go to the runner; the examples are
/// then left out. If all are run, the clients that some of them walk with are installed before.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let chosen = arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    // The tests with them say what is missing: a failure in CI, a skipped test at a desk.
    if !chosen && let Err(failure) = clients::run(&[]) {
        run::say(&format!("note: {failure}"));
    }
    let which = if chosen { &[][..] } else { &["--workspace"] };
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if !run::works(&mut run::cargo(&["nextest", "--version"])) {
        run::say("note: cargo-nextest is not installed, so this is `cargo test`");
        return run::check(&mut run::cargo(&[&["test"], which, &arguments[..]].concat()));
    }
    run::check(&mut run::cargo(&[&["nextest", "run"], which, &arguments[..]].concat()))?;
    if arguments.is_empty() {
        run::check(&mut run::cargo(&["test", "--workspace", "--doc", "--quiet"]))
    } else {
        Ok(())
    }
}
