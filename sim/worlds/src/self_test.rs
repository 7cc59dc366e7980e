//! Whether simulated time and chance are what they should be, before anything relies on them.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use tokio::runtime::Builder;

use crate::{
    children, output,
    scenario::{Scenario, Wishes},
};

pub fn run() -> anyhow::Result<u8> {
    step("equal seeds give equal chance, in two processes", || {
        let (one, same, other) = (ask_oracle(7)?, ask_oracle(7)?, ask_oracle(8)?);
        ensure!(one == same, "seed 7 gave {one:?}, and then {same:?}");
        ensure!(one != other, "seeds 7 and 8 both gave {one:?}");
        ensure!(one.contains(&format!("wall {}", det::EPOCH_SECS)), "the clock is not simulated: {one:?}");
        Ok(())
    })?;
    step("an hour of libp2p's timer is over in less than a second", || {
        let began = det::real_time();
        let waited = thread::Builder::new().spawn(an_hour)?.join().map_err(|_| anyhow::anyhow!("it panicked"))?;
        let took = det::real_time() - began;
        ensure!(waited >= Duration::from_secs(3600), "it ended after {waited:?} of simulated time");
        ensure!(took < Duration::from_secs(1), "it took {took:?}: the timer counts real time");
        Ok(())
    })?;
    step("equal seeds give equal worlds, and different seeds different ones", || {
        let lan = Scenario::find("lan").context("the scenario lan is gone")?;
        let wishes = Wishes { secs: Some(15), ..Wishes::default() };
        let digest = |seed| anyhow::Ok(children::outcome(&lan.plan(seed, &wishes), None, None)?.digest);
        let (one, same, other) = (digest(7)?, digest(7)?, digest(8)?);
        ensure!(one == same, "seed 7 gave {one}, and then {same}");
        ensure!(one != other, "seeds 7 and 8 both gave {one}");
        Ok(())
    })?;
    Ok(0)
}

fn step(what: &str, check: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let began = Instant::now();
    check().with_context(|| format!("self-test: {what}"))?;
    output::note(&format!("ok       {what} ({:.1} s)", began.elapsed().as_secs_f64()));
    Ok(())
}

/// What this process believes of chance and time.
pub fn oracle(seed: u64) -> u8 {
    let words = thread::Builder::new().spawn(move || {
        det::enable(seed);
        let mut keys: Vec<u64> = std::collections::HashSet::from([1, 2, 3, 4, 5, 6, 7, 8]).into_iter().collect();
        keys.truncate(4);
        let random = net::Identity::from_seed(random_bytes()).peer();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        format!("wall {wall} random {random} order {keys:?}")
    });
    let words = words.map(thread::JoinHandle::join);
    match words {
        Ok(Ok(words)) => {
            output::data(&words);
            0
        }
        _ => crate::cli::HARNESS,
    }
}

/// By the way that every crate takes: a store draws its key so.
fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        use std::hash::{BuildHasher, RandomState};
        chunk.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
    }
    bytes
}

fn ask_oracle(seed: u64) -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).args(["oracle", &seed.to_string()]).output()?;
    ensure!(output.status.success(), "the oracle ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An hour by the timer that libp2p waits with.
fn an_hour() -> Duration {
    det::enable(1);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a paused runtime");
    runtime.block_on(async {
        let began = Instant::now();
        futures_timer::Delay::new(Duration::from_secs(3600)).await;
        began.elapsed()
    })
}
