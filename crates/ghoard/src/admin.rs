//! The status pages, on a loopback address of their own: aggregates only, no key and no body.

use std::sync::Arc;

use futures::{FutureExt, future::Either};
use gateway::{Answering, Body, DoorKind, Handle, Refusal, check, full};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use node::Node;

pub(crate) struct Admin {
    pub(crate) node: Arc<Node>,
}

impl Handle for Admin {
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering {
        Either::Right(async move { self.page(request).await }.boxed())
    }
}

impl Admin {
    async fn page(&self, request: Request<Body>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let checked = match check(&head, DoorKind::BaseUrl) {
            Ok(checked) => checked,
            Err(refusal) => return refusal.into_response(),
        };
        if head.method != Method::GET {
            let hint = "the status pages only tell";
            return Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here", hint).into_response();
        }
        match checked.target.path() {
            "/healthz" if self.node.is_ready() => text("text/plain; charset=utf-8", "ok\n"),
            "/healthz" => {
                let hint = "ask again in a moment";
                let message = "starting: waiting for what a neighbour tells";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message, hint).into_response()
            }
            "/metrics" => text("text/plain; version=0.0.4; charset=utf-8", self.node.metrics()),
            "/api/mcp/cache/stats" => text("application/json", self.node.stats().await.to_string()),
            "/api/mcp/peers" => text("application/json", self.node.peers().await.to_string()),
            "/" => text("text/plain; charset=utf-8", INDEX),
            path => {
                let hint = "there are /healthz, /metrics, /api/mcp/cache/stats and /api/mcp/peers";
                Refusal::new(StatusCode::NOT_FOUND, format!("there is no page {path}"), hint).into_response()
            }
        }
    }
}

const INDEX: &str = "ghoard\n\n/healthz\n/metrics\n/api/mcp/cache/stats\n/api/mcp/peers\n";

fn text(content_type: &'static str, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
