//! How long an answer takes from one machine to the other.
//!
//! The time is from the moment when A has the answer to the moment when B has given it to a client, whose
//! question comes as soon as B has heard of it. A small body is pushed with its announce, a large one is
//! pulled when B's client asks.

use std::time::{Duration, Instant};

use bench::{Failure, answer, ask, heard};
use gateway::How;
use node::Node;

/// Longer than the window in which announces wait for company.
const IDLE: Duration = Duration::from_millis(150);

/// Of one answer.
pub struct Took {
    /// B's client has it.
    pub readable: Duration,
    /// B has heard of it.
    pub heard: Duration,
}

impl Took {
    /// From the question of B's client to its answer.
    pub fn answered(&self) -> Duration {
        self.readable - self.heard
    }
}

/// Lets A ask for a body of so many bytes, and B after it; `told` is what B has heard of then. Another length
/// is another body, which neither of them has.
pub async fn propagate(a: &Node, b: &Node, bytes: usize, told: usize) -> Result<Took, Failure> {
    let question = ask(&format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}?round=0"));
    answer(a, question.clone()).await.ok_or("A got no answer")?;
    let written = Instant::now();
    heard(b, told).await?;
    let heard = written.elapsed();
    let (got, how) = answer(b, question).await.ok_or("B got no answer")?;
    let readable = written.elapsed();
    if how != How::PeerHit || got.plain.len() != bytes {
        return Err(format!("B has {} bytes by {how:?}, not by its peer", got.plain.len()).into());
    }
    tokio::time::sleep(IDLE).await;
    Ok(Took { readable, heard })
}
