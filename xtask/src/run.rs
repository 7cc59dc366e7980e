use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Done, or what is wrong, in words.
pub(crate) type Outcome = Result<(), String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}

/// Where cargo puts what it builds; one folder for the simulator's workspace, too, so that what both need is built once.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs `command` with our own stdin, stdout and stderr.
pub(crate) fn check(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(cause) => Err(format!("could not run {command:?}: {cause}")),
    }
}

/// Runs `command` and returns what it wrote to stdout.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => {
            Err(format!("{command:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
        }
        Err(cause) => Err(format!("could not run {command:?}: {cause}")),
    }
}

/// Tells whether `command` can be run at all.
pub(crate) fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Prints one line of data.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Says something about the work itself.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Steps with their wall time. A step that fails does not keep the next ones from running.
#[derive(Default)]
pub(crate) struct Steps(Vec<(&'static str, Duration, Outcome)>);

impl Steps {
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) {
        say(&format!("==> {name}"));
        let start = Instant::now();
        let outcome = work();
        let took = start.elapsed();
        if let Err(failure) = &outcome {
            say(&format!("error: {failure}"));
        }
        say(&format!("<== {name}: {:.1} s", took.as_secs_f64()));
        self.0.push((name, took, outcome));
    }

    /// Prints the summary, and fails if any step did.
    pub(crate) fn close(self) -> Outcome {
        say("\nsummary:");
        for (name, took, outcome) in &self.0 {
            say(&format!(
                "  {}  {:6.1} s  {name}",
                if outcome.is_ok() { "ok    " } else { "FAILED" },
                took.as_secs_f64()
            ));
        }
        let total: Duration = self.0.iter().map(|(_, took, _)| *took).sum();
        let failed: Vec<_> = self.0.iter().filter(|step| step.2.is_err()).map(|step| step.0).collect();
        say(&format!("  {} steps in {:.1} s", self.0.len(), total.as_secs_f64()));
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }
}
