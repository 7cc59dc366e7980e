//! Ways to ask that people have today, each against a hub of its own.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fakehub::Hub;
use http::{Request, Response, StatusCode, header};

use super::{
    Score,
    trace::{Poll, Trace, version_of},
};
use crate::github::unix_secs;

/// GitHub's own `max-age`.
const TTL: Duration = Duration::from_secs(60);

/// Of an endpoint, for one token.
struct Kept {
    at: Duration,
    etag: Option<String>,
    version: Option<u64>,
}

/// By machine, token and endpoint.
type Cache = BTreeMap<(u32, usize, usize), Kept>;

/// How somebody's cache works. No answer is given to another token than the one it was asked with.
struct Manner {
    /// One cache for all machines.
    is_central: bool,
    /// How long an answer is given again without a word to GitHub.
    fresh: Duration,
    /// What is no longer fresh is asked with its ETag.
    revalidates: bool,
}

/// Every poll is a request.
pub fn no_cache(trace: &Trace) -> Score {
    play(trace, &Manner { is_central: false, fresh: Duration::ZERO, revalidates: false })
}

/// `gh api --cache 60s`: by URL, `Accept` and `Authorization`, for so long, then asked anew.
pub fn gh_cache(trace: &Trace) -> Score {
    play(trace, &Manner { is_central: false, fresh: TTL, revalidates: false })
}

/// A cache on each machine that follows RFC 9111.
pub fn machine_cache(trace: &Trace) -> Score {
    play(trace, &Manner { is_central: false, fresh: TTL, revalidates: true })
}

/// A cache for all machines that asks every time, with the ETag that this token was given.
pub fn central_revalidate(trace: &Trace) -> Score {
    play(trace, &Manner { is_central: true, fresh: Duration::ZERO, revalidates: true })
}

fn play(trace: &Trace, manner: &Manner) -> Score {
    let mut hub = trace.hub();
    let mut cache = Cache::new();
    let mut score = Score::default();
    let mut changes = trace.changes.iter().peekable();
    for poll in &trace.polls {
        while let Some(change) = changes.next_if(|change| change.at <= poll.at) {
            trace.change(&mut hub, *change);
        }
        score.hour(&hub, poll.at);
        let at = (if manner.is_central { 0 } else { poll.machine }, poll.token, poll.endpoint);
        let kept = cache.get(&at);
        if let Some(kept) = kept.filter(|kept| poll.at - kept.at < manner.fresh) {
            score.answered(trace, poll.endpoint, kept.version, poll.at);
            continue;
        }
        let etag = kept.filter(|_| manner.revalidates).and_then(|kept| kept.etag.as_deref());
        let response = ask(&mut hub, trace, *poll, etag);
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

fn ask(hub: &mut Hub, trace: &Trace, poll: Poll, etag: Option<&str>) -> Response<Bytes> {
    let mut request = Request::get(trace.path(poll.endpoint))
        .header(header::AUTHORIZATION, trace.bearer(&poll))
        .header(header::ACCEPT, "application/vnd.github+json");
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let request = request.body(Bytes::new()).expect("a plain path");
    hub.handle(&request, unix_secs(poll.at)).response.expect("this hub answers")
}
