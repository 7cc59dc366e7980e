//! Right: a client gets only what GitHub gave to its very credential, lately, or marked stale; or what
//! the operator has said may be trusted.

pub mod clocks;
mod errors;

use std::time::Duration;

use wire::Digest;

use self::clocks::{Clocks, ahead};
use super::{Broken, Written, repo_of, shared};
use crate::{
    client::{Answer, How, Request},
    github::ORIGIN_TIMEOUT,
    manner::Wants,
    plan::{Plan, Share},
    reference::{Exchange, Reference, Refused, Told, Who},
    stage::Stage,
};

/// Between what a machine calls now and what the world does: ticks, and whole milliseconds.
const SLACK: Duration = Duration::from_millis(50);

pub fn judge(stage: &Stage, answer: &Answer) -> Result<(), Broken> {
    if !matches!(answer.status, 200 | 304) || matches!(answer.how, How::Failed | How::Passed) {
        errors::judge(stage, answer)?;
    }
    // Of a part of a body, or of none, that was passed on there is nothing to know but the exchange.
    let manner = &answer.request.manner;
    let is_partial = manner.range.is_some() || manner.head || answer.status == 304;
    if !matches!(answer.status, 200 | 304) || answer.how == How::Passed && is_partial {
        return Ok(());
    }
    let github = stage.github();
    let reference = &github.reference;
    let Request { node, who, path, sent, done, .. } = &answer.request;
    let Some(digest) = body_of(reference, answer)? else { return Ok(()) };
    let own = || reference.told(*who, path, digest, *done);
    let others = || reference.told_to_anybody(path, digest, *done);
    let trusted = if is_trusted(stage, reference, answer, digest) { others().max_by_key(|told| told.at) } else { None };
    let Some(last) = own().chain(trusted).max_by_key(|told| told.at) else {
        return Err(if reference.is_known(path, digest) {
            ("right.scope", format!("{path}: {who:?} was given a body that GitHub gave to others only"))
        } else {
            ("right.body", format!("{path}: {who:?} was given a body that GitHub never gave to anybody"))
        });
    };
    if answer.how == How::Peer && reference.holds_credential(path, digest) {
        return Err(("sealed.credential", format!("{path}: a body with a credential came from a peer")));
    }
    let limits = Limits::of(&stage.plan, answer);
    let within = |limit: Duration, told: &Told| {
        sent.saturating_sub(told.at) <= limit.saturating_add(ahead(&stage.plan, told.node, *node))
            || answer.how == How::Joined && is_on_its_way(reference, told, (*node, *who, path), *sent)
    };
    let is_proved = trusted.is_some() || own().any(|told| within(limits.proof, told));
    // The version is as fresh as GitHub's last word to anybody; who may see it is a question of one's own.
    let is_fresh = others().any(|told| within(limits.fresh, told));
    if !is_proved || !is_fresh {
        let age = ms(sent.saturating_sub(last.at));
        let Limits { proof, fresh } = limits;
        let limits = format!("the limits are {} ms for the proof, {} for the version", ms(proof), ms(fresh));
        let text = format!("{path}: told {age} ms ago, served as {:?}, and {limits}", answer.how);
        return Err((if answer.how == How::Stale { "right.stale" } else { "right.fresh" }, text));
    }
    let last = *last;
    let told = last.at;
    if answer.how == How::Stale && !has_failed(stage, reference, answer) {
        return Err(("right.marked", format!("{path}: served stale, and GitHub had not failed")));
    }
    // A machine without a disk forgets with its process what it was refused, and what it wrote.
    let machine = stage.machine(*node);
    let remembers = |start: u32| machine.plan.has_disk || start == machine.alive().starts;
    let own = |refused: &&Refused| refused.node == *node && refused.who == *who && remembers(refused.start);
    for refused in reference.refusals.iter().filter(own) {
        // With `trusted`, a key that was denied to this credential may be shown to it for another's sake.
        let is_about = refused.path.as_ref().is_none_or(|refused| refused == path && trusted.is_none());
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
    shared::judge_answer(stage, &answer.request, &last)
}

/// Which body the client was told of. `None` where the answer tells of none: a `*` that fits whatever is
/// there, a HEAD without an ETag.
fn body_of(reference: &Reference, answer: &Answer) -> Result<Option<Digest>, Broken> {
    let Request { who, path, manner, validator, .. } = &answer.request;
    let meant = |etag: &str| {
        let known = reference.meant(*who, path, etag);
        known
            .map(Some)
            .ok_or_else(|| ("right.etag", format!("{path}: {who:?} was told an ETag that GitHub never gave it")))
    };
    match (answer.status, &answer.etag) {
        (304, _) => match validator.as_deref() {
            None => Err(("right.etag", format!("{path}: 304 to a question without an ETag"))),
            Some("*") => answer.etag.as_deref().map_or(Ok(None), meant),
            Some(theirs) => meant(theirs),
        },
        (_, Some(etag)) if manner.head => meant(etag),
        _ if manner.head => Ok(None),
        (_, Some(etag)) if meant(etag)? != Some(answer.digest) => {
            Err(("right.etag", format!("{path}: the ETag is of another body")))
        }
        _ => Ok(Some(answer.digest)),
    }
}

/// Whether the operator lets this credential have what others were told: GitHub has accepted it lately,
/// on this machine, and the answer may be shared.
fn is_trusted(stage: &Stage, reference: &Reference, answer: &Answer, digest: Digest) -> bool {
    let Request { node, who, path, sent, .. } = &answer.request;
    let sharing = &stage.plan.sharing;
    let is_ones_own = path == "/user" || path.starts_with("/user/");
    if sharing.share != Share::Trusted || who.is_none() || is_ones_own || is_among(&sharing.never_share, path) {
        return false;
    }
    let clocks = Clocks::of(&stage.plan, path);
    let window = clocks.proof + if answer.how == How::Stale { clocks.stale } else { Duration::ZERO } + SLACK;
    let accepted = |exchange: &&Exchange| {
        (exchange.node, exchange.who) == (*node, *who)
            && exchange.status.is_some_and(|status| status < 500 && !matches!(status, 401 | 429))
            && exchange.ended <= *sent + SLACK
            && sent.saturating_sub(exchange.ended) <= window
    };
    let Some(accepted) = reference.exchanges.iter().rev().find(accepted) else { return false };
    let refused = |refused: &Refused| {
        (refused.node, refused.who, &refused.path) == (*node, *who, &None)
            && refused.handled > accepted.began
            && refused.ended < *sent
    };
    !reference.refusals.iter().any(refused) && !reference.holds_credential(path, digest)
}

/// How old what was told may be.
#[derive(Clone, Copy)]
struct Limits {
    /// Since GitHub answered this very credential.
    proof: Duration,
    /// Since GitHub gave this version to anybody.
    fresh: Duration,
}

impl Limits {
    fn of(plan: &Plan, answer: &Answer) -> Self {
        let Request { path, manner, .. } = &answer.request;
        let clocks = Clocks::of(plan, path);
        let (fresh, proof) = match (answer.how, manner.wants) {
            (How::Stale, _) => (Duration::MAX, clocks.proof + clocks.stale),
            _ if is_among(&plan.sharing.never_cache, path) => (Duration::MAX, Duration::ZERO),
            (_, Some(Wants::NoCache | Wants::NoStore)) => (Duration::MAX, Duration::ZERO),
            // An age is told in whole seconds, rounded down.
            (_, Some(Wants::MaxAge(secs))) => (clocks.fresh.min(Duration::from_secs(secs + 1)), clocks.proof),
            _ => (clocks.fresh, clocks.proof),
        };
        Self { proof: proof.saturating_add(SLACK), fresh: fresh.saturating_add(SLACK) }
    }
}

/// Whether GitHub's answer was still on its way to the machine when its client asked.
fn is_on_its_way(reference: &Reference, told: &Told, (node, who, path): (u32, Who, &str), sent: Duration) -> bool {
    reference.exchanges.iter().rev().take_while(|exchange| exchange.ended >= sent).any(|exchange| {
        (exchange.node, exchange.who, exchange.path.as_str()) == (node, who, path)
            && (exchange.began..=exchange.ended).contains(&told.at)
    })
}

/// Whether GitHub could not answer this machine just now, nor another one for whose answer it waited,
/// or has said until when it will not.
fn has_failed(stage: &Stage, reference: &Reference, answer: &Answer) -> bool {
    let Request { node, who, path, sent, .. } = &answer.request;
    let since = sent.saturating_sub(patience(&stage.plan));
    let login = |who: Who| who.map(|who| stage.plan.tokens[who].login.as_str());
    reference.exchanges.iter().any(|exchange| {
        let is_limit = exchange.until.is_some_and(|until| until + SLACK >= *sent) && login(exchange.who) == login(*who);
        let is_ours = exchange.node == *node || exchange.path == *path;
        is_limit || is_ours && exchange.ended >= since && exchange.is_failure()
    })
}

/// Whether a question is about one of these repositories.
fn is_among(repos: &[String], question: &str) -> bool {
    repo_of(question).is_some_and(|repo| repos.iter().any(|known| known.eq_ignore_ascii_case(&repo)))
}

/// How long ago the failure can be that makes this answer stale: a flight that was joined.
fn patience(plan: &Plan) -> Duration {
    ORIGIN_TIMEOUT + Duration::from_millis(plan.origin_ms) + Duration::from_secs(2)
}

fn ms(at: Duration) -> u128 {
    at.as_millis()
}
