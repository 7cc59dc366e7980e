use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{Failure, Hub, Token, page::Query};

/// Where the control routes are.
pub(crate) const PREFIX: &str = "/_fakehub/";

/// Answers a control request: never counted, never charged, 400 with a reason if it makes no sense.
///
/// - `GET counts`, `POST reset-counts`, `POST recover`
/// - `POST fail?status=500&path=/repos`, or `?retry_after=30` for a secondary limit
/// - `POST silence?path=/repos`, `POST latency?ms=20&path=/repos`
/// - `POST tokens` with a [`Token`] as JSON, `POST revoke` with the token as the body
/// - `POST exhaust?login=octocat`
/// - `POST modify?repo=o/r`, `?repo=o/r&issue=1&title=x`, `?repo=o/r&push=message`
pub(crate) fn control(hub: &mut Hub, request: &Request<Bytes>, now: u64) -> Response<Bytes> {
    let query = Query::parse(request.uri().query());
    let action = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let done = match (request.method(), action) {
        (&Method::GET, "counts") => serde_json::to_value(hub.counts()).map_err(|error| error.to_string()),
        (&Method::POST, action) => act(hub, action, &query, request.body(), now).map(|()| json!({ "ok": true })),
        _ => Err(format!("there is no {} {action}", request.method())),
    };
    let (status, body) = match done {
        Ok(body) => (StatusCode::OK, body),
        Err(reason) => (StatusCode::BAD_REQUEST, json!({ "error": reason })),
    };
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn act(hub: &mut Hub, action: &str, query: &Query, body: &[u8], now: u64) -> Result<(), String> {
    let path = query.get("path").unwrap_or_default();
    match action {
        "reset-counts" => hub.reset_counts(),
        "recover" => hub.recover(),
        "silence" => hub.silence(path),
        "fail" => {
            let failure = match query.get("retry_after") {
                Some(_) => Failure::SecondaryLimit { retry_after: number(query, "retry_after")? },
                None => Failure::Status(status(query)?),
            };
            hub.fail_with(path, failure);
        }
        "latency" => hub.set_latency(path, Duration::from_millis(number(query, "ms")?)),
        "tokens" => {
            // The parser's own words could quote the token, so they are not repeated.
            let token: Token = serde_json::from_slice(body).map_err(|_| "the body is not a token".to_owned())?;
            hub.add_token(token);
        }
        "revoke" => {
            let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
            if !hub.revoke(text.trim()) {
                return Err("no such token".to_owned());
            }
        }
        "exhaust" => hub.exhaust(query.get("login").unwrap_or("anonymous"), now),
        "modify" => modify(hub, query, now)?,
        _ => return Err(format!("there is no POST {action}")),
    }
    Ok(())
}

fn modify(hub: &mut Hub, query: &Query, now: u64) -> Result<(), String> {
    let repo = query.get("repo").ok_or("repo is missing")?;
    let done = if query.get("issue").is_some() {
        let title = query.get("title").map_or_else(|| format!("Changed at {now}"), str::to_owned);
        hub.modify_issue(repo, number(query, "issue")?, &title, now)
    } else if let Some(message) = query.get("push") {
        hub.push(repo, message, now).map(drop)
    } else {
        hub.modify_repo(repo, now)
    };
    done.map_err(|error| error.to_string())
}

fn number(query: &Query, key: &str) -> Result<u64, String> {
    query.get(key).and_then(|text| text.parse().ok()).ok_or_else(|| format!("{key} is not a whole number"))
}

fn status(query: &Query) -> Result<StatusCode, String> {
    let status = query.get("status").and_then(|text| text.parse().ok());
    status.ok_or_else(|| format!("status is not one: {}", Value::from(query.get("status"))))
}
