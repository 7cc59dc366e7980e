//! Two nodes on loopback, with real libp2p between them, before a fakehub: `cargo xtask bench fleet`.
//!
//! Everything is measured in turn, so that all share the machine's mood: how long an answer takes to the
//! other node, the pings of another such pair, and a large body against a bare stream.

mod propagation;
mod throughput;

use std::time::Duration;

use bench::{Failure, Pair, two_nodes};
use propagation::propagate;
use task::Tasks;
use throughput::{BODY_BYTES, bare_pair, bare_stream, pull};

/// Name and bytes.
const SIZES: [(&str, usize); 2] = [("1 KB", 1 << 10), ("64 KB", 64 << 10)];
/// Of each size.
const ROUNDS: usize = 100;
/// Of the large body. Each stays in memory, at both nodes and at the hub.
const LARGE_ROUNDS: usize = 25;

/// In medians: what is readable at the other node, in round trips; and of a bare stream's throughput.
const PROPAGATION_RTTS_MAX: f64 = 3.0;
const THROUGHPUT_MIN: f64 = 0.5;

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks = Tasks::tokio();
    let Pair { github: _github, keys, a, b } = two_nodes(&tasks).await?;
    let bare_members = bare_pair(&tasks, &keys).await?;
    let mut told = 0;
    let mut took = SIZES.map(|_| (Vec::new(), Vec::new()));
    let (mut bare, mut pulled) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for ((_, bytes), (readable, heard)) in SIZES.into_iter().zip(&mut took) {
            told += 1;
            let took = propagate(&a, &b, bytes, round, told).await?;
            readable.push(took.readable);
            heard.push(took.heard);
        }
        if round % (ROUNDS / LARGE_ROUNDS) == 0 {
            told += 1;
            bare.push(bare_stream(&bare_members).await?);
            pulled.push(pull(&a, &b, round, told).await?);
        }
    }

    let mut pings = bare_members.pings();
    let rtt_ms = ms(&mut pings, 50);
    println!(
        "| written at A, readable at B | rounds | p50 ms | p99 ms | in round trips, p50 | heard of, p50 ms | p99 ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for ((name, _), (readable, heard)) in SIZES.into_iter().zip(&mut took) {
        let [[p50, p99], [heard_p50, heard_p99]] = [readable, heard].map(|times| [50, 99].map(|part| ms(times, part)));
        let rtts = p50 / rtt_ms;
        println!("| {name} | {ROUNDS} | {p50:.2} | {p99:.2} | {rtts:.1} | {heard_p50:.2} | {heard_p99:.2} |");
    }
    let small = ms(&mut took[0].0, 50) / rtt_ms;
    println!(
        "\nround trip: {rtt_ms:.2} ms, the median of {} pings of a connection with nothing above it; 1 KB in {small:.1} of it: {}",
        pings.len(),
        verdict(small <= PROPAGATION_RTTS_MAX, &format!("at most {PROPAGATION_RTTS_MAX}"))
    );
    let [bare, pulled] =
        [bare, pulled].map(|mut times: Vec<Duration>| BODY_BYTES as f64 / ms(&mut times, 50) / 1048.576);
    let ratio = pulled / bare;
    println!(
        "5 MB: a bare stream {bare:.0} MiB/s, a pull {pulled:.0} MiB/s, {ratio:.2} of it ({LARGE_ROUNDS} rounds): {}",
        verdict(ratio >= THROUGHPUT_MIN, &format!("at least {THROUGHPUT_MIN}"))
    );
    Ok(())
}

fn verdict(is_met: bool, goal: &str) -> String {
    format!("{} (goal: {goal})", if is_met { "met" } else { "MISSED" })
}

/// The smallest that `part` per cent of them do not exceed, in milliseconds.
fn ms(times: &mut [Duration], part: usize) -> f64 {
    times.sort();
    let at = (times.len() * part).div_ceil(100).max(1) - 1;
    times.get(at).copied().unwrap_or_default().as_secs_f64() * 1000.0
}
