//! How long an answer takes from one machine to the other: `cargo run --release -p bench`.
//!
//! Two nodes on loopback, with real libp2p between them, before a fakehub. Printed is the time from
//! the moment when A has the answer to the moment when B has given it to a client, the median of
//! several; 1 KB is pushed with its announce, 5 MB is pulled when B's client asks.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bench::{Failure, answer, ask, start, until};
use crypto::{FleetKeys, Secret};
use fakehub::{Hub, Options, Token};
use gateway::How;
use task::Tasks;

const ROUNDS: usize = 11;
const SIZES: [(&str, usize); 2] = [("1 KB", 1 << 10), ("5 MB", 5 << 20)];
/// Longer than the window in which announces wait for company.
const IDLE: Duration = Duration::from_millis(150);

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let tasks = Tasks::tokio();
    let mut hub = Hub::standard(1);
    hub.add_token(Token::new("bench-token", "octocat"));
    let hub = Arc::new(Mutex::new(hub));
    let github = fakehub::serve(&tasks, hub, Options { control: false }).await?;
    let keys = FleetKeys::derive(&Secret::generate(rand::random()));
    let a = start(&tasks, github.url(), keys.clone(), Vec::new())?;
    until(|| !a.listening().is_empty()).await?;
    let b = start(&tasks, github.url(), keys, a.listening())?;
    until(|| a.connected_peers().1 == 1 && b.connected_peers().1 == 1).await?;

    let mut told = 0;
    for (name, bytes) in SIZES {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            // Another query is another key, and the same size.
            let question = ask(&format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}?round={round}"));
            answer(&a, question.clone()).await.ok_or("A got no answer")?;
            let written = Instant::now();
            told += 1;
            until(|| b.index_len() == told).await?;
            let heard = written.elapsed();
            let (got, how) = answer(&b, question).await.ok_or("B got no answer")?;
            if how != How::PeerHit || got.plain.len() != bytes {
                return Err(format!("B has {} bytes by {how:?}, not by its peer", got.plain.len()).into());
            }
            let readable = written.elapsed();
            tokio::time::sleep(IDLE).await;
            times.push((readable, heard));
        }
        times.sort();
        let (median, heard) = times[ROUNDS / 2];
        println!("{name}: written at A, readable at B after {median:.1?} (announce heard after {heard:.1?})");
    }
    Ok(())
}
