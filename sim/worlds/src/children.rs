//! A process for each world.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};

use crate::{
    plan::{Layer, Plan},
    world::Outcome,
};

/// A world that takes longer is stuck: the simulator's fault, or an endless loop in the code.
pub const WALL_LIMIT: Duration = Duration::from_secs(600);
pub const LONG_WALL_LIMIT: Duration = Duration::from_secs(5400);

/// A swarm of more machines than this takes minutes.
const LARGE_SWARM_NODES: usize = 20;

/// Starts a world; its plan goes in on stdin.
pub fn start(plan: &Plan, arguments: &[&str]) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("could not find this program")?;
    let mut child = Command::new(program)
        .arg("world")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start a world")?;
    let mut stdin = child.stdin.take().context("the world has no stdin")?;
    stdin.write_all(&serde_json::to_vec(plan)?).context("the world does not read its plan")?;
    Ok(child)
}

/// Runs a world to its end.
///
/// # Errors
/// What is wrong with the simulator: no outcome at all, or none in time.
pub fn outcome(plan: &Plan, html: Option<&Path>, text: Option<&Path>) -> anyhow::Result<Outcome> {
    let mut arguments = Vec::new();
    for (name, path) in [("--html", html), ("--text", text)] {
        if let Some(path) = path {
            arguments.extend([name, path.to_str().context("the path of the timeline is no text")?]);
        }
    }
    start_and_wait(plan, &arguments)
}

/// The same, with arguments of the caller's.
pub fn start_and_wait(plan: &Plan, arguments: &[&str]) -> anyhow::Result<Outcome> {
    let child = start(plan, arguments)?;
    let is_long = plan.span_ms > 3_600_000 || plan.layer == Layer::Swarm && plan.nodes.len() > LARGE_SWARM_NODES;
    let limit = if is_long { LONG_WALL_LIMIT } else { WALL_LIMIT };
    let watchdog = Watchdog::over(&child, limit);
    let output = child.wait_with_output().context("the world is lost")?;
    if watchdog.has_bitten() {
        bail!("the world was still running after {} s", limit.as_secs());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    match stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()) {
        Some(outcome) => Ok(outcome),
        None => bail!("the world ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
    }
}

/// Ends a child that takes too long.
struct Watchdog(std::sync::mpsc::Sender<()>, std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Watchdog {
    fn over(child: &Child, limit: Duration) -> Self {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let bitten = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (pid, flag) = (child.id().to_string(), bitten.clone());
        #[expect(clippy::disallowed_methods, reason = "beside the worlds, not in one")]
        std::thread::spawn(move || {
            if is_done.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                flag.store(true, std::sync::atomic::Ordering::Relaxed);
                let _ = Command::new("kill").args(["-9", &pid]).status();
            }
        });
        Self(done, bitten)
    }

    fn has_bitten(&self) -> bool {
        let _ = self.0.send(());
        self.1.load(std::sync::atomic::Ordering::Relaxed)
    }
}
