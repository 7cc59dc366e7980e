//! A client on a machine: one HTTP request through the real door, as `gh` makes it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use task::Tasks;
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};
use wire::{Digest, Form, limits::BODY_BYTES_MAX};

use crate::{
    checkers,
    machine::DOOR,
    manner::{Manner, question},
    plan::What,
    reference::Who,
    stage::{Order, Stage},
    trace::{Event, Kind},
};

/// Bytes between a client and its door.
const PIPE_BYTES: usize = 256 << 10;

/// When a client gives up, far beyond every promise: then nobody answers at all.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Client {
    pub stage: Arc<Stage>,
    pub node: u32,
    pub door: mpsc::UnboundedSender<DuplexStream>,
    pub tasks: Tasks,
}

/// A request of a client that has ended.
#[derive(Clone, Debug)]
pub struct Request {
    pub node: u32,
    pub who: Who,
    /// What was asked: see [`question`].
    pub path: String,
    pub manner: Manner,
    /// The ETag that was sent along.
    pub validator: Option<String>,
    pub sent: Duration,
    pub done: Duration,
}

/// What a client got.
#[derive(Clone, Debug)]
pub struct Answer {
    pub request: Request,
    pub status: u16,
    pub how: How,
    /// Of the plain body.
    pub digest: Digest,
    pub etag: Option<String>,
    pub body_bytes: usize,
}

/// A response as it came.
struct Came {
    status: u16,
    how: How,
    etag: Option<String>,
    is_gzip: bool,
    body: Bytes,
}

/// What `Cache-Status` says of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Hit,
    Peer,
    Filled,
    Confirmed,
    Joined,
    Stale,
    /// GitHub's own answer, passed on.
    Passed,
    /// ghoard's own refusal, or nothing at all.
    Failed,
}

impl How {
    fn read(response: &Response<Incoming>) -> Self {
        let text = response.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match text {
            _ if text.contains("detail=stale") => Self::Stale,
            _ if text.contains("detail=peer") => Self::Peer,
            _ if text.contains("; hit") => Self::Hit,
            _ if text.contains("collapsed") => Self::Joined,
            _ if text.contains("fwd-status=304") && text.contains("stored") => Self::Confirmed,
            _ if text.contains("stored") => Self::Filled,
            _ if text.contains("fwd=bypass") => Self::Passed,
            _ => Self::Failed,
        }
    }
}

impl Client {
    pub async fn carry_out(&self, what: &What) {
        match what {
            What::Ask { token, path, manner, .. } => {
                self.ask(*token, path, manner.clone()).await;
            }
            What::Write { token, repo, .. } => self.write(*token, repo).await,
            // Those are for GitHub, and for liars.
            _ => {}
        }
    }

    /// Asks what the world wants to know.
    pub async fn obey(&self, order: Order) {
        let answer = self.ask(order.token, &order.path, Manner::default()).await;
        self.stage.ledger().ordered.insert(order.number, answer);
    }

    async fn ask(&self, who: Who, path: &str, manner: Manner) -> Option<Answer> {
        let lane = self.stage.machine(self.node).lane();
        let sent = det::elapsed();
        let question = question(path, manner.accept.as_deref());
        let validator = {
            let mut ledger = self.stage.ledger();
            ledger.asked(self.node, who, &question, sent);
            ledger.validator(who, &question, manner.validator)
        };
        let mut request = self.request(manner.method(), path, who);
        for (name, value) in manner.headers() {
            request = request.header(name, value);
        }
        if let Some(validator) = &validator {
            request = request.header(header::IF_NONE_MATCH, validator);
        }
        let request = request.body(Full::default()).expect("a plain path");
        let Came { status, how, etag, is_gzip, body } = self.answered(path, request, sent).await?;
        let done = det::elapsed();
        let whose = who.map_or_else(|| "nobody".to_owned(), |who| format!("t{who}"));
        let how_text = format!("{how:?}").to_lowercase();
        let words = if manner.is_plain() { String::new() } else { format!(" {manner:?}") };
        let text = format!("{} {path} of {whose}{words}: {status} {how_text}, {} bytes", manner.method(), body.len());
        self.stage.tell(Event::new(Kind::Ask, lane, text).since(sent).ok(status < 400));
        let form = if is_gzip { Form::Gzip } else { Form::Identity };
        let Ok(plain) = (wire::Body { form, encoded: body }).plain(4 * BODY_BYTES_MAX) else {
            self.stage.violated(Some(lane), "right.body", format!("{path}: what was called gzip is none"));
            return None;
        };
        if let Some(etag) = etag.as_ref().filter(|_| matches!(status, 200 | 304)) {
            self.stage.ledger().validators.entry(question.clone()).or_default().push((who, etag.clone()));
        }
        let answer = Answer {
            request: Request { node: self.node, who, path: question, manner, validator, sent, done },
            status,
            how,
            digest: Digest::of(&plain),
            etag,
            body_bytes: plain.len(),
        };
        checkers::on_answer(&self.stage, &answer);
        Some(answer)
    }

    async fn write(&self, token: usize, repo: &str) {
        let lane = self.stage.machine(self.node).lane();
        let sent = det::elapsed();
        let path = format!("/repos/{repo}/issues/1");
        let body = format!("{{\"title\":\"written by n{} at {} ms\"}}", self.node, sent.as_millis());
        let request = self.request(Method::PATCH, &path, Some(token)).body(Full::from(body)).expect("a plain path");
        let start = self.stage.machine(self.node).alive().starts;
        self.stage.ledger().writing((self.node, start), repo, sent);
        let Some(Came { status, .. }) = self.answered(&path, request, sent).await else { return };
        let done = det::elapsed();
        let text = format!("PATCH {path} of t{token}: {status}");
        self.stage.tell(Event::new(Kind::Write, lane, text).since(sent).ok(status == 200));
        if status == 200 {
            self.stage.ledger().wrote(self.node, repo, sent, done);
        }
        let (manner, validator) = (Manner::default(), None);
        let request = Request { node: self.node, who: Some(token), path, manner, validator, sent, done };
        checkers::on_written(&self.stage, &request);
    }

    /// What a request was answered with. Nothing at all is a broken promise, unless the machine goes down.
    async fn answered(&self, path: &str, request: http::Request<Full<Bytes>>, sent: Duration) -> Option<Came> {
        let machine = self.stage.machine(self.node);
        let (invariant, why) = match tokio::time::timeout(PATIENCE, self.exchange(request)).await {
            Ok(Ok(answered)) => return Some(answered),
            Ok(Err(error)) => ("open.broken", error.to_string()),
            Err(_) => ("open.never", format!("nothing within {} s", PATIENCE.as_secs())),
        };
        self.stage.tell(Event::new(Kind::Ask, machine.lane(), format!("{path}: {why}")).since(sent).ok(false));
        if machine.node().is_some() {
            self.stage.violated(Some(machine.lane()), invariant, format!("{path} was not answered: {why}"));
        }
        None
    }

    fn request(&self, method: Method, path: &str, who: Who) -> http::request::Builder {
        let mut request = http::Request::builder().method(method).uri(path).header(header::HOST, DOOR);
        if let Some(token) = who.map(|who| self.stage.github().tokens[who].clone()) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
    }

    async fn exchange(&self, request: http::Request<Full<Bytes>>) -> anyhow::Result<Came> {
        let (ours, theirs) = duplex(PIPE_BYTES);
        self.door.send(theirs).map_err(|_| anyhow::anyhow!("the door is closed"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await?;
        self.tasks.spawn(async move {
            let _ = connection.await;
        });
        let response = sender.send_request(request).await?;
        let (status, how) = (response.status().as_u16(), How::read(&response));
        let etag = response.headers().get(header::ETAG).and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
        let is_gzip = response.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let body = response.into_body().collect().await?.to_bytes();
        // A HEAD names a coding and has no body.
        Ok(Came { status, how, etag, is_gzip: is_gzip && !body.is_empty(), body })
    }
}
