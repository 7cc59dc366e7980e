//! The suites of the npm package http-cache-tests, against `ghoard run --rules http`.

mod judge;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use judge::Test;

use crate::run::{self, Outcome};

const PACKAGE: &str = "http-cache-tests@0.4.5";
/// What its client needs; its other dependencies are for its web pages.
const FETCH: &str = "node-fetch@2.7.0";

/// What is known to fail, and why; the table of this file is what counts.
const KNOWN: &str = "docs/HTTP-RULES.md";

/// The package's server listens on all addresses; ours is reached on this one only.
const LOOPBACK_ONLY: &str = "data:text/javascript,import net from 'node:net';\
    const listen = net.Server.prototype.listen;\
    net.Server.prototype.listen = function (port) { return listen.call(this, port, '127.0.0.1') }";

/// Prints `required P/N, optimal P/N` and every miss; fails if a test misses that the table does not name.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let folder = run::root().join("target/cache-tests");
    if let Err(why) = install(&folder) {
        run::say(&format!("skipped: {PACKAGE} is not here and cannot be had: {why}"));
        return Ok(());
    }
    run::check(&mut run::cargo(&["build", "--quiet", "--package", "ghoard"]))?;
    let known =
        fs::read_to_string(run::root().join(KNOWN)).map_err(|cause| format!("could not read {KNOWN}: {cause}"))?;
    let known = judge::known_misses(&known);

    let (_origin, origin_url) = start_origin(&folder)?;
    let (_cache, base) = start_ghoard(&folder, &origin_url)?;
    let mut tests = ask(&folder, &base, arguments)?;
    let surprising = judge::surprising(&tests, &known);
    if !surprising.is_empty() {
        // They count seconds, which a busy machine has not always.
        run::say(&format!("once more, by themselves: {}", surprising.join(", ")));
        judge::replace(&mut tests, ask(&folder, &base, &surprising)?);
    }
    report(&tests, &known)
}

fn report(tests: &[Test], known: &[(String, String)]) -> Outcome {
    run::print(&judge::line(tests));
    run::say(&judge::checks(tests));
    for test in judge::misses(tests) {
        let reason = known.iter().find(|(id, _)| *id == test.id).map_or("not known", |(_, reason)| reason);
        run::print(&format!("  {:8}  {}: {} ({})\n            {reason}", test.kind, test.id, test.name, test.why()));
    }
    for (id, _) in known.iter().filter(|(id, _)| judge::has_passed(tests, id)) {
        run::say(&format!("{id} passes: take it out of {KNOWN}"));
    }
    let surprising = judge::surprising(tests, known);
    if surprising.is_empty() { Ok(()) } else { Err(format!("{KNOWN} does not name {}", surprising.join(", "))) }
}

/// Puts package and client into `folder`, unless they are there. `Err` says why that did not work.
fn install(folder: &Path) -> Outcome {
    if folder.join("package/cli.mjs").is_file() && folder.join("node_modules/node-fetch").is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder.join("home")).map_err(|cause| format!("{}: {cause}", folder.display()))?;
    fs::write(folder.join("package.json"), "{\"private\": true}\n").map_err(|cause| cause.to_string())?;
    npm(folder, &["install", FETCH, "--no-audit", "--no-fund", "--ignore-scripts"])?;
    let packed = npm(folder, &["pack", PACKAGE])?;
    let archive = packed.lines().last().unwrap_or_default().trim().to_owned();
    run::check(Command::new("tar").args(["-xzf", &archive]).current_dir(folder))
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    // By itself it would try for more than a minute.
    let quick = ["--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"];
    let output = Command::new("npm").args(arguments).args(quick).current_dir(folder).output();
    let output = output.map_err(|cause| format!("npm does not run: {cause}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(error.lines().find(|line| line.contains("error")).unwrap_or("npm failed").trim().to_owned())
}

/// A process that ends with this one.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_origin(folder: &Path) -> Result<(Running, String), String> {
    let mut command = Command::new("node");
    command.args(["--import", LOOPBACK_ONLY, "server/server.mjs"]).current_dir(folder.join("package"));
    command.env("npm_config_protocol", "http").env("npm_config_port", "0");
    command.env("npm_config_pidfile", folder.join("home/origin.pid"));
    start(command, |line| Some(line.strip_prefix("Listening on ")?.trim_end_matches('/').to_owned()))
}

fn start_ghoard(folder: &Path, origin: &str) -> Result<(Running, String), String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| run::root().join("target"), PathBuf::from);
    let mut command = Command::new(target.join("debug/ghoard"));
    command.args(["run", "--rules=http", "--door-address=127.0.0.1:0", "--admin-address=127.0.0.1:0"]);
    command.arg(format!("--origin={origin}")).env_clear().env("HOME", folder.join("home"));
    start(command, |line| Some(line.trim().strip_prefix("base URL")?.trim().to_owned()))
}

/// Starts `command` and reads its output until `ready` finds its URL in a line.
fn start(mut command: Command, ready: impl Fn(&str) -> Option<String>) -> Result<(Running, String), String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.map_err(|cause| format!("could not run {command:?}: {cause}"))?);
    let mut lines = BufReader::new(running.0.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let url = lines.find_map(|line| ready(&line)).ok_or_else(|| format!("{command:?} did not start"))?;
    // A pipe that nobody reads would block it.
    #[expect(clippy::disallowed_methods, reason = "no simulated time here")]
    std::thread::spawn(move || lines.for_each(drop));
    Ok((running, url))
}

fn ask(folder: &Path, base: &str, ids: &[String]) -> Result<Vec<Test>, String> {
    let script = run::root().join("xtask/src/cache_tests/run.mjs");
    let mut command = Command::new("node");
    command.arg("--no-warnings").arg(script).arg(folder.join("package")).arg(base).args(ids);
    judge::read(&run::output(&mut command)?)
}
