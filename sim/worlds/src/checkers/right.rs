//! Right: a client gets only what GitHub gave to its very credential, lately, or marked stale.

use std::time::Duration;

use super::{Broken, Written, repo_of};
use crate::{
    client::{Answer, How, Request},
    github::ORIGIN_TIMEOUT,
    plan::Plan,
    reference::{Refused, Told},
    stage::Stage,
};

/// Between what a machine calls now and what the world does: ticks, and whole milliseconds.
const SLACK: Duration = Duration::from_millis(50);

/// GitHub's `max-age`, as fakehub sends it, and the table's shorter one.
const MAX_AGE: Duration = Duration::from_secs(60);
const RUNNERS_LIFETIME: Duration = Duration::from_secs(30);

pub fn judge(stage: &Stage, answer: &Answer) -> Result<(), Broken> {
    if answer.status != 200 || answer.how == How::Failed {
        return passed_on(stage, answer);
    }
    let github = stage.github();
    let reference = &github.reference;
    let Answer { request, digest, how, .. } = answer;
    let Request { node, who, path, sent, done } = request;
    let told = || reference.told(*who, path, *digest, *done);
    let Some(last) = told().next() else {
        return Err(if reference.is_known(path, *digest) {
            ("right.scope", format!("{path}: {who:?} was given a body that GitHub gave to others only"))
        } else {
            ("right.body", format!("{path}: {who:?} was given a body that GitHub never gave to anybody"))
        });
    };
    if *how == How::Peer && reference.holds_credential(path, *digest) {
        return Err(("sealed.credential", format!("{path}: a body with a credential came from a peer")));
    }
    let clocks = Clocks::of(&stage.plan, path);
    let limit = if *how == How::Stale { clocks.proof + clocks.stale } else { clocks.fresh.min(clocks.proof) };
    let limit = limit + SLACK;
    let is_in_time = |told: &Told| sent.saturating_sub(told.at) <= limit + ahead(&stage.plan, told.node, *node);
    if !told().any(is_in_time) {
        let age = ms(sent.saturating_sub(last.at));
        let text = format!("{path}: told {age} ms ago, served as {how:?}, and the limit is {} ms", ms(limit));
        return Err((if *how == How::Stale { "right.stale" } else { "right.fresh" }, text));
    }
    let told = last.at;
    if *how == How::Stale {
        let since = sent.saturating_sub(patience(&stage.plan));
        let mut lately = reference.exchanges.iter().rev().take_while(|exchange| exchange.ended >= since);
        if !lately.any(|exchange| exchange.node == *node && exchange.is_failure()) {
            return Err(("right.marked", format!("{path}: served stale, and GitHub had not failed")));
        }
    }
    // A machine without a disk forgets with its process what it was refused, and what it wrote.
    let machine = stage.machine(*node);
    let remembers = |start: u32| machine.plan.has_disk || start == machine.alive().starts;
    let own = |refused: &&Refused| refused.node == *node && refused.who == *who && remembers(refused.start);
    for refused in reference.refusals.iter().filter(own) {
        let is_about = refused.path.as_ref().is_none_or(|refused| refused == path);
        if is_about && refused.ended < *sent && told < refused.handled {
            let text = format!("{path}: GitHub refused at {} ms what was told at {} ms", ms(refused.ended), ms(told));
            return Err(("right.refused", text));
        }
    }
    drop(github);
    let repo = repo_of(path);
    let own = |write: &&Written| write.node == *node && remembers(write.start) && Some(&write.repo) == repo.as_ref();
    for write in stage.ledger().writes.iter().filter(own) {
        if write.answered.is_some_and(|answered| answered < *sent) && told < write.sent {
            let text = format!("{path}: told at {} ms, before the write of {} ms", ms(told), ms(write.sent));
            return Err(("right.write", text));
        }
    }
    Ok(())
}

/// An error is GitHub's own and of now, or says that GitHub could not be asked: none is ever kept.
fn passed_on(stage: &Stage, answer: &Answer) -> Result<(), Broken> {
    let Request { node, who, path, sent, done } = &answer.request;
    let github = stage.github();
    let exchanges = github.reference.exchanges.iter().rev();
    let mut meanwhile = exchanges.take_while(|exchange| exchange.ended >= *sent);
    let is_so = meanwhile.any(|exchange| {
        let is_it =
            (exchange.node, exchange.who, &exchange.path) == (*node, *who, path) && exchange.ended <= *done + SLACK;
        is_it && (exchange.status == Some(answer.status) || exchange.status.is_none() && answer.status >= 502)
    });
    if is_so {
        return Ok(());
    }
    Err(("right.error", format!("{path}: {who:?} was told {}, and GitHub had not said so", answer.status)))
}

/// How long an answer may be served, counted from when GitHub gave or confirmed it.
struct Clocks {
    fresh: Duration,
    proof: Duration,
    stale: Duration,
}

impl Clocks {
    fn of(plan: &Plan, path: &str) -> Self {
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let ttl = millis(plan.policy.default_ttl_ms);
        let is_runs = path.contains("/actions/runs");
        let fresh = if path.contains("/actions/runners") {
            RUNNERS_LIFETIME
        } else if is_runs {
            MAX_AGE
        } else {
            ttl.unwrap_or(MAX_AGE)
        };
        let proof = millis(plan.policy.proof_window_ms).or(ttl).unwrap_or(MAX_AGE);
        Self { fresh, proof, stale: Duration::from_millis(plan.policy.stale_for_ms) }
    }
}

/// How much longer an answer lives elsewhere than where it was given, by the clocks: what is dated more
/// than a minute ahead is refused.
fn ahead(plan: &Plan, teller: u32, reader: u32) -> Duration {
    let clock = |id| plan.nodes.iter().find(|node| node.id == id).map_or(0, |node| node.clock_ms);
    Duration::from_millis((clock(teller) - clock(reader)).clamp(0, 60_000).unsigned_abs())
}

/// How long ago the failure can be that makes this answer stale: a flight that was joined.
fn patience(plan: &Plan) -> Duration {
    ORIGIN_TIMEOUT + Duration::from_millis(plan.origin_ms) + Duration::from_secs(2)
}

fn ms(at: Duration) -> u128 {
    at.as_millis()
}
