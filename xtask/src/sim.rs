//! The simulator is a workspace of its own; this is its door.

use std::{fs, os::unix::process::CommandExt, path::PathBuf, process::Command};

use crate::run::{self, Outcome};

const MANIFEST: &str = "sim/Cargo.toml";

/// Builds the simulator and becomes it: its exit codes mean something.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let program = build()?;
    let error = Command::new(&program).args(arguments).current_dir(run::root()).exec();
    Err(format!("could not run {}: {error}", program.display()))
}

/// What every change must pass: the self-test, the tests of the simulator's own parts, a fixed set of
/// seeds, every pair of routers, what once failed, the same worlds twice, whether planted bugs are found, and 10,000 small
/// worlds for the rules of who may be told what.
pub(crate) fn ci(_arguments: &[String]) -> Outcome {
    let program = build()?;
    let sim = |arguments: &[&str]| run::check(Command::new(&program).args(arguments).current_dir(run::root()));
    sim(&["self-test"])?;
    run::check(&mut cargo(&["test", "--workspace", "--quiet"]))?;
    sim(&["run", "all", "--seeds", "0..3"])?;
    sim(&["nat-matrix"])?;
    sim(&["regressions"])?;
    sim(&["meta", "all", "--seed", "7"])?;
    sim(&["canaries"])?;
    sim(&["property", "--cases", "10000"])?;
    sim(&["property", "--canaries"])
}

/// Formats, lints and documents as the rest is.
pub(crate) fn lint(_arguments: &[String]) -> Outcome {
    run::check(&mut cargo(&["fmt", "--all", "--check"]))?;
    run::check(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// Builds the simulator, and returns where it is.
pub(crate) fn build() -> Result<PathBuf, String> {
    run::check(&mut cargo(&["build", "--quiet", "--bin", "ghoard-sim"]))?;
    Ok(run::target().join("debug/ghoard-sim"))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = run::cargo(arguments);
    command.env("CARGO_TARGET_DIR", run::target()).current_dir(run::root().join("sim"));
    command
}

/// Checks that the simulator and what is shipped are the same code, and that nothing of the
/// simulator is shipped.
pub(crate) fn apart(_arguments: &[String]) -> Outcome {
    let mut wrong = Vec::new();
    let read = |path: &str| {
        fs::read_to_string(run::root().join(path)).map_err(|cause| format!("could not read {path}: {cause}"))
    };
    let (shipped, simulated) = (locked(&read("Cargo.lock")?), locked(&read("sim/Cargo.lock")?));
    for package in &shipped {
        let others: Vec<&Locked> = simulated.iter().filter(|other| other.name == package.name).collect();
        if is_under_test(&package.name) && !others.iter().any(|other| other.version == package.version) {
            let found: Vec<&str> = others.iter().map(|other| other.version.as_str()).collect();
            wrong.push(format!("{} is {} in Cargo.lock and {found:?} in {MANIFEST}'s", package.name, package.version));
        }
    }
    let timer = |locked: &[Locked]| locked.iter().any(|package| package.name == "futures-timer" && package.is_foreign);
    if !timer(&shipped) || timer(&simulated) {
        wrong
            .push("futures-timer must be the registry's in Cargo.lock, and the simulator's own in its lock".to_owned());
    }

    run::check(&mut run::cargo(&["build", "--quiet", "--package", "ghoard"]))?;
    for (program, may_be_wrong) in [(run::target().join("debug/ghoard"), false), (build()?, true)] {
        let bytes = fs::read(&program).map_err(|cause| format!("could not read {}: {cause}", program.display()))?;
        let mark = MARK.concat();
        if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) != may_be_wrong {
            let which = if may_be_wrong { "cannot be" } else { "can be" };
            wrong.push(format!("{} {which} given bugs on purpose", program.display()));
        }
    }
    for wrong in &wrong {
        run::say(wrong);
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} holes in the wall", wrong.len())) }
}

/// What `canary::MARK` says; in two parts, so that this program does not hold it.
const MARK: [&str; 2] = ["this build of ghoard can be ", "given bugs on purpose"];

/// What both must have in one version, or the simulator tests something else than what is shipped.
fn is_under_test(name: &str) -> bool {
    name.starts_with("libp2p") || ["tokio", "yamux", "snow", "redb", "hyper", "multistream-select"].contains(&name)
}

struct Locked {
    name: String,
    version: String,
    /// From a registry.
    is_foreign: bool,
}

fn locked(text: &str) -> Vec<Locked> {
    let packages = text.split("[[package]]").skip(1);
    packages
        .filter_map(|package| {
            let field = |name: &str| {
                let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
                Some(line.trim_matches('"').to_owned())
            };
            Some(Locked { name: field("name")?, version: field("version")?, is_foreign: field("source").is_some() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockfile_is_read_package_by_package() {
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"2.0.0\"\ndependencies = [\n \"a\",\n]\n";
        let packages = locked(text);
        let told: Vec<_> = packages.iter().map(|p| (p.name.as_str(), p.version.as_str(), p.is_foreign)).collect();
        assert_eq!(told, [("a", "1.0.0", true), ("b", "2.0.0", false)]);
    }
}
