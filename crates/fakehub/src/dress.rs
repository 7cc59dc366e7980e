use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use github::{EtagInput, etag, matches};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::Value;

use crate::{
    answer::{Answer, Caching, Content},
    budget::{Bucket, Resource},
};

/// Bodies up to this many bytes are sent as they are, whatever the client accepts.
const GZIP_BYTES_MIN: usize = 1_024;

/// How the hub makes its ETags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtagRule {
    /// As GitHub does: [`github::etag()`].
    #[default]
    Observed,
    /// As if GitHub had changed its mind: still stable, but not computable from the observed rule.
    Changed,
}

/// For whom GitHub takes an answer to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nobody, and an App with its JWT: `public`, and `Vary` does not name `Authorization`.
    Public,
    /// A token; the older kinds have `scopes` to be told about.
    Private { scopes: bool },
}

/// An answer with its validators decided.
#[derive(Debug)]
pub(crate) struct Dressed {
    pub(crate) response: Response<Bytes>,
    pub(crate) not_modified: bool,
}

/// Makes the HTTP response: ETag, 304, pretty-printing, gzip, HEAD; rate limits are added later.
///
/// `class` chooses what is hashed and what `Vary` and `Cache-Control` say.
pub(crate) fn dress(request: &Request<Bytes>, class: Class, answer: Answer, rule: EtagRule) -> Dressed {
    let authorised = class != Class::Public;
    let asked = request.headers();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let tag = matches!(answer.caching, Caching::Tagged(_)).then(|| tag(asked, authorised, &answer.body, rule));
    let not_modified = is_read && answer.status == StatusCode::OK && still_good(asked, tag.as_deref(), &answer);

    let mut out = HeaderMap::new();
    if let Some(at) = answer.last_modified {
        set(&mut out, header::LAST_MODIFIED, &http_date(at));
    }
    match answer.caching {
        Caching::Tagged(secs) => {
            let whose = if authorised { "private" } else { "public" };
            set(&mut out, header::CACHE_CONTROL, &format!("{whose}, max-age={secs}, s-maxage={secs}"));
        }
        Caching::NoCache => set(&mut out, header::CACHE_CONTROL, "no-cache"),
        Caching::Silent => {}
    }
    for (name, value) in &answer.headers {
        set(&mut out, HeaderName::from_static(name), value);
    }
    let vary = if authorised {
        "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With"
    } else {
        "Accept, Accept-Encoding, Accept, X-Requested-With"
    };
    set(&mut out, header::VARY, vary);
    let media = match answer.content {
        Content::Media(media) => format!("github.v3; param={}", media.param()),
        Content::Json | Content::Html => media_type(asked),
    };
    set(&mut out, HeaderName::from_static("x-github-media-type"), &media);
    if let Some(version) = asked.get("x-github-api-version") {
        out.insert("x-github-api-version-selected", version.clone());
    }
    if class == (Class::Private { scopes: true }) {
        set(&mut out, HeaderName::from_static("x-oauth-scopes"), "gist, read:org, repo");
    }

    let (status, body) = if not_modified {
        // A 304 names the strong form and has neither Link nor Content-Type, whatever the 200 had.
        tag.iter().for_each(|tag| set(&mut out, header::ETAG, tag));
        (StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        if answer.status != StatusCode::NO_CONTENT {
            set(&mut out, header::CONTENT_TYPE, &content_type(answer.content));
        }
        answer.link.iter().for_each(|link| set(&mut out, header::LINK, link));
        let plain =
            if answer.content == Content::Json && wants_pretty(asked) { pretty(answer.body) } else { answer.body };
        let zipped = plain.len() > GZIP_BYTES_MIN && accepts_gzip(asked);
        if let Some(tag) = tag {
            set(&mut out, header::ETAG, &if zipped { format!("W/{tag}") } else { tag });
        }
        let body = if zipped { gzip(&plain) } else { plain };
        if zipped {
            set(&mut out, header::CONTENT_ENCODING, "gzip");
        }
        if answer.status != StatusCode::NO_CONTENT {
            set(&mut out, header::CONTENT_LENGTH, &body.len().to_string());
        }
        (answer.status, if request.method() == Method::HEAD { Bytes::new() } else { body })
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = out;
    Dressed { response, not_modified }
}

/// The headers that every answer ends with, truthful at the moment it is sent.
///
/// `bucket` is `None` where no limits apply.
pub(crate) fn sign(out: &mut HeaderMap, bucket: Option<(Resource, &Bucket)>, request_id: &str, date: u64) {
    if let Some((resource, bucket)) = bucket {
        limits(out, resource, bucket);
    }
    set(out, HeaderName::from_static("x-github-request-id"), request_id);
    set(out, header::SERVER, "github.com");
    set(out, header::DATE, &http_date(date));
}

fn limits(out: &mut HeaderMap, resource: Resource, bucket: &Bucket) {
    for (name, value) in [
        ("x-ratelimit-limit", bucket.limit),
        ("x-ratelimit-remaining", bucket.remaining()),
        ("x-ratelimit-used", bucket.used),
        ("x-ratelimit-reset", bucket.reset),
    ] {
        set(out, HeaderName::from_static(name), &value.to_string());
    }
    set(out, HeaderName::from_static("x-ratelimit-resource"), resource.name());
}

fn tag(asked: &HeaderMap, authorised: bool, body: &[u8], rule: EtagRule) -> String {
    // Each line of a repeated header is hashed with its own colon, so joining them is the same.
    let lines = |name: HeaderName| {
        let lines: Vec<&[u8]> = asked.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (!lines.is_empty()).then(|| lines.join(&b':'))
    };
    let accept = lines(header::ACCEPT);
    let authorization = lines(header::AUTHORIZATION).filter(|_| authorised);
    let cookie = lines(header::COOKIE).filter(|_| authorised);
    let input =
        EtagInput { accept: accept.as_deref(), authorization: authorization.as_deref(), cookie: cookie.as_deref() };
    match rule {
        EtagRule::Observed => etag(input, body),
        EtagRule::Changed => etag(input, &[body, b"changed"].concat()),
    }
}

fn still_good(asked: &HeaderMap, tag: Option<&str>, answer: &Answer) -> bool {
    if let Some(offered) = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) {
        return tag.is_some_and(|tag| offered.split(',').any(|one| one.trim() == "*" || matches(one, tag)));
    }
    let since = asked.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let since = since.and_then(|text| httpdate::parse_http_date(text).ok());
    let changed = answer.last_modified.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at));
    matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
}

fn content_type(content: Content) -> String {
    match content {
        Content::Json => "application/json; charset=utf-8".to_owned(),
        Content::Html => "text/html;charset=utf-8".to_owned(),
        Content::Media(media) => format!("application/vnd.github.{}; charset=utf-8", media.param()),
    }
}

fn media_type(asked: &HeaderMap) -> String {
    let accept = asked.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = accept.split_once("application/vnd.github.").and_then(|(_, rest)| rest.split(['+', ',', ';']).next());
    format!("github.{}; format=json", named.unwrap_or("v3"))
}

/// GitHub is kind to people: it looks for these words as they are written.
fn wants_pretty(asked: &HeaderMap) -> bool {
    let agent = asked.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Safari", "Firefox"].iter().any(|word| agent.contains(word))
}

fn pretty(body: Bytes) -> Bytes {
    let value: Result<Value, _> = serde_json::from_slice(&body);
    match value.and_then(|value| serde_json::to_vec_pretty(&value)) {
        Ok(mut text) => {
            text.push(b'\n');
            text.into()
        }
        Err(_) => body,
    }
}

fn accepts_gzip(asked: &HeaderMap) -> bool {
    let lines = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|q| matches!(q, "q=0" | "q=0.0"))
    })
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("a Vec takes every write");
    encoder.finish().expect("a Vec takes every write").into()
}

pub(crate) fn http_date(at: u64) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(at))
}

pub(crate) fn set(out: &mut HeaderMap, name: HeaderName, value: &str) {
    out.insert(
        name,
        HeaderValue::from_bytes(value.as_bytes())
            .expect("no control characters: a URI refuses them, the hub writes none"),
    );
}
