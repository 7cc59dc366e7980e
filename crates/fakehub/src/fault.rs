use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::{answer::Answer, secondary};

/// How requests fail while a test wants them to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This status, with GitHub's way of saying it where it has one.
    Status(StatusCode),
    /// 403 with the text of a secondary limit and `Retry-After`, in seconds.
    SecondaryLimit { retry_after: u64 },
    /// 403 with the text of a secondary limit and nothing that says how long: wait a minute, then double.
    SecondaryLimitUntold,
    /// GitHub's unicorn: a page of HTML, as its load balancers answer, with this status.
    Html(StatusCode),
}

/// How an answer goes over the wire. The shells carry it out; [`crate::Hub::handle`] only says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    #[default]
    Whole,
    /// So many bytes of the body, then the connection closes, short of `Content-Length`.
    Cut { after: usize },
    /// The same in a chunked body, without its last chunk.
    CutChunked { after: usize },
    /// So many bytes of the body, then nothing, and the connection stays open.
    Hang { after: usize },
    /// `Content-Length` is so many bytes too small, and the rest is never sent.
    Understated { by: usize },
    /// `Content-Length` is so many bytes too large; the connection closes where the body ends.
    Overstated { by: usize },
    /// `Content-Encoding: gzip` over bytes that are none. Done by the hub itself.
    GarbledGzip,
}

/// The switches, by path prefix; the longest prefix that fits decides.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    latency: BTreeMap<String, Duration>,
    failure: BTreeMap<String, Failure>,
    silence: BTreeMap<String, ()>,
    delivery: BTreeMap<String, Delivery>,
    /// Seconds by which the `Date` of answers is ahead of the truth.
    pub(crate) date_skew: i64,
}

impl Faults {
    pub(crate) fn set_latency(&mut self, prefix: &str, latency: Duration) {
        self.latency.insert(prefix.to_owned(), latency);
    }

    pub(crate) fn set_failure(&mut self, prefix: &str, failure: Failure) {
        self.failure.insert(prefix.to_owned(), failure);
    }

    pub(crate) fn set_silence(&mut self, prefix: &str) {
        self.silence.insert(prefix.to_owned(), ());
    }

    pub(crate) fn set_delivery(&mut self, prefix: &str, delivery: Delivery) {
        self.delivery.insert(prefix.to_owned(), delivery);
    }

    pub(crate) fn latency(&self, path: &str) -> Duration {
        longest(&self.latency, path).unwrap_or_default()
    }

    pub(crate) fn failure(&self, path: &str) -> Option<Failure> {
        longest(&self.failure, path)
    }

    pub(crate) fn silent(&self, path: &str) -> bool {
        longest(&self.silence, path).is_some()
    }

    pub(crate) fn delivery(&self, path: &str) -> Delivery {
        longest(&self.delivery, path).unwrap_or_default()
    }
}

impl Failure {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Status(status) => {
                let reason = status.canonical_reason().unwrap_or("Error");
                Answer::new(status, &json!({ "message": reason, "status": status.as_str() })).untagged()
            }
            Self::SecondaryLimit { retry_after } => secondary::refusal(StatusCode::FORBIDDEN, Some(retry_after)),
            Self::SecondaryLimitUntold => secondary::refusal(StatusCode::FORBIDDEN, None),
            Self::Html(status) => {
                let page = "<!DOCTYPE html>\n<html><body><h1>Unicorn!</h1></body></html>\n";
                let mut answer = Answer::empty(status);
                answer.body = Bytes::from_static(page.as_bytes());
                answer
            }
        }
    }
}

/// Bytes that say that they are gzip and are not.
pub(crate) fn garble(response: &mut Response<Bytes>) {
    let mut noise = b"\x1f\x8b\x08\x00".to_vec();
    noise.extend((0..response.body().len()).map(|at| (at * 31 % 251) as u8));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::CONTENT_LENGTH, noise.len().into());
    *response.body_mut() = noise.into();
}

fn longest<T: Copy>(switches: &BTreeMap<String, T>, path: &str) -> Option<T> {
    let fitting = switches.iter().filter(|(prefix, _)| path.starts_with(prefix.as_str()));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, value)| *value)
}
