use std::time::SystemTime;

use http::{HeaderMap, HeaderName, header};

use crate::{Stored, age::http_date, directives::members};

/// What a client's own conditions make of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets the response.
    Whole,
    /// It has it already: 304.
    NotModified,
}

/// Whether the request has a condition that only the origin can judge (RFC 9111, §4.3.2).
pub fn is_for_the_origin(request: &HeaderMap) -> bool {
    request.contains_key(header::IF_MATCH) || request.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// Judges `If-None-Match`, else `If-Modified-Since`. Without `Last-Modified` the response's `Date` stands in.
///
/// # Source
/// RFC 9111, §4.3.2; RFC 9110, §13.1.2 (weak comparison) and §13.1.3.
pub fn evaluate(request: &HeaderMap, stored: &Stored) -> Verdict {
    let not_modified = |is| if is { Verdict::NotModified } else { Verdict::Whole };
    if !stored.status().is_success() {
        return Verdict::Whole;
    }
    if request.contains_key(header::IF_NONE_MATCH) {
        let etag = stored.etag().map(latin1);
        let is_ours = |tag: &str| tag == "*" || etag.as_deref().is_some_and(|etag| opaque(etag) == opaque(tag));
        let lines = request.get_all(header::IF_NONE_MATCH).iter();
        return not_modified(lines.map(|line| latin1(line.as_bytes())).any(|line| members(&line).any(is_ours)));
    }
    match http_date(request, header::IF_MODIFIED_SINCE) {
        Some(since) => not_modified(stored.modified() <= since),
        None => Verdict::Whole,
    }
}

/// The fields that a 304 has of the response that it stands for (RFC 9110, §15.4.5), and those that say
/// where it comes from.
pub fn not_modified(headers: &HeaderMap) -> HeaderMap {
    const KEPT: [HeaderName; 8] = [
        header::AGE,
        header::CACHE_CONTROL,
        header::CONTENT_LOCATION,
        header::DATE,
        header::ETAG,
        header::EXPIRES,
        header::LAST_MODIFIED,
        header::VARY,
    ];
    let kept = |name: &HeaderName| KEPT.contains(name) || name == "cache-status" || name == "via";
    headers.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A tag without its mark of weakness, which does not count here.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// A tag may hold any byte; one character for each keeps different tags different.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

impl Stored {
    /// When it last changed, as far as anybody said.
    fn modified(&self) -> SystemTime {
        http_date(self.headers(), header::LAST_MODIFIED).unwrap_or_else(|| self.date())
    }
}
