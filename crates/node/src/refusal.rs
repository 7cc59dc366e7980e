//! What the origin refused one credential, as told to other machines that asked with the same one.

use github::Ask;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use wire::{
    Announcement, Body, Digest, FamilyId, Form, Header, LeaseEnd, Millis, Record, Version,
    limits::{HEADERS_BYTES_MAX, PUSH_BYTES_MAX},
};

use crate::{fill::Told, sharing::Sharing};

/// Headers that a refusal means something by.
const TOLD: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::RETRY_AFTER];
const LIMIT_HEADERS: &str = "x-ratelimit-";

/// How a lease ends whose holder was told `told`. What is too large is for nobody else.
pub fn lease_end(sharing: &Sharing, ask: &Ask, told: &Told, began: Millis, date_secs: u64) -> LeaseEnd {
    if told.status.is_server_error() {
        return LeaseEnd::Failed { status: told.status.as_u16() };
    }
    let is_told = |name: &HeaderName| TOLD.contains(name) || name.as_str().starts_with(LIMIT_HEADERS);
    let kept = told.headers.iter().filter(|(name, _)| is_told(name));
    let headers: Vec<Header> = kept
        .map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec().into() })
        .collect();
    let coding = told.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let form = match coding {
        None | Some(b"identity") => Form::Identity,
        Some(b"gzip") => Form::Gzip,
        Some(_) => return LeaseEnd::Alone,
    };
    let headers_bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if told.body.len() > PUSH_BYTES_MAX || headers_bytes > HEADERS_BYTES_MAX {
        return LeaseEnd::Alone;
    }
    // Nothing keeps it, so the digest is that of what travels.
    let record = Record {
        family: FamilyId([0; 16]),
        version: Version { date_secs, digest: Digest::of(&told.body) },
        status: told.status.as_u16(),
        headers,
        body_bytes: told.body.len() as u64,
        validated_at: began,
        fresh_until: began,
        proved_until: began,
        stale_until: began,
    };
    sharing.refusal(ask, record, Body { form, encoded: told.body.clone() }).unwrap_or(LeaseEnd::Alone)
}

/// Reads what another machine was told. Its tag was checked; the body is checked here.
pub fn read(announcement: Announcement) -> Option<(Told, Millis, u64)> {
    let Announcement { record, body, .. } = announcement;
    let body = body.filter(|body| Digest::of(&body.encoded) == record.version.digest)?;
    let mut headers = HeaderMap::new();
    for Header { name, value } in &record.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    if body.form == Form::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let status = StatusCode::from_u16(record.status).ok()?;
    Some((Told { status, headers, body: body.encoded }, record.validated_at, record.version.date_secs))
}
