use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use wire::{Header, limits};

/// The headers of an answer that are kept and served again. Nothing of the moment (limits, request
/// ids, dates), nothing that could carry a credential. By the version Renovate and others know what
/// an Enterprise Server can do; they ask for it with `HEAD /`.
pub const KEPT_HEADERS: [&str; 10] = [
    "content-type",
    "deprecation",
    "last-modified",
    "link",
    "sunset",
    "x-accepted-oauth-scopes",
    "x-github-api-version-selected",
    "x-github-enterprise-version",
    "x-github-media-type",
    "x-oauth-scopes",
];

/// Returns what is kept of `headers`, in order of name, inside the limits of a record.
pub fn kept_headers(headers: &HeaderMap) -> Vec<Header> {
    let mut room = limits::HEADERS_BYTES_MAX;
    let mut kept = Vec::new();
    for name in KEPT_HEADERS {
        // Several of one name are one list (RFC 9110, §5.3).
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        let value = values.join(&b", "[..]);
        let bytes = name.len() + value.len();
        if !values.is_empty() && bytes <= room {
            room -= bytes;
            kept.push(Header { name: name.to_owned(), value: Bytes::from(value) });
        }
    }
    kept
}
