//! How long an answer takes from one machine to the other: `cargo run --release -p bench`.
//!
//! Two nodes on loopback, with real libp2p between them, before a fakehub. Printed is the time from
//! the moment when A has the answer to the moment when B has given it to a client, whose question
//! comes as soon as B has heard of it; the loop that waits for that looks each millisecond. 1 KB is
//! pushed with its announce, more is pulled when B's client asks. Beside it stand the round trips that
//! the connection's own pings saw meanwhile.

use std::time::{Duration, Instant};

use bench::{Failure, Pair, answer, ask, two_nodes, until};
use gateway::How;
use node::Node;
use task::Tasks;

/// Name, bytes and rounds. Each round of 5 MB stays in memory, at both and at the hub.
const SIZES: [(&str, usize, usize); 3] = [("1 KB", 1 << 10, 100), ("64 KB", 64 << 10, 100), ("5 MB", 5 << 20, 40)];
/// Longer than the window in which announces wait for company.
const IDLE: Duration = Duration::from_millis(150);

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks = Tasks::tokio();
    let Pair { github: _github, keys: _, a, b } = two_nodes(&tasks).await?;
    let (mut told, mut pings) = (0, Vec::new());
    println!("| written at A, readable at B | rounds | p50 ms | p99 ms | heard of, p50 ms | p99 ms |");
    println!("|---|---|---|---|---|---|");
    for (name, bytes, rounds) in SIZES {
        let (mut readable, mut heard) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // Another query is another key, and the same size.
            let question = ask(&format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}?round={round}"));
            answer(&a, question.clone()).await.ok_or("A got no answer")?;
            let written = Instant::now();
            told += 1;
            until(|| b.index_len() == told).await?;
            heard.push(written.elapsed());
            let (got, how) = answer(&b, question).await.ok_or("B got no answer")?;
            readable.push(written.elapsed());
            if how != How::PeerHit || got.plain.len() != bytes {
                return Err(format!("B has {} bytes by {how:?}, not by its peer", got.plain.len()).into());
            }
            tokio::time::sleep(IDLE).await;
            note_ping(&a, &mut pings).await;
        }
        let [[p50, p99], [heard_p50, heard_p99]] =
            [readable, heard].map(|mut times| [50, 99].map(|part| percentile(&mut times, part).as_secs_f64() * 1000.0));
        println!("| {name} | {rounds} | {p50:.1} | {p99:.1} | {heard_p50:.1} | {heard_p99:.1} |");
    }
    let pings: Vec<String> = pings.iter().map(|ms| format!("{ms:.1}")).collect();
    println!("pings on the same connection: {} ms", pings.join(", "));
    Ok(())
}

/// Adds what the last ping took in milliseconds, if it is another than before.
async fn note_ping(node: &Node, pings: &mut Vec<f64>) {
    let rtt_ms = node.peers().await["peers"][0]["rtt_ms"].as_f64();
    if rtt_ms.is_some() && rtt_ms != pings.last().copied() {
        pings.extend(rtt_ms);
    }
}

/// The smallest time that `part` per cent of them do not exceed.
fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort();
    times[(times.len() * part).div_ceil(100) - 1]
}
