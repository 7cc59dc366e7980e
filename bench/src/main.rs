//! Two nodes on loopback, with real libp2p between them, before a fakehub: `cargo xtask bench fleet`.
//!
//! Everything is measured in turn, so that all share the machine's mood: how long an answer takes to the
//! other node, the pings of another such pair, and a large body against a bare stream.

mod propagation;
mod throughput;

use std::time::Duration;

use bench::{Failure, Pair, two_nodes};
use propagation::{Took, propagate};
use task::Tasks;
use throughput::{BODY_BYTES, bare_pair, bare_stream};

/// Name, bytes of the longest body, and rounds. Each large body stays in memory, at both nodes and at the hub.
const SIZES: [(&str, usize, usize); 3] = [("1 KB", 1 << 10, 100), ("64 KB", 64 << 10, 100), ("5 MB", BODY_BYTES, 25)];

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
    let mut took: [Vec<Took>; 3] = Default::default();
    let mut bare = Vec::new();
    let all_rounds = SIZES[0].2;
    for round in 0..all_rounds {
        for ((_, bytes, rounds), took) in SIZES.into_iter().zip(&mut took) {
            if round % (all_rounds / rounds) > 0 {
                continue;
            }
            if bytes == BODY_BYTES {
                bare.push(bare_stream(&bare_members).await?);
            }
            told += 1;
            took.push(propagate(&a, &b, bytes - round, told).await?);
        }
    }

    let rtt_ms = ms(bare_members.pings(), 50);
    println!(
        "| written at A, readable at B | rounds | p50 ms | p99 ms | in round trips, p50 | heard of, p50 ms | p99 ms | B's client waits, p50 ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for ((name, _, rounds), took) in SIZES.into_iter().zip(&took) {
        let part = |part: usize, time: fn(&Took) -> Duration| ms(took.iter().map(time).collect(), part);
        let (p50, p99) = (part(50, |took| took.readable), part(99, |took| took.readable));
        let (heard_p50, heard_p99) = (part(50, |took| took.heard), part(99, |took| took.heard));
        let (rtts, waits) = (p50 / rtt_ms, part(50, Took::answered));
        println!(
            "| {name} | {rounds} | {p50:.2} | {p99:.2} | {rtts:.1} | {heard_p50:.2} | {heard_p99:.2} | {waits:.2} |"
        );
    }
    let small = ms(took[0].iter().map(|took| took.readable).collect(), 50) / rtt_ms;
    println!(
        "\nround trip: {rtt_ms:.2} ms, the median of {} pings of a connection with nothing above it; 1 KB in {small:.1} of it: {}",
        bare_members.pings().len(),
        verdict(small <= PROPAGATION_RTTS_MAX, &format!("at most {PROPAGATION_RTTS_MAX}"))
    );
    let pulled = took[2].iter().map(Took::answered).collect();
    let [bare, pulled] = [bare, pulled].map(|times| BODY_BYTES as f64 / ms(times, 50) / 1048.576);
    let ratio = pulled / bare;
    println!(
        "5 MB: a bare stream {bare:.0} MiB/s, a pull {pulled:.0} MiB/s, {ratio:.2} of it ({} rounds): {}",
        SIZES[2].2,
        verdict(ratio >= THROUGHPUT_MIN, &format!("at least {THROUGHPUT_MIN}"))
    );
    Ok(())
}

fn verdict(is_met: bool, goal: &str) -> String {
    format!("{} (goal: {goal})", if is_met { "met" } else { "MISSED" })
}

/// The smallest that `part` per cent of them do not exceed, in milliseconds.
fn ms(mut times: Vec<Duration>, part: usize) -> f64 {
    times.sort();
    let at = (times.len() * part).div_ceil(100).max(1) - 1;
    times.get(at).copied().unwrap_or_default().as_secs_f64() * 1000.0
}
