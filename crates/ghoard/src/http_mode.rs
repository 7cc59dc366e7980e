//! `rules = "http"`: a shared cache for an origin that is not GitHub. One door, no fleet, no disk.

use std::sync::Arc;

use futures::future::{Either, join_all, ready};
use gateway::{Answering, Body, Door, Drained, Handle, HttpOrigin, Refusal, check_any, full, limits};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_cache::HttpCache;
use task::Tasks;
use tokio::sync::watch;

use crate::{
    config::Config,
    listen::TcpDoor,
    output,
    run::{RunError, stopped},
};

/// Runs the cache until SIGTERM or SIGINT.
pub(crate) async fn run(config: &Config) -> Result<(), RunError> {
    let tasks = Tasks::tokio();
    let origin = Arc::new(HttpOrigin::new(config.origin_timeout)?);
    let cache = Arc::new(HttpCache::new(origin, &config.origin, config.memory_bytes, config.stale_for, tasks.clone()));
    let (stop, stopping) = watch::channel(false);
    let no_door = |_| RunError::NoDoor { socket: "(none)".to_owned(), address: config.door_address.to_string() };
    let (listener, bound) = TcpDoor::bind(config.door_address).await.map_err(no_door)?;
    if bound != config.door_address && config.door_address.port() != 0 {
        output::warning(&format!("door_address {} is taken; the base URL is http://{bound}", config.door_address));
        output::hint("stop the other program, or set GHOARD_DOOR_ADDRESS");
    }
    let door = Door::new("base URL", limits::CONNECTIONS_MAX, tasks.clone(), stopping.clone());
    let mut doors = vec![door.drained()];
    tasks.spawn(door.run(listener, cache.clone()));
    output::data(&format!("ghoard {}", env!("CARGO_PKG_VERSION")));
    output::data(&format!("  base URL    http://{bound}"));
    match TcpDoor::bind(config.admin_address).await {
        Ok((listener, bound)) => {
            let door = Door::new("status", limits::STATUS_CONNECTIONS_MAX, tasks.clone(), stopping);
            doors.push(door.drained());
            tasks.spawn(door.run(listener, Arc::new(Status { cache })));
            output::data(&format!("  status      http://{bound}/metrics"));
        }
        Err(error) => {
            output::warning(&format!("no status page: cannot listen on {}: {error}", config.admin_address));
            output::hint("set GHOARD_ADMIN_ADDRESS to a loopback address");
        }
    }
    output::data(&format!("  rules       http, for {}", config.origin));
    output::data("  cache       in memory");
    output::data("  shares      no: answers of an origin that is not GitHub stay on this machine");

    stopped().await?;
    let _ = stop.send(true);
    let drained = join_all(doors.into_iter().map(Drained::wait));
    let _ = tokio::time::timeout(node::limits::DRAIN_PATIENCE, drained).await;
    Ok(())
}

struct Status {
    cache: Arc<HttpCache>,
}

impl Handle for Status {
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering {
        Either::Left(ready(self.page(&request.into_parts().0)))
    }
}

impl Status {
    fn page(&self, head: &http::request::Parts) -> Response<Body> {
        if let Err(refusal) = check_any(head) {
            return refusal.into_response();
        }
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/healthz") => text("ok\n".to_owned()),
            (&Method::GET, "/metrics") => text(self.metrics()),
            (&Method::GET, path) => {
                let message = format!("there is no page {path}");
                Refusal::new(StatusCode::NOT_FOUND, message, "there are /healthz and /metrics").into_response()
            }
            _ => {
                let hint = "the status pages only tell";
                Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here", hint).into_response()
            }
        }
    }

    fn metrics(&self) -> String {
        let (bytes, targets) = self.cache.held();
        let counters = self.cache.counters.all().map(|(name, count)| (format!("{name}_total"), "counter", count));
        let gauges = [("bytes", bytes), ("targets", targets as u64)].map(|(name, n)| (name.to_owned(), "gauge", n));
        let lines = counters.into_iter().chain(gauges);
        lines.map(|(name, kind, n)| format!("# TYPE ghoard_http_{name} {kind}\nghoard_http_{name} {n}\n")).collect()
    }
}

fn text(body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
