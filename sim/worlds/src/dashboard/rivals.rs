//! Three ways to poll that people have today, each against a hub of its own.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fakehub::Hub;
use http::{Request, Response, StatusCode, header};

use super::{
    Score,
    trace::{Poll, Trace, bearer, version_of},
};
use crate::github::unix_secs;

/// How long the TTL cache keeps: GitHub's own `max-age`.
const TTL: Duration = Duration::from_secs(60);

/// What a machine has of an endpoint, for one token.
struct Kept {
    at: Duration,
    etag: Option<String>,
    version: Option<u64>,
}

type Cache = BTreeMap<(String, usize), Kept>;

/// Every poll is a request.
pub fn no_cache(trace: &Trace) -> Score {
    play(trace, |_| false, |_| None)
}

/// Each machine keeps answers for a minute, by token and path.
pub fn ttl_cache(trace: &Trace) -> Score {
    play(trace, |age| age < TTL, |_| None)
}

/// Each machine asks every time, with the ETag that this token was given.
pub fn revalidate(trace: &Trace) -> Score {
    play(trace, |_| false, |kept| kept.etag.clone())
}

fn play(trace: &Trace, may_serve: impl Fn(Duration) -> bool, validator: impl Fn(&Kept) -> Option<String>) -> Score {
    let mut hub = trace.hub();
    let mut cache = Cache::new();
    let mut score = Score::default();
    let mut changes = trace.changes.iter().peekable();
    for poll in &trace.polls {
        while let Some(change) = changes.next_if(|change| change.at <= poll.at) {
            trace.change(&mut hub, *change);
        }
        score.hour(&hub, poll.at);
        let authorization = bearer(poll.machine, poll.at);
        let at = (authorization.clone(), poll.endpoint);
        let kept = cache.get(&at);
        if let Some(kept) = kept.filter(|kept| may_serve(poll.at - kept.at)) {
            score.answered(trace, poll.endpoint, kept.version, poll.at);
            continue;
        }
        let response = ask(&mut hub, trace, *poll, &authorization, kept.and_then(&validator));
        let version = match response.status() {
            StatusCode::NOT_MODIFIED => kept.and_then(|kept| kept.version),
            _ => version_of(response.body()),
        };
        let etag = response.headers().get(header::ETAG).and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
        score.answered(trace, poll.endpoint, version, poll.at);
        cache.insert(at, Kept { at: poll.at, etag, version });
    }
    score.counted(&hub);
    score
}

fn ask(hub: &mut Hub, trace: &Trace, poll: Poll, authorization: &str, etag: Option<String>) -> Response<Bytes> {
    let mut request = Request::get(trace.path(poll.endpoint))
        .header(header::AUTHORIZATION, authorization)
        .header(header::ACCEPT, "application/vnd.github+json");
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let request = request.body(Bytes::new()).expect("a plain path");
    hub.handle(&request, unix_secs(poll.at)).response.expect("this hub answers")
}
