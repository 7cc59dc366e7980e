use http::{HeaderMap, HeaderValue, header};

use crate::{Stored, headers::forwardable};

/// Returns the fields of the request that asks the origin whether `stored` still holds: those of the
/// client's, with our condition in place of its own (RFC 9111, §4.3.1).
///
/// Without a validator it is a plain request. Ranges go: what comes back is to be stored whole.
pub fn condition_on(stored: &Stored, request: &HeaderMap) -> HeaderMap {
    let mut headers = without_conditions(request);
    if stored.part().is_some() {
        return headers;
    }
    for (validator, condition) in
        [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)]
    {
        if let Some(value) = stored.headers().get(validator) {
            headers.insert(condition, value.clone());
        }
    }
    headers
}

/// Returns the fields that ask for what a stored part lacks, if it can be joined to it: a strong `ETag`, and
/// the part is a beginning or an end (RFC 9111, §3.4).
pub fn missing_part(stored: &Stored, request: &HeaderMap) -> Option<HeaderMap> {
    let (have, etag) = (stored.part()?, stored.strong_etag()?);
    let last = have.total - 1;
    let range = match (have.part.first, have.part.last) {
        (0, end) if end < last => format!("bytes={}-", end + 1),
        (first, end) if first > 0 && end == last => format!("bytes=0-{}", first - 1),
        _ => return None,
    };
    let mut headers = without_conditions(request);
    headers.insert(header::RANGE, HeaderValue::try_from(range).expect("digits"));
    headers.insert(header::IF_RANGE, HeaderValue::from_bytes(etag).expect("it was a field's value"));
    Some(headers)
}

/// A request's fields for the next hop, without conditions and ranges.
pub fn without_conditions(request: &HeaderMap) -> HeaderMap {
    let mut headers = forwardable(request);
    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE, header::RANGE] {
        headers.remove(name);
    }
    headers
}
