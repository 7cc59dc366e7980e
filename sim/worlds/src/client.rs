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
use wire::Digest;

use crate::{
    checkers,
    machine::DOOR,
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
    pub path: String,
    pub sent: Duration,
    pub done: Duration,
}

/// What a client got.
#[derive(Clone, Debug)]
pub struct Answer {
    pub request: Request,
    pub status: u16,
    pub how: How,
    pub digest: Digest,
    pub body_bytes: usize,
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
            What::Ask { token, path, .. } => {
                self.ask(*token, path).await;
            }
            What::Write { token, repo, .. } => self.write(*token, repo).await,
            // Those are for GitHub, and for liars.
            What::Change { .. } | What::Revoke { .. } | What::Deny { .. } | What::Lie { .. } => {}
        }
    }

    /// Asks what the world wants to know.
    pub async fn obey(&self, order: Order) {
        let answer = self.ask(order.token, &order.path).await;
        self.stage.ledger().ordered.insert(order.number, answer);
    }

    async fn ask(&self, who: Who, path: &str) -> Option<Answer> {
        let lane = self.stage.machine(self.node).lane();
        let sent = det::elapsed();
        self.stage.ledger().asked(self.node);
        let request = self.request(Method::GET, path, who).body(Full::default()).expect("a plain path");
        let (status, how, body) = self.answered(path, request, sent).await?;
        let done = det::elapsed();
        let whose = who.map_or_else(|| "nobody".to_owned(), |who| format!("t{who}"));
        let how_text = format!("{how:?}").to_lowercase();
        let text = format!("GET {path} of {whose}: {status} {how_text}, {} bytes", body.len());
        self.stage.tell(Event::new(Kind::Ask, lane, text).since(sent).ok(status < 400));
        let answer = Answer {
            request: Request { node: self.node, who, path: path.to_owned(), sent, done },
            status,
            how,
            digest: Digest::of(&body),
            body_bytes: body.len(),
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
        let Some((status, ..)) = self.answered(&path, request, sent).await else { return };
        let done = det::elapsed();
        let text = format!("PATCH {path} of t{token}: {status}");
        self.stage.tell(Event::new(Kind::Write, lane, text).since(sent).ok(status == 200));
        if status == 200 {
            self.stage.ledger().wrote(self.node, repo, sent, done);
        }
        checkers::on_written(&self.stage, &Request { node: self.node, who: Some(token), path, sent, done });
    }

    /// What a request was answered with. Nothing at all is a broken promise, unless the machine goes down.
    async fn answered(
        &self,
        path: &str,
        request: http::Request<Full<Bytes>>,
        sent: Duration,
    ) -> Option<(u16, How, Bytes)> {
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

    async fn exchange(&self, request: http::Request<Full<Bytes>>) -> anyhow::Result<(u16, How, Bytes)> {
        let (ours, theirs) = duplex(PIPE_BYTES);
        self.door.send(theirs).map_err(|_| anyhow::anyhow!("the door is closed"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await?;
        self.tasks.spawn(async move {
            let _ = connection.await;
        });
        let response = sender.send_request(request).await?;
        let (status, how) = (response.status().as_u16(), How::read(&response));
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, how, body))
    }
}
