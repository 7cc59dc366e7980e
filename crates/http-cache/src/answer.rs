use std::time::SystemTime;

use bytes::Bytes;
use gateway::{Body, empty, full};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, response::Parts};
use http_rules::{Asked, Verdict, asked_range, evaluate, forwardable, if_range_holds, not_modified};

use crate::{ask::Ask, memory::Variant};

/// How an answer came about, in the words of RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Hit,
    /// Somebody else's question was answered.
    Joined,
    /// The origin failed.
    StaleOnError,
    /// The origin was asked, for this reason.
    Forwarded(&'static str),
}

/// Answers from what is stored: whole, a part, or 304. `None` if that does not hold what was asked for.
pub(crate) fn serve(
    variant: &Variant,
    ask: &Ask,
    how: How,
    fwd_status: Option<u16>,
    now: SystemTime,
) -> Option<Response<Body>> {
    let stored = &variant.stored;
    let mut headers = stored.served(now);
    let status = match how {
        How::Hit => format!("ghoard; hit; ttl={}", stored.ttl_secs(now)),
        How::Joined => format!("ghoard; hit; ttl={}; collapsed", stored.ttl_secs(now)),
        How::StaleOnError => format!("ghoard; hit; ttl={}; detail=origin-failed", stored.ttl_secs(now)),
        How::Forwarded(why) => forwarded(why, fwd_status, true),
    };
    add_status(&mut headers, &status);
    let wants = wanted(variant, ask)?;
    if evaluate(&ask.headers, stored) == Verdict::NotModified {
        return Some(respond(StatusCode::NOT_MODIFIED, not_modified(&headers), empty()));
    }
    let (status, body) = match wants {
        Asked::Whole => (stored.status(), variant.body.clone()),
        Asked::Nothing => {
            let total = HeaderValue::try_from(format!("bytes */{}", variant.body.len())).expect("digits");
            headers.insert(header::CONTENT_RANGE, total);
            for name in [header::ETAG, header::LAST_MODIFIED, header::CONTENT_ENCODING, header::CACHE_CONTROL] {
                headers.remove(name);
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new())
        }
        Asked::Part(part) => {
            let (from, total) =
                stored.part().map_or((0, variant.body.len() as u64), |have| (have.part.first, have.total));
            let range = HeaderValue::try_from(format!("bytes {}-{}/{total}", part.first, part.last)).expect("digits");
            headers.insert(header::CONTENT_RANGE, range);
            let (first, last) = ((part.first - from) as usize, (part.last - from) as usize);
            (StatusCode::PARTIAL_CONTENT, variant.body.slice(first..=last))
        }
    };
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    Some(respond(status, headers, if ask.method == Method::HEAD { empty() } else { full(body) }))
}

/// What of the variant is asked for. `None` if it is not held.
fn wanted(variant: &Variant, ask: &Ask) -> Option<Asked> {
    let stored = &variant.stored;
    let may_cut =
        ask.method == Method::GET && ask.headers.contains_key(header::RANGE) && if_range_holds(&ask.headers, stored);
    match stored.part() {
        None if may_cut && stored.status() == StatusCode::OK => {
            Some(asked_range(&ask.headers, variant.body.len() as u64))
        }
        None => Some(Asked::Whole),
        Some(have) if may_cut => match asked_range(&ask.headers, have.total) {
            Asked::Part(part) if have.part.contains(part) => Some(Asked::Part(part)),
            _ => None,
        },
        Some(_) => None,
    }
}

/// The origin's own answer, for the next hop.
pub(crate) fn relayed(head: &Parts, body: Body, fwd: &str, stored: bool) -> Response<Body> {
    let mut headers = forwardable(&head.headers);
    headers.remove("surrogate-control");
    add_status(&mut headers, &forwarded(fwd, Some(head.status.as_u16()), stored));
    respond(head.status, headers, body)
}

fn forwarded(why: &str, status: Option<u16>, stored: bool) -> String {
    let status = status.map(|status| format!("; fwd-status={status}")).unwrap_or_default();
    format!("ghoard; fwd={why}{status}{}", if stored { "; stored" } else { "" })
}

fn add_status(headers: &mut HeaderMap, text: &str) {
    headers.append("cache-status", HeaderValue::try_from(text).expect("visible ASCII"));
    headers.append(header::VIA, HeaderValue::from_static("1.1 ghoard"));
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
