//! Fail open: a client's request ends in time, whatever the network, a peer or the disk does.

use std::time::Duration;

use super::Broken;
use crate::{client::Request, stage::Stage};

/// What ghoard may add: the peer budget of far peers, a hanging disk thrice (what it holds itself,
/// what the fleet holds, and what has to go), and ticks.
const BUDGET: Duration = Duration::from_millis(500);
const DISK: Duration = Duration::from_millis(3 * 500);
const SLACK: Duration = Duration::from_millis(250);

/// The slowest transfer between peers that is worth its wait, in bytes per second.
const PULL_RATE_MIN: u64 = 4 << 20;

/// Of a question and of a write alike.
pub fn judge(stage: &Stage, request: &Request, body_bytes: usize) -> Result<(), Broken> {
    let Request { node, path, sent, done, .. } = request;
    // Origin time: what its own machine's requests for this took meanwhile; two, as it may have
    // waited for another's.
    let origin = stage.github().reference.slowest(*node, path, *sent, *done);
    let body = Duration::from_millis(body_bytes as u64 * 1000 / PULL_RATE_MIN);
    let limit = BUDGET + 2 * origin + DISK + body + SLACK;
    let took = done.saturating_sub(*sent);
    if took > limit {
        let text = format!(
            "{path}: took {} ms, and the limit is {} ms (GitHub took {} ms)",
            took.as_millis(),
            limit.as_millis(),
            origin.as_millis()
        );
        return Err(("open.late", text));
    }
    Ok(())
}
