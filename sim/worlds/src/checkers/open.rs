//! Fail open: a client's request ends in time, whatever the network, a peer or the disk does.

use std::{collections::BTreeSet, time::Duration};

use super::Broken;
use crate::{
    client::Request,
    plan::{Plan, Trouble},
    stage::Stage,
};

/// What ghoard may add: the peer budget, near or far.
const BUDGET_NEAR: Duration = Duration::from_millis(150);
const BUDGET_FAR: Duration = Duration::from_millis(500);

/// A disk that hangs is waited for thrice: for what the machine holds itself, for what the fleet
/// holds, and for what has to go.
const DISK: Duration = Duration::from_millis(3 * 500);

/// Ticks, and the turns of tasks.
const SLACK: Duration = Duration::from_millis(100);

/// The slowest transfer between peers that is worth its wait, in bytes per second.
const PULL_RATE_MIN: u64 = 4 << 20;

/// The longest wait for one's turn to prove, where more credentials ask for one key than may prove at once.
const PROOF_QUEUE: Duration = fleet::limits::PROOF_QUEUE_MAX;

/// For so long a machine that is gone, or cut off, is thought to ask for something still.
const LEASE: Duration = fleet::limits::LEASE_TIME;

/// How long the origin is expected to take for what it was never asked; after one answer it is thrice the
/// time of that, and less with each that takes as long.
const EXPECTED_MIN: Duration = Duration::from_millis(500);

/// Of a question and of a write alike.
pub fn judge(stage: &Stage, request: &Request, body_bytes: usize) -> Result<(), Broken> {
    let Request { node, path, sent, done, .. } = request;
    // Origin time: what requests for this took meanwhile, this machine's or another's; two, if it may have
    // waited for another's before its own.
    let (origin, count, largest) = {
        let github = stage.github();
        let reference = &github.reference;
        let count = reference.asked(path, sent.saturating_sub(LEASE), *done);
        (reference.slowest(path, *sent, *done), count, reference.largest(path))
    };
    let waited = match count {
        0 | 1 => Duration::ZERO,
        // Whom it waited for may hang or be gone: then it is left when the origin is expected to have answered.
        _ if is_troubled(&stage.plan, *sent, *done) => EXPECTED_MIN.max(3 * origin),
        // Or it has pulled before it asked, and that it has its answer is told by a third machine.
        _ => (origin + 2 * round_trip(&stage.plan)).min(EXPECTED_MIN.max(3 * origin)),
    };
    let queue = if is_queued(stage, request) { PROOF_QUEUE } else { Duration::ZERO };
    // A body that was waited for in vain took its time, too, whatever the answer is then.
    let body = Duration::from_millis(body_bytes.max(largest) as u64 * 1000 / PULL_RATE_MIN);
    let limit = budget(&stage.plan) + origin + waited + queue + disk(&stage.plan, *node, *sent, *done) + body + SLACK;
    let took = done.saturating_sub(*sent);
    if took > limit {
        let text = format!(
            "{path}: took {} ms, and the limit is {} ms (GitHub took {} ms, and was asked {count} times)",
            took.as_millis(),
            limit.as_millis(),
            origin.as_millis()
        );
        return Err(("open.late", text));
    }
    Ok(())
}

/// Whether something was wrong meanwhile, or a lease before.
fn is_troubled(plan: &Plan, sent: Duration, done: Duration) -> bool {
    let ms = Duration::from_millis;
    plan.faults.iter().any(|fault| ms(fault.from_ms) <= done && sent <= ms(fault.until_ms) + LEASE)
}

/// Whether more credentials asked for the same meanwhile than may prove at once.
fn is_queued(stage: &Stage, request: &Request) -> bool {
    if stage.plan.tokens.len() <= fleet::limits::PROOF_LEASES_MAX {
        return false;
    }
    let ledger = stage.ledger();
    let meanwhile = ledger
        .questions_of(&request.path)
        .iter()
        .filter(|question| question.sent <= request.done && question.done.is_none_or(|done| done >= request.sent));
    meanwhile.map(|question| question.who).collect::<BTreeSet<_>>().len() > fleet::limits::PROOF_LEASES_MAX
}

/// From one machine to another and back, at most.
fn round_trip(plan: &Plan) -> Duration {
    Duration::from_millis(2 * (plan.link.latency_ms + plan.link.jitter_ms + plan.tick_ms))
}

/// Peers are near in a world whose links are fast and stay so.
fn budget(plan: &Plan) -> Duration {
    let slows = |trouble: &Trouble| matches!(trouble, Trouble::SlowLink { .. } | Trouble::Hold { .. });
    let is_near = round_trip(plan) < Duration::from_millis(20) && plan.link.loss_ppm == 0;
    if is_near && !plan.faults.iter().any(|fault| slows(&fault.what)) { BUDGET_NEAR } else { BUDGET_FAR }
}

/// Only a slow disk is waited for.
fn disk(plan: &Plan, node: u32, sent: Duration, done: Duration) -> Duration {
    let ms = Duration::from_millis;
    let is_slow = plan.faults.iter().any(|fault| {
        let overlaps = ms(fault.from_ms) <= done && sent <= ms(fault.until_ms) + DISK;
        overlaps && matches!(fault.what, Trouble::SlowDisk { node: slow, .. } if slow == node)
    });
    if is_slow { DISK } else { Duration::ZERO }
}
