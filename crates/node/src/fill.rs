use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use canary::Bug;
use futures::{StreamExt, TryStreamExt, stream};
use gateway::{Answer, Body as Stream, How, Origin, OriginError, Refusal, full};
use github::{
    Ask, Drift, DriftChanged, LimitAnswer, Policy, Route, Site, Verdict, Work, holds_credential, is_full_last_page,
    judge_at, kept_headers, may_keep,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use store::{Source, StoredRecord};
use task::Tasks;
use tokio::time::Instant;
use tracing::{info, warn};
use wire::{Body, Digest, FamilyId, Form, Header, Millis, Record, Version, limits::BODY_BYTES_MAX};

use crate::{
    Counters,
    budgets::{Admission, Budgets},
    keeper::{Loaded, answer_of},
    origin_time::OriginTimes,
};

/// What the origin's answer came to.
pub enum Filled {
    /// Keep it and serve it.
    Kept { stored: StoredRecord, body: Body, answer: Arc<Answer>, how: How, keep: Keep },
    /// The origin has nothing there, or has it elsewhere: told again to this credential for a moment.
    Brief { told: Told, answer: Arc<Answer>, date_secs: u64 },
    /// The origin refuses the credential, or this key to it.
    Refused { whole_credential: bool, date_secs: u64, told: Told },
    /// Little is left of the budget: the stale answer that is there is better.
    Spared,
    /// The origin cannot answer now: a stale answer is better. Its own word, or our own if it was not
    /// asked or not heard.
    Unavailable { told: Told, is_its_own: bool },
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
    /// GitHub's own refusal, counted down: it would say no more than that.
    pub fn limited(answer: Option<LimitAnswer>) -> Self {
        if let Some(LimitAnswer { status, mut headers, body }) = answer {
            headers.insert("cache-status", HeaderValue::from_static("ghoard; detail=limited"));
            return Self { status, headers, body };
        }
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "API rate limit exceeded", "wait until it is over");
        Self { status: refusal.status, headers: Refusal::headers(), body: refusal.text().into() }
    }

    pub fn response(&self) -> Response<Stream> {
        let mut response = Response::new(full(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

impl Told {
    /// Another machine has just asked, and the origin was in trouble.
    pub fn failed_elsewhere(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let hint = "another machine has just asked the same; ask again";
        let refusal = Refusal::new(status, "GitHub answered with an error of its own", hint);
        Self { status, headers: Refusal::headers(), body: refusal.text().into() }
    }

    /// The client wanted the cache's answer or none (RFC 9111, §5.2.1.7).
    pub fn not_cached() -> Self {
        let hint = "leave only-if-cached out to ask the origin";
        let refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "no answer is cached that will do", hint);
        Self { status: refusal.status, headers: Refusal::headers(), body: refusal.text().into() }
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
    pub sites: Arc<[Site]>,
    pub policy: Policy,
    pub drift: Mutex<Drift>,
    pub origin_time: OriginTimes,
    pub tasks: Tasks,
    pub counters: Arc<Counters>,
    pub budgets: Arc<Budgets>,
}

impl Filler {
    /// Asks, with a validator if there is something to confirm: what this credential was told (`own`),
    /// or rather what another one was (`offer`), if that is there. `family` is the local one.
    ///
    /// `has_stale` is whether an old answer can be served instead, so that [`Filled::Spared`] may come.
    pub async fn fill(
        &self,
        ask: &Ask,
        family: FamilyId,
        own: Option<&Loaded>,
        offer: Option<&Loaded>,
        has_stale: bool,
    ) -> Filled {
        let guess = if own.is_none() && offer.is_none() { self.empty_answer(ask, family) } else { None };
        let basis = guess.as_ref().or(offer).or(own);
        let basis = basis.and_then(|basis| Some((basis, self.validator(ask, basis)?)));
        let (known, validator) = basis.unzip();
        let is_free = validator.is_some() && ask.credential.is_some();
        let work = if is_free { Work::Proof } else { Work::Client { has_stale } };
        let _passage = match self.budgets.admit(ask, work).await {
            Admission::Go(passage) => passage,
            Admission::Stopped(answer) => {
                self.counters.origin_spared.one();
                return Filled::Unavailable { told: Told::limited(answer), is_its_own: false };
            }
            Admission::PreferStale => {
                self.counters.origin_spared.one();
                return Filled::Spared;
            }
        };
        let (began, started): (Millis, _) = (SystemTime::now().into(), Instant::now());
        let response = loop {
            match self.origin.send(self.request(ask, validator.as_ref())).await {
                Ok(response) => break response,
                Err(_) if canary::sings(Bug::RetriesWithoutEnd) => {}
                Err(error) => return Filled::Unavailable { told: Told::from(&error), is_its_own: false },
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
                let told = Told::from(&OriginError::Broken { host, cause });
                return Filled::Unavailable { told, is_its_own: false };
            }
        };
        self.origin_time.observe(ask.route, started.elapsed());
        let base = &self.site(ask).url;
        let told = Told { status: head.status, headers: head.headers.clone(), body: body.clone() };
        match (judge_at(base, &ask.target, head.status, &head.headers, &body, began), known) {
            (Verdict::Fill, _) => self.filled(ask, family, head, body, began, date_secs).await,
            (Verdict::Confirmed, Some(known)) => {
                let is_own = offer.is_none() && guess.is_none();
                let how = if is_own { How::Confirmed } else { How::Proved };
                let is_dated = validator.is_some_and(|validator| matches!(validator, Validator::Date(_)));
                self.confirmed(ask, &head, known, how, is_dated, began, date_secs)
            }
            (verdict, _) => self.refused(ask, verdict, told, began, date_secs),
        }
    }

    /// Takes up what the origin has just told another machine, asked with this very credential.
    pub fn told_elsewhere(&self, ask: &Ask, told: Told, began: Millis, date_secs: u64) -> Filled {
        let base = &self.site(ask).url;
        let verdict = judge_at(base, &ask.target, told.status, &told.headers, &told.body, began);
        self.refused(ask, verdict, told, began, date_secs)
    }

    /// Whatever is no answer to keep.
    fn refused(&self, ask: &Ask, verdict: Verdict, told: Told, began: Millis, date_secs: u64) -> Filled {
        match verdict {
            Verdict::CredentialRefused => {
                Filled::Refused { whole_credential: ask.credential.is_some(), date_secs, told }
            }
            Verdict::Negative { ttl } | Verdict::Moved { ttl } => {
                let ttl = ttl.min(self.policy.proof_window());
                Filled::Brief { answer: brief(&told, began, ttl), told, date_secs }
            }
            Verdict::Denied => Filled::Refused { whole_credential: false, date_secs, told },
            Verdict::Limited { .. } | Verdict::Outage => Filled::Unavailable { told, is_its_own: true },
            Verdict::PassOn | Verdict::Confirmed | Verdict::Fill => Filled::Told(told),
        }
    }

    /// Routes whose ETags are not computed at present.
    pub fn drifted(&self) -> Vec<Route> {
        self.drift.lock().expect("no panic while held").drifted().collect()
    }

    /// Whether the ETag of an answer to this route may be computed where none was received.
    pub fn may_compute(&self, route: Route) -> bool {
        self.drift.lock().expect("no panic while held").may_compute(route)
    }

    /// What the origin says if there is nothing to list: worth a guess where nothing is known, because a
    /// 304 to it costs nothing.
    fn empty_answer(&self, ask: &Ask, family: FamilyId) -> Option<Loaded> {
        let plain = Route::empty_answer(&ask.target).filter(|_| ask.credential.is_some())?;
        let content_type = Header { name: "content-type".into(), value: "application/json; charset=utf-8".into() };
        let record = Record {
            family,
            version: Version { date_secs: 0, digest: Digest::of(plain) },
            status: 200,
            headers: vec![content_type],
            body_bytes: plain.len() as u64,
            validated_at: Millis::ZERO,
            fresh_until: Millis::ZERO,
            proved_until: Millis::ZERO,
            stale_until: Millis::ZERO,
        };
        let stored = StoredRecord { record, etag: None, source: Source::Origin, tag: None };
        let (plain, body) = (Bytes::from_static(plain), Body::from_plain(Bytes::from_static(plain)));
        Some(Loaded { answer: Arc::new(answer_of(&stored, &body, plain)), stored, body })
    }

    /// The ETag that the origin would give what is known: the one that it gave to this credential, or
    /// else the one that it must give by the observed rule. Where the body changes all the time by
    /// what nobody asks for, the date.
    ///
    /// None for a full page without a next one: its ETag would hide that there is one now.
    fn validator(&self, ask: &Ask, known: &Loaded) -> Option<Validator> {
        if canary::sings(Bug::NeverValidates) || ask.query.is_some() {
            return None;
        }
        let record = &known.stored.record;
        let link = record.header("link").and_then(|link| std::str::from_utf8(link).ok());
        if is_full_last_page(&ask.target, link, &known.answer.plain) {
            return None;
        }
        if let (true, Some(date)) = (ask.route.last_modified_is_good(), record.header("last-modified"))
            && known.stored.etag.is_some()
        {
            return HeaderValue::from_bytes(date).ok().map(Validator::Date);
        }
        let computed = || self.may_compute(ask.route).then(|| ask.expected_etag(&known.answer.plain));
        let etag = known.stored.etag.clone().or_else(computed)?;
        HeaderValue::try_from(etag).ok().map(Validator::Etag)
    }

    fn site(&self, ask: &Ask) -> &Site {
        self.sites.iter().find(|site| site.name == ask.host).expect("a question is asked of one of the sites")
    }

    /// Base URL of the site that a question is for.
    pub fn base(&self, ask: &Ask) -> &str {
        &self.site(ask).url
    }

    fn request(&self, ask: &Ask, validator: Option<&Validator>) -> Request<Stream> {
        let mut request = Request::new(gateway::empty());
        let url = self.site(ask).api_uri(&ask.target);
        *request.uri_mut() = url.parse().expect("a canonical target behind a checked base is a URL");
        *request.headers_mut() = ask.upstream_headers();
        if let Some(sent) = &ask.query {
            *request.method_mut() = Method::POST;
            *request.body_mut() = full(sent.body.clone());
        }
        if let Some(validator) = validator {
            match validator {
                Validator::Etag(etag) => request.headers_mut().insert(header::IF_NONE_MATCH, etag.clone()),
                Validator::Date(date) => request.headers_mut().insert(header::IF_MODIFIED_SINCE, date.clone()),
            };
            request.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        request
    }

    /// Compares the ETag that came with the one that was computed.
    fn watch_the_rule(&self, route: Route, is_match: bool) {
        if !is_match {
            self.counters.etag_mismatches.one();
        }
        let changed = self.drift.lock().expect("no panic while held").compared(route, is_match);
        match changed {
            DriftChanged::Nothing => {}
            DriftChanged::Stopped => {
                warn!(?route, "the origin's ETags are not those that were computed; asking with received ones only");
            }
            DriftChanged::Resumed => info!(?route, "the origin's ETags are as computed again"),
        }
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
        let freshness = match &ask.query {
            Some(sent) => Some(self.policy.query_freshness(&sent.query, began)),
            None => self.policy.freshness(ask.route, &head.headers, began),
        };
        let Some(freshness) = freshness else { return told(head, encoded) };
        let form = match head.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Form::Identity,
            Some(b"gzip") => Form::Gzip,
            Some(_) => return told(head, encoded),
        };
        let body = Body { form, encoded: encoded.clone() };
        let etag = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let Some(parts) = self.take_apart(ask, body, etag.clone()).await else { return told(head, encoded) };
        let Parted { body, plain, digest, etag_is_computed } = parts;
        if ask.query.is_some() && !may_keep(head.status, &head.headers, &plain) {
            return told(head, encoded);
        }
        if let Some(is_match) = etag_is_computed {
            self.watch_the_rule(ask.route, is_match);
        }

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
        let stored = StoredRecord { record, etag, source: Source::Origin, tag: None };
        let answer = Arc::new(answer_of(&stored, &body, plain));
        Filled::Kept { stored, body, answer, how: How::Filled, keep }
    }

    /// A 304: what was offered is what this credential is told now. Only the clocks move, and what of
    /// the kept headers came again.
    fn confirmed(
        &self,
        ask: &Ask,
        head: &Parts,
        known: &Loaded,
        how: How,
        is_dated: bool,
        began: Millis,
        date_secs: u64,
    ) -> Filled {
        let mut stored = known.stored.clone();
        for header in kept_headers(&head.headers) {
            // RFC 9111, §3.2; a 304 of GitHub has no Link, so the one that is kept stays.
            stored.record.headers.retain(|kept| kept.name != header.name);
            stored.record.headers.push(header);
        }
        stored.record.headers.sort();
        if let Some(freshness) = self.policy.freshness(ask.route, &head.headers, began) {
            stored.record.fresh_until = freshness.fresh_until;
            stored.record.proved_until = freshness.proved_until;
            stored.record.stale_until = freshness.stale_until;
        }
        stored.record.validated_at = began;
        stored.record.version.date_secs = stored.record.version.date_secs.max(date_secs);
        stored.source = Source::Origin;
        // By its date it may be confirmed although its ETag is another by now.
        if let Some(etag) = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()).filter(|_| !is_dated) {
            stored.etag = Some(etag.to_owned());
        }
        let keep = if holds_credential(&known.answer.plain) { Keep::InMemory } else { Keep::Everywhere };
        let answer = Arc::new(answer_of(&stored, &known.body, known.answer.plain.clone()));
        Filled::Kept { stored, body: known.body.clone(), answer, how, keep }
    }

    /// Unpacks and hashes a body, where that may take its time.
    async fn take_apart(&self, ask: &Ask, body: Body, etag: Option<String>) -> Option<Parted> {
        let ask = ask.clone();
        let work = move || {
            let plain = body.plain(BODY_BYTES_MAX).ok()?;
            let digest = Digest::of(&plain);
            let etag_is_computed = etag.map(|etag| github::matches(&etag, &ask.expected_etag(&plain)));
            // What came plain is packed once, for the disk and for every client that takes it.
            let is_packed = body.form == Form::Gzip;
            let body = if is_packed { body.or_plain(&plain) } else { Body::from_plain(plain.clone()) };
            Some(Parted { body, plain, digest, etag_is_computed })
        };
        self.tasks.compute(work).await.flatten()
    }
}

/// By what the origin tells whether something has changed.
enum Validator {
    Etag(HeaderValue),
    Date(HeaderValue),
}

/// An answer that is kept for a moment, as the credential got it.
fn brief(told: &Told, began: Millis, ttl: Duration) -> Arc<Answer> {
    let is_gzip = told.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    let body = Body { form: if is_gzip { Form::Gzip } else { Form::Identity }, encoded: told.body.clone() };
    let kept = [header::CONTENT_TYPE, header::LOCATION];
    let headers = kept.into_iter().filter_map(|name| Some((name.clone(), told.headers.get(&name)?.clone()))).collect();
    Arc::new(Answer {
        status: told.status,
        headers,
        etag: None,
        plain: body.plain(BODY_BYTES_MAX).unwrap_or_default(),
        gzip: None,
        validated_at: began,
        fresh_until: began.after(ttl),
        proved_until: began.after(ttl),
        stale_until: began.after(ttl),
        from_peer: false,
        dressed: Default::default(),
    })
}

/// A body that came from the origin, in all its forms.
struct Parted {
    body: Body,
    plain: Bytes,
    digest: Digest,
    /// Whether the ETag that came is the one that the observed rule gives. `None` if none came.
    etag_is_computed: Option<bool>,
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
            return Read::TooLong(Stream::streamed(StreamBody::new(all)));
        }
    }
    Read::Whole(whole.freeze())
}

/// The origin's `Date`, in seconds since 1970.
pub fn date_secs(headers: &HeaderMap) -> Option<u64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok().map(|date| Millis::from(date).as_secs())
}
