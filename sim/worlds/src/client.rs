//! A client on a machine: one HTTP request through the real door, as `gh` makes it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, header};
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

/// What a client got, and when.
#[derive(Clone, Debug)]
pub struct Answer {
    pub node: u32,
    pub who: Who,
    pub path: String,
    pub status: u16,
    pub how: How,
    pub digest: Digest,
    pub body_bytes: usize,
    pub sent: Duration,
    pub done: Duration,
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
            What::Change { .. } | What::Revoke { .. } | What::Lie { .. } => {}
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
        let answered = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let done = det::elapsed();
        let (status, how, body) = match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => {
                self.stage.tell(Event::new(Kind::Ask, lane, format!("GET {path}: {error}")).since(sent).ok(false));
                self.stage.violated(Some(lane), "open.broken", format!("GET {path} was not answered: {error}"));
                return None;
            }
            Err(_) => {
                let text = format!("GET {path} was not answered within {} s", PATIENCE.as_secs());
                self.stage.violated(Some(lane), "open.never", text);
                return None;
            }
        };
        let whose = who.map_or_else(|| "nobody".to_owned(), |who| format!("t{who}"));
        let how_text = format!("{how:?}").to_lowercase();
        let text = format!("GET {path} of {whose}: {status} {how_text}, {} bytes", body.len());
        self.stage.tell(Event::new(Kind::Ask, lane, text).since(sent).ok(status < 400));
        let answer = Answer {
            node: self.node,
            who,
            path: path.to_owned(),
            status,
            how,
            digest: Digest::of(&body),
            body_bytes: body.len(),
            sent,
            done,
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
        self.stage.ledger().writing(self.node, repo, sent);
        let answered = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let words = match &answered {
            Ok(Ok((status, ..))) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let is_ok = matches!(answered, Ok(Ok((200, ..))));
        self.stage
            .tell(Event::new(Kind::Write, lane, format!("PATCH {path} of t{token}: {words}")).since(sent).ok(is_ok));
        if is_ok {
            self.stage.ledger().wrote(self.node, repo, sent, det::elapsed());
        }
    }

    fn request(&self, method: Method, path: &str, who: Who) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, DOOR);
        if let Some(token) = who.map(|who| self.stage.github().tokens[who].clone()) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(u16, How, Bytes)> {
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
