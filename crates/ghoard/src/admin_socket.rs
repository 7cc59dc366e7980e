//! What the status pages must not tell: answers about single requests and repositories, and orders.
//! On a unix socket for the daemon's own user.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::Either};
use gateway::{Answering, Body, DoorKind, Handle, Refusal, check, full};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use node::{Invalidate, Node, Question, Saving};
use serde_json::{Value, json};

/// What the commands send is never near this.
const BODY_BYTES_MAX: usize = 256 << 10;

const BODY_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct AdminSocket {
    pub(crate) node: Arc<Node>,
}

impl Handle for AdminSocket {
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering {
        Either::Right(
            async move { self.page(request).await.map_or_else(Refusal::into_response, |answer| json_page(&answer)) }
                .boxed(),
        )
    }
}

impl AdminSocket {
    async fn page(&self, request: Request<Body>) -> Result<Value, Refusal> {
        let (head, body) = request.into_parts();
        let checked = check(&head, DoorKind::Socket)?;
        match (&head.method, checked.target.path()) {
            (&Method::GET, "/stats") => Ok(self.node.stats().await),
            (&Method::GET, "/peers") => Ok(self.node.peers().await),
            (&Method::GET, "/savings") => Ok(savings(&self.node.savings())),
            (&Method::POST, "/why") => self.node.why(question(&read(body).await?, &head.headers)?).await,
            (&Method::POST, "/invalidate") => self.invalidate(&read(body).await?).await,
            _ => {
                let hint = "there are GET /stats, /peers and /savings, POST /why and POST /invalidate";
                Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such page here", hint))
            }
        }
    }

    async fn invalidate(&self, order: &Value) -> Result<Value, Refusal> {
        let pattern = text(order, "pattern")?;
        let what = Invalidate::parse(pattern).map_err(|error| {
            Refusal::bad_request(error.to_string(), "write owner/repo, owner/*, /orgs/acme/** or a URL")
        })?;
        let done = self.node.invalidate(&what).await;
        Ok(json!({
            "pattern": pattern,
            "matched": done.matched,
            "repositories": done.repositories,
            "entries": done.entries,
            "families": done.families.iter().map(github::Family::as_str).collect::<Vec<_>>(),
            "earlier_entries_doubted": done.earlier,
            "everything_doubted": done.everything,
            "other_machines_told": done.spread > 0,
            "families_told": done.spread,
            "families_not_told": done.not_spread,
        }))
    }
}

/// The credential comes in the header where it would stand in the request itself, and in no body.
fn question(asked: &Value, headers: &HeaderMap) -> Result<Question, Refusal> {
    let hint = "send {\"method\":\"GET\",\"url\":\"/repos/o/r\",\"headers\":{}}";
    let method = text(asked, "method")?.to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::bad_request("that is no method", hint))?;
    let more: BTreeMap<String, String> = match asked.get("headers") {
        Some(more) => serde_json::from_value(more.clone()),
        None => Ok(BTreeMap::new()),
    }
    .map_err(|_| Refusal::bad_request("the headers are no texts by name", hint))?;
    let mut all = HeaderMap::new();
    for (name, value) in more {
        let bad = || Refusal::bad_request("one of the headers is none", hint);
        all.append(HeaderName::try_from(name).map_err(|_| bad())?, HeaderValue::try_from(value).map_err(|_| bad())?);
    }
    if let Some(credential) = headers.get(header::AUTHORIZATION) {
        all.insert(header::AUTHORIZATION, credential.clone());
    }
    Ok(Question { method, url: text(asked, "url")?.to_owned(), headers: all })
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    let hint = "the commands of the same version send it";
    value.get(name).and_then(Value::as_str).ok_or_else(|| Refusal::bad_request(format!("{name} is missing"), hint))
}

async fn read(body: Body) -> Result<Value, Refusal> {
    let bad = || Refusal::bad_request("the body is no JSON, or too long", "the commands of the same version send it");
    let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let whole = whole.map_err(|_| bad())?.map_err(|_| bad())?;
    serde_json::from_slice(&whole.to_bytes()).map_err(|_| bad())
}

fn savings(savings: &[Saving]) -> Value {
    let rows = savings.iter().map(|saving| {
        json!({
            "family": saving.family.as_ref().map(github::Family::as_str),
            "saved": saving.saved(),
            "hits": saving.hits,
            "proofs": saving.proofs,
            "charged": saving.charged,
        })
    });
    json!({ "savings": rows.collect::<Vec<_>>() })
}

fn json_page(value: &Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
