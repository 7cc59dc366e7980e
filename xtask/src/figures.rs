use std::time::Instant;

use crate::{
    run::{self, Outcome},
    size,
};

/// Prints the figures that the documents name: how long a build from nothing takes, how long an
/// answer takes from one machine to the other, and how large the crates are.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("figures takes no arguments".to_owned());
    }
    // A folder of its own, so that it is a build from nothing.
    let folder = run::root().join("target/figures");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|cause| format!("could not empty {}: {cause}", folder.display()))?;
    }
    let began = Instant::now();
    run::check(run::cargo(&["build", "--release", "--package", "ghoard"]).env("CARGO_TARGET_DIR", &folder))?;
    let built = began.elapsed();
    run::check(run::cargo(&["run", "--release", "--quiet", "--package", "bench"]).env("CARGO_TARGET_DIR", &folder))?;
    run::print(&format!("release build of ghoard from nothing: {:.0} s", built.as_secs_f64()));
    size::run(&[])?;
    std::fs::remove_dir_all(&folder).map_err(|cause| format!("could not remove {}: {cause}", folder.display()))
}
