use std::{sync::Arc, time::SystemTime};

use bytes::{Bytes, BytesMut};
use canary::Bug;
use futures::{StreamExt, TryStreamExt, stream};
use gateway::{Answer, Body as Stream, How, Origin, OriginError, Refusal, full};
use github::{Ask, Policy, Verdict, holds_credential, judge, kept_headers};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use store::{Source, StoredRecord};
use task::Tasks;
use wire::{Body, Digest, FamilyId, Form, Millis, Record, Version, limits::BODY_BYTES_MAX};

use crate::keeper::{Loaded, answer_of};

/// What the origin's answer came to.
pub enum Filled {
    /// Keep it and serve it.
    Kept { stored: StoredRecord, body: Body, answer: Arc<Answer>, how: How, keep: Keep },
    /// The origin refuses the credential, or this key to it.
    Refused { whole_credential: bool, date_secs: u64, told: Told },
    /// The origin cannot answer now: a stale answer is better.
    Unavailable(Told),
    /// Pass it on.
    Told(Told),
    /// Over the limit: stream it to the one who asked.
    Stream(Response<Stream>),
}

/// How far an answer may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Disk and fleet.
    Everywhere,
    /// It holds a credential: memory, for its own scope.
    InMemory,
}

/// An answer that is told to all who asked together, and not kept.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Told {
    pub fn response(&self) -> Response<Stream> {
        let mut response = Response::new(full(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

impl From<&OriginError> for Told {
    fn from(error: &OriginError) -> Self {
        let refusal = error.refusal();
        Self { status: refusal.status, headers: Refusal::headers(), body: refusal.text().into() }
    }
}

/// Asks the origin one question.
pub struct Filler {
    pub origin: Arc<dyn Origin>,
    pub origin_url: String,
    pub policy: Policy,
    pub tasks: Tasks,
}

impl Filler {
    /// Asks, with a validator if something is kept. `family` is the local one.
    pub async fn fill(&self, ask: &Ask, family: FamilyId, known: Option<&Loaded>) -> Filled {
        let began: Millis = SystemTime::now().into();
        let response = loop {
            match self.origin.send(self.request(ask, known)).await {
                Ok(response) => break response,
                Err(_) if canary::sings(Bug::RetriesWithoutEnd) => {}
                Err(error) => return Filled::Unavailable(Told::from(&error)),
            }
        };
        let (head, stream) = response.into_parts();
        let date_secs = date_secs(&head.headers).unwrap_or(began.as_secs());
        let body = match read(&head, stream).await {
            Read::Whole(body) => body,
            Read::TooLong(stream) => return Filled::Stream(Response::from_parts(head, stream)),
            Read::Broken => {
                let host = ask.host.clone();
                let cause = gateway::Broken::new(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
                return Filled::Unavailable(Told::from(&OriginError::Broken { host, cause }));
            }
        };
        let told = |head: Parts, body| Told { status: head.status, headers: head.headers, body };
        match (judge(head.status, &head.headers, &body, began), known) {
            (Verdict::Fill, _) => self.filled(ask, family, head, body, began, date_secs).await,
            (Verdict::Confirmed, Some(known)) => self.confirmed(ask, &head, known, began, date_secs),
            (Verdict::CredentialRefused, _) => {
                Filled::Refused { whole_credential: ask.credential.is_some(), date_secs, told: told(head, body) }
            }
            (Verdict::Denied, _) => Filled::Refused { whole_credential: false, date_secs, told: told(head, body) },
            (Verdict::Limited { .. } | Verdict::Outage, _) => Filled::Unavailable(told(head, body)),
            (Verdict::PassOn | Verdict::Confirmed, _) => Filled::Told(told(head, body)),
        }
    }

    fn request(&self, ask: &Ask, known: Option<&Loaded>) -> Request<Stream> {
        let mut request = Request::new(gateway::empty());
        let url = format!("{}{}", self.origin_url, ask.target.text());
        *request.uri_mut() = url.parse().expect("a canonical target behind a checked base is a URL");
        *request.headers_mut() = ask.upstream_headers();
        if let Some(known) = known.filter(|_| !canary::sings(Bug::NeverValidates)) {
            // What a peer brought has no ETag of ours; the rule gives the one that GitHub would send.
            let etag = known.stored.etag.clone().unwrap_or_else(|| ask.expected_etag(&known.answer.plain));
            if let Ok(etag) = HeaderValue::try_from(etag) {
                request.headers_mut().insert(header::IF_NONE_MATCH, etag);
            }
        }
        request
    }

    async fn filled(
        &self,
        ask: &Ask,
        family: FamilyId,
        head: Parts,
        encoded: Bytes,
        began: Millis,
        date_secs: u64,
    ) -> Filled {
        let told =
            |head: Parts, encoded| Filled::Told(Told { status: head.status, headers: head.headers, body: encoded });
        let Some(freshness) = self.policy.freshness(ask.route, &head.headers, began) else {
            return told(head, encoded);
        };
        let form = match head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Form::Identity,
            Some(b"gzip") => Form::Gzip,
            Some(_) => return told(head, encoded),
        };
        let body = Body { form, encoded: encoded.clone() };
        let Some((body, plain, digest)) = self.take_apart(body).await else { return told(head, encoded) };

        let keep = if holds_credential(&plain) { Keep::InMemory } else { Keep::Everywhere };
        let record = Record {
            family,
            version: Version { date_secs, digest },
            status: head.status.as_u16(),
            headers: kept_headers(&head.headers),
            body_bytes: plain.len() as u64,
            validated_at: began,
            fresh_until: freshness.fresh_until,
            proved_until: freshness.proved_until,
            stale_until: freshness.stale_until,
        };
        let etag = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let stored = StoredRecord { record, etag, source: Source::Origin, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        Filled::Kept { stored, body, answer, how: How::Filled, keep }
    }

    /// A 304: what is kept is still what this credential is told. Only the clocks move.
    fn confirmed(&self, ask: &Ask, head: &Parts, known: &Loaded, began: Millis, date_secs: u64) -> Filled {
        let mut stored = known.stored.clone();
        if let Some(freshness) = self.policy.freshness(ask.route, &head.headers, began) {
            stored.record.fresh_until = freshness.fresh_until;
            stored.record.proved_until = freshness.proved_until;
            stored.record.stale_until = freshness.stale_until;
        }
        stored.record.validated_at = began;
        stored.record.version.date_secs = stored.record.version.date_secs.max(date_secs);
        stored.source = Source::Origin;
        if let Some(etag) = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()) {
            stored.etag = Some(etag.to_owned());
        }
        let keep = if holds_credential(&known.answer.plain) { Keep::InMemory } else { Keep::Everywhere };
        let answer = Arc::new(answer_of(&stored, &known.body, known.answer.plain.clone()));
        Filled::Kept { stored, body: known.body.clone(), answer, how: How::Confirmed, keep }
    }

    /// Unpacks and hashes a body, where that may take its time.
    async fn take_apart(&self, body: Body) -> Option<(Body, Bytes, Digest)> {
        let work = move || {
            let plain = body.plain(BODY_BYTES_MAX).ok()?;
            let digest = Digest::of(&plain);
            // What came plain is packed once, for the disk and for every client that takes it.
            let body = if body.form == Form::Gzip { body } else { Body::from_plain(plain.clone()) };
            Some((body, plain, digest))
        };
        self.tasks.compute(work).await.flatten()
    }
}

enum Read {
    Whole(Bytes),
    /// What was read, and the rest behind it.
    TooLong(Stream),
    Broken,
}

/// Reads a body up to the limit for keeping it.
async fn read(head: &Parts, mut body: Stream) -> Read {
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Read::TooLong(body);
    }
    let mut whole = BytesMut::with_capacity(usize::try_from(length.unwrap_or_default()).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Read::Broken };
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() as u64 > BODY_BYTES_MAX {
            let begun = stream::iter([Ok(whole.freeze())]);
            let all = begun.chain(body.into_data_stream()).map_ok(Frame::data);
            return Read::TooLong(StreamBody::new(all).boxed_unsync());
        }
    }
    Read::Whole(whole.freeze())
}

fn date_secs(headers: &HeaderMap) -> Option<u64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok().map(|date| Millis::from(date).as_secs())
}
