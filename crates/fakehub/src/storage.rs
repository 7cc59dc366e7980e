//! The machines outside the API that signed URLs lead to: logs, artifacts, assets, archives, files.

mod archive;
mod content;
mod signed;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

pub(crate) use self::signed::{Store, plain_url, signed_url};
use crate::{
    dress::{http_date, set},
    page::Query,
    world::World,
};

/// Under this path every store answers whatever the `Host`, for a hub that has only one port.
pub(crate) const PREFIX: &str = "/_storage/";

/// A thing in a store.
#[derive(Debug)]
struct Blob {
    content_type: &'static str,
    /// What a browser would call it.
    file_name: String,
    bytes: Bytes,
}

/// The store that a request is for, and the path there; `None` if it is for the API.
pub(crate) fn addressed(request: &Request<Bytes>) -> Option<(Store, String)> {
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix(PREFIX) {
        let (host, path) = rest.split_once('/')?;
        return Some((Store::of(host)?, format!("/{path}")));
    }
    let named = request.uri().host().or_else(|| request.headers().get(header::HOST)?.to_str().ok())?;
    let host = named.split(':').next().unwrap_or_default().to_ascii_lowercase();
    Some((Store::of(&host)?, path.to_owned()))
}

/// Answers for `store`: no limits, no ETag rule, no `Authorization` where there is a signature.
pub(crate) fn answer(world: &World, request: &Request<Bytes>, store: Store, path: &str, now: u64) -> Response<Bytes> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", "The resource doesn't support it.");
    }
    let query = Query::parse(request.uri().query());
    if store.refuses_credentials() {
        if request.headers().contains_key(header::AUTHORIZATION) {
            let message = "Authentication information is not given in the correct format. Check the value of \
                           Authorization header.";
            return refusal(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo", message);
        }
        if let Err(message) = signed::check(&world.seed, store, path, &query, now) {
            return refusal(StatusCode::FORBIDDEN, "AuthenticationFailed", message);
        }
    }
    let may_see = |private: bool, secret: &str| {
        !private
            || signed::check(&world.seed, store, path, &query, now).is_ok()
            || query.get("token").is_some_and(|token| token.starts_with(secret))
    };
    match content::find(world, store, path, may_see) {
        Some(blob) => send(request, blob, now),
        None => refusal(StatusCode::NOT_FOUND, "BlobNotFound", "The specified blob does not exist."),
    }
}

fn send(request: &Request<Bytes>, blob: Blob, now: u64) -> Response<Bytes> {
    let length = blob.bytes.len();
    let mut out = HeaderMap::new();
    set(&mut out, header::CONTENT_TYPE, blob.content_type);
    set(&mut out, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", blob.file_name));
    set(&mut out, header::ACCEPT_RANGES, "bytes");
    set(&mut out, header::ETAG, &format!("\"0x8D{length:012X}\""));
    set(&mut out, header::SERVER, "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0");
    set(&mut out, header::DATE, &http_date(now));
    let asked = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, body) = match asked.and_then(|text| range(text, length)) {
        Some((from, to)) => {
            set(&mut out, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{length}"));
            (StatusCode::PARTIAL_CONTENT, blob.bytes.slice(from..=to))
        }
        None => (StatusCode::OK, blob.bytes),
    };
    out.insert(header::CONTENT_LENGTH, body.len().into());
    let mut response = Response::new(if request.method() == Method::HEAD { Bytes::new() } else { body });
    *response.status_mut() = status;
    *response.headers_mut() = out;
    response
}

/// One `bytes=` range, first and last byte, within `length`.
fn range(text: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = length.checked_sub(1)?;
    let (from, to) = match (from, to) {
        ("", suffix) => (length.saturating_sub(suffix.parse().ok()?), last),
        (from, "") => (from.parse().ok()?, last),
        (from, to) => (from.parse().ok()?, to.parse::<usize>().ok()?.min(last)),
    };
    (from <= to).then_some((from, to))
}

/// Azure's way of saying no.
fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert("x-ms-error-code", HeaderValue::from_str(code).expect("codes are words"));
    response
}
