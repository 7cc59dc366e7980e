//! Carries out what the registry in an issue wants: its requests, by way of the ledger.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use discovery::{Around, Call, Candidate, IssueRegistry, Outcome, Reply, Verb, limits::REPLY_BYTES_MAX};
use gateway::{Body, Origin, full};
use github::{Credential, Resource, Site, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use net::Net;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use crate::{budgets::Budgets, cache::now, limits, sharing::Sharing};

const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.github+json");

/// The way of the registry's requests.
pub struct Registrar {
    pub registry: Arc<Mutex<IssueRegistry>>,
    pub site: Site,
    pub credential: Credential,
    pub origin: Arc<dyn Origin>,
    pub budgets: Arc<Budgets>,
    pub sharing: Arc<Sharing>,
    pub net: Net,
    /// Told after each round.
    pub look: Arc<Notify>,
}

impl Registrar {
    /// Runs rounds as they come due, until the machine goes down.
    pub async fn run(self: Arc<Self>) {
        loop {
            let at = self.registry.lock().expect("no panic while held").next_at(self.net.members().len());
            let pause = at.since(now());
            if !pause.is_zero() {
                tokio::time::sleep(pause.min(limits::REGISTRY_TICK)).await;
                continue;
            }
            self.round().await;
            self.look.notify_one();
            // What is due is done; a round that was not is tried again after a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn round(&self) {
        let members = self.sharing.members().await.into_iter();
        let candidate =
            |view: fleet::MemberView| Candidate { peer: view.peer, role: view.member.role, since: view.member.since };
        let around = Around { peers: self.net.members().len(), members: members.map(candidate).collect() };
        let before = self.status();
        loop {
            let next = self.registry.lock().expect("no panic while held").next(&around, rand::random(), now());
            let Some(call) = next else { break };
            let outcome = self.carry_out(&call).await;
            debug!(verb = ?call.verb, path = call.path, ?outcome, "asked the registry");
            self.registry.lock().expect("no panic while held").on(outcome, now());
        }
        let after = self.status();
        if before.issue != after.issue {
            info!(issue = after.issue, "the peer registry is in this issue");
        }
        if after.trouble.is_some() && before.trouble != after.trouble {
            warn!(trouble = after.trouble, "the peer registry in GitHub");
        }
    }

    pub fn status(&self) -> discovery::IssueStatus {
        self.registry.lock().expect("no panic while held").status(now())
    }

    /// Takes this machine's comment back, in a bounded time.
    pub async fn leave(&self) {
        let call = self.registry.lock().expect("no panic while held").leave();
        if let Some(call) = call {
            let _ = tokio::time::timeout(limits::REGISTRY_LEAVE_PATIENCE, self.carry_out(&call)).await;
        }
    }

    /// The ledger comes first: what nobody waits for leaves the budget to those who do.
    async fn carry_out(&self, call: &Call) -> Outcome {
        let scope = self.budgets.scope(Some(&self.credential));
        let resource = if call.path.starts_with("/search/") { Resource::SEARCH } else { Resource::CORE };
        let Some(_passage) = self.budgets.admit_own(&self.site.name, scope, resource) else { return Outcome::Spared };
        let Some(request) = self.request(call) else { return Outcome::Failed("its address is none".to_owned()) };
        match self.origin.send(request).await {
            Ok(response) => read(response).await,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn request(&self, call: &Call) -> Option<Request<Body>> {
        let method = match call.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        let uri = format!("{}{}", self.site.url, call.path);
        let body = call.body.clone().map_or_else(gateway::empty, full);
        let mut request = Request::builder().method(method).uri(uri).body(body).ok()?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, ACCEPT);
        headers.insert("x-github-api-version", API_VERSION);
        headers.insert(header::AUTHORIZATION, self.credential.header());
        if let Some(body) = &call.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
            headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        if let Some(etag) = &call.etag {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::try_from(etag).ok()?);
        }
        Some(request)
    }
}

async fn read(response: Response<Body>) -> Outcome {
    let (head, body) = response.into_parts();
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let etag = text(header::ETAG).map(str::to_owned);
    match Limited::new(body, REPLY_BYTES_MAX).collect().await {
        Ok(body) => Outcome::Answered(Reply {
            status: head.status.as_u16(),
            etag,
            has_next: has_next(&head.headers),
            body: body.to_bytes().to_vec(),
        }),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn has_next(headers: &HeaderMap) -> bool {
    let links = headers.get(header::LINK).and_then(|link| link.to_str().ok());
    links.is_some_and(|links| links.split(',').any(|link| link.contains("rel=\"next\"")))
}
