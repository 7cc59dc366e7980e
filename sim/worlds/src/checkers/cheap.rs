//! Cheap: one question at a time, no more requests than questions, and true counts of both kinds.

use std::{sync::Arc, time::Duration};

use super::{Broken, repo_of};
use crate::{
    client::{Answer, Request},
    plan::Role,
    reference::{Exchange, Who},
    stage::Stage,
};

/// Wrong guesses of one machine: by then it knows at which keys credentials have views of their own.
const GUESSES_MAX: u32 = 4;

/// How long the news of a denial may take to the other machines.
const DENIAL_SPREAD: Duration = Duration::from_secs(1);

/// A machine never asks the same question of the same credential twice at once, and never asks more
/// than it was asked.
pub fn judge(stage: &Stage, exchange: &Exchange) -> Result<(), Broken> {
    let asks = stage.ledger().asks_of(exchange.node);
    let writes = is_written(stage, &exchange.path, exchange.began);
    let github = stage.github();
    let own = github.reference.exchanges_of(exchange.node);
    if own > asks {
        let text = format!("{own} requests to GitHub for {asks} requests of clients");
        return Err(("cheap.more", text));
    }
    drop(github);
    is_free(stage, exchange)?;
    let github = stage.github();
    // A write makes what is on its way doubtful, so that it is asked again beside it.
    let overlaps = |other: &Exchange| {
        (other.node, other.start, other.who) == (exchange.node, exchange.start, exchange.who)
            && other.path == exchange.path
            && other.began < exchange.ended
            && exchange.began < other.ended
    };
    // So does a denial that is heard while the first of the two is on its way, whichever machine was told it,
    // and nothing else. The first to be asked may be the last to be answered.
    let denied_between = |other: &Exchange| {
        let [first, second] = if other.began <= exchange.began { [other, exchange] } else { [exchange, other] };
        let heard = |denial: &&Exchange| denial.ended + DENIAL_SPREAD >= first.began;
        github.reference.exchanges.iter().rev().take_while(heard).any(|denial| {
            let is_here = (denial.node, denial.start) == (first.node, first.start);
            (!is_here || denial.ended >= first.began)
                && is_denial(denial, first.who, &first.path)
                && denial.ended <= second.began
        })
    };
    let earlier = github.reference.exchanges.iter().rev().skip(1).take_while(|e| e.ended >= exchange.began);
    if !writes && exchange.is_get && earlier.into_iter().any(|other| overlaps(other) && !denied_between(other)) {
        return Err(("cheap.twice", format!("{} was asked twice at once", exchange.path)));
    }
    Ok(())
}

/// Whether a credential was denied this path, or everything.
fn is_denial(exchange: &Exchange, who: Who, path: &str) -> bool {
    exchange.who == who
        && (exchange.path == path || exchange.status == Some(401))
        && matches!(exchange.status, Some(401 | 403 | 404 | 410 | 451))
}

/// Whether somebody wrote to the repository of `path` before a moment. Whichever machine it was, its
/// tombstone reaches all: it drops what they hold, and makes what is on its way doubtful.
fn is_written(stage: &Stage, path: &str, by: Duration) -> bool {
    let repo = repo_of(path);
    stage.ledger().writes.iter().any(|write| Some(&write.repo) == repo.as_ref() && write.sent <= by)
}

/// What a machine holds of a credential's answer it asks for with a validator: a body that it was
/// given before comes as a free 304, unless a write or a refusal made it forget.
fn is_free(stage: &Stage, exchange: &Exchange) -> Result<(), Broken> {
    let Exchange { node, start, who: Some(who), path, began, ended, status: Some(200), is_get: true, .. } = exchange
    else {
        return Ok(());
    };
    let has_written = is_written(stage, path, *began);
    let github = stage.github();
    let reference = &github.reference;
    // Denials, too, are told to all machines.
    let was_refused = reference.refusals.iter().any(|refused| {
        let is_about = refused.path.as_ref().is_none_or(|refused| refused == path);
        refused.who == Some(*who) && is_about && refused.handled <= *began
    });
    let earlier = |e: &&Exchange| {
        (e.node, e.start, e.who, &e.path) == (*node, *start, Some(*who), path)
            && matches!(e.status, Some(200 | 304))
            && e.ended < *began
    };
    let (Some(before), Some(now)) = (
        reference
            .exchanges
            .iter()
            .rev()
            .find(earlier)
            .and_then(|e| reference.told_at(Some(*who), path, *node, e.began, e.ended)),
        reference.told_at(Some(*who), path, *node, *began, *ended),
    ) else {
        return Ok(());
    };
    let is_kept = !reference.holds_credential(path, now);
    // What looks like a newer version of its own may be another's view.
    let last = reference.exchanges.iter().rev().find(earlier).map_or(Duration::ZERO, |e| e.began);
    let may_guess = reference.others_were_told(Some(*who), path, now, last, *began);
    drop(github);
    if before == now && is_kept && !has_written && !was_refused && !was_misled(stage, *node, may_guess) {
        return Err(("cheap.proof", format!("{path}: t{who} was charged for a body that n{node} held")));
    }
    Ok(())
}

/// A liar may say that something newer was told, or another credential's newer answer be taken for one's
/// own; GitHub corrects that for a charge: so often in a row, and no more.
fn was_misled(stage: &Stage, node: u32, may_guess: bool) -> bool {
    let liars = stage.plan.nodes.iter().filter(|node| node.role == Role::Liar).count();
    let guesses_max = if may_guess { GUESSES_MAX } else { 0 };
    let misled_max = u32::try_from(liars).expect("a few") * fleet::limits::REFUTED_MAX + guesses_max;
    let mut ledger = stage.ledger();
    let misled = ledger.misled.entry(node).or_default();
    *misled += 1;
    *misled <= misled_max
}

/// One question of a client is at most one request, unless a write came in between.
pub fn judge_answer(stage: &Stage, answer: &Answer) -> Result<(), Broken> {
    let Request { node, who, path, sent, done, .. } = &answer.request;
    if is_written(stage, path, *done) {
        return Ok(());
    }
    let github = stage.github();
    // What comes after a denial does not join a question from before it, whose request may begin later.
    let was_denied = github
        .reference
        .exchanges
        .iter()
        .rev()
        .take_while(|e| e.ended + DENIAL_SPREAD >= *sent)
        .any(|e| e.node != *node && is_denial(e, *who, path) && e.ended <= *done);
    let count = github.reference.exchanges_within(*node, *who, path, *sent, *done);
    drop(github);
    if count > 1 + usize::from(was_denied) {
        return Err(("cheap.once", format!("{path}: {count} requests to GitHub for one question")));
    }
    Ok(())
}

/// At rest, what the nodes count is what GitHub counts.
pub fn at_rest(stage: &Arc<Stage>) {
    let github = stage.github();
    let counts = github.hub.counts().total;
    if counts.requests != github.requests {
        let text = format!("GitHub counted {} requests of {}", counts.requests, github.requests);
        drop(github);
        return stage.violated(Some(0), "cheap.counts", text);
    }
    for machine in stage.machines.values() {
        let (Some(node), starts) = (machine.node(), machine.alive().starts) else { continue };
        let own = github.reference.counts_of(machine.plan.id, starts);
        let told = (node.counters.origin_requests.get(), node.counters.origin_proofs.get());
        if own != told {
            let text = format!("counts {told:?} requests and free proofs, and made {own:?}");
            drop(github);
            return stage.violated(Some(machine.lane()), "cheap.counts", text);
        }
    }
}
