//! Errors: GitHub's own and of now, to this machine or to one for whose answer it waited, or told again for a moment to the credential that got them, or
//! ghoard's own where GitHub could not be asked.

use std::time::Duration;

use fleet::limits::PEER_BUDGET_FAR;
use github::{Route, Target, limits::MOVED_TTL};

use super::{SLACK, repo_of};
use crate::{
    checkers::Broken,
    client::{Answer, Request},
    manner::{Wants, path_of},
    reference::{Exchange, Reference},
    stage::Stage,
};

pub fn judge(stage: &Stage, answer: &Answer) -> Result<(), Broken> {
    let Request { node, who, path, manner, sent, done, .. } = &answer.request;
    // Nothing is kept, and GitHub must not be asked.
    if answer.status == 504 && manner.wants == Some(Wants::OnlyIfCached) {
        return Ok(());
    }
    let github = stage.github();
    let reference = &github.reference;
    // At whichever machine: who asks the same at another one waits for its answer, and trouble of
    // GitHub's own is everybody's.
    let exchanges = || {
        let is_trouble = answer.status >= 500;
        let own = move |exchange: &&Exchange| exchange.path == *path && (exchange.who == *who || is_trouble);
        reference.exchanges.iter().rev().filter(own)
    };
    // A word to another machine may have been on its way when this one asked.
    let lately = exchanges().take_while(|exchange| exchange.ended + PEER_BUDGET_FAR >= *sent);
    let mut meanwhile = lately.filter(|exchange| exchange.node != *node || exchange.ended >= *sent);
    let is_of_now = meanwhile.any(|exchange| {
        exchange.ended <= *done + SLACK
            && (exchange.status == Some(answer.status) || exchange.status.is_none() && answer.status >= 502)
    });
    if is_of_now || is_limited(stage, reference, answer) {
        return Ok(());
    }
    let lately = exchanges().find(|exchange| exchange.status == Some(answer.status));
    let told_again = lately.is_some_and(|exchange| {
        ttl(path, answer.status).is_some_and(|ttl| *sent <= exchange.ended + ttl + SLACK)
            && !was_written_since(stage, answer, exchange.began)
    });
    if told_again {
        return Ok(());
    }
    Err(("right.error", format!("{path}: {who:?} was told {}, and GitHub had not said so", answer.status)))
}

/// How long such an answer may be told again to the credential that got it.
fn ttl(question: &str, status: u16) -> Option<Duration> {
    let path = path_of(question);
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    match status {
        404 | 410 => Route::of(&Target::parse(path, query).ok()?).negative_ttl(),
        301 => Some(MOVED_TTL),
        _ => None,
    }
}

fn was_written_since(stage: &Stage, answer: &Answer, since: Duration) -> bool {
    let Request { node, path, sent, .. } = &answer.request;
    let repo = repo_of(path);
    let is_later = |answered: Option<Duration>| answered.is_some_and(|answered| since <= answered && answered < *sent);
    let ledger = stage.ledger();
    ledger
        .writes
        .iter()
        .any(|write| write.node == *node && Some(&write.repo) == repo.as_ref() && is_later(write.answered))
}

/// A limit that this user's tokens were told of, or whose last request they have made, and that holds on.
fn is_limited(stage: &Stage, reference: &Reference, answer: &Answer) -> bool {
    let Request { who, sent, .. } = &answer.request;
    let login = |who: Option<usize>| who.map(|who| stage.plan.tokens[who].login.as_str());
    let mut limits = reference.exchanges.iter().filter(|_| matches!(answer.status, 403 | 429));
    limits.any(|exchange| {
        exchange.until.is_some_and(|until| until + SLACK >= *sent) && login(exchange.who) == login(*who)
    })
}
