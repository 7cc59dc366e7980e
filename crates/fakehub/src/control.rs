//! `/_fakehub/...`: everything a test can do to a hub, by HTTP. `docs/FAKEHUB.md` has the same table.
//!
//! Never counted, never charged; 200 with `{"ok":true}`, or 400 with `{"error":...}`. `path=` is a
//! prefix, empty for every path, and the longest that fits decides; `repo=` is `owner/name`.
//!
//! | Request | Does |
//! |---|---|
//! | `GET counts` | the counts as JSON |
//! | `GET runs?repo=` | the ids of a repository's workflow runs |
//! | `POST reset-counts` | forgets the counts, not the budgets |
//! | `POST recover` | ends every failure, delay, spoilt delivery, skew and secondary limit |
//! | `POST fail?status=500&path=` | fails with a status; `&html=1` with a page instead of JSON |
//! | `POST fail?retry_after=30&path=` | fails as a secondary limit; `retry_after=none` without the header |
//! | `POST silence?path=` | takes requests and never answers |
//! | `POST latency?ms=20&path=` | answers later |
//! | `POST deliver?how=cut&bytes=10&path=` | spoils bodies: `cut`, `cut-chunked`, `hang`, `understated`, `overstated`, `garbled-gzip`, `whole` |
//! | `POST skew?secs=-90` | moves `Date` |
//! | `POST secondary` | sets secondary limits: [`crate::Secondary`] as JSON, or `?documented=1` |
//! | `POST etag-rule?rule=changed` | GitHub changes its ETag rule; `observed` takes it back |
//! | `POST enterprise?version=3.17.0` | plays a GHES; without `version` github.com again |
//! | `POST storage?url=` | where signed URLs lead; without `url` GitHub's own names |
//! | `POST tokens` | accepts a [`crate::Token`], given as JSON |
//! | `POST apps` | accepts an [`crate::App`], given as JSON |
//! | `POST revoke` | refuses the token in the body |
//! | `POST role?repo=&role=read` | gives the token in the body a role; without `role` takes it away |
//! | `POST permissions` | replaces permissions: `{"text":...,"permissions":{...}}` |
//! | `POST exhaust?login=` | empties the hourly budget |
//! | `POST spend?login=&resource=search&points=30` | spends a part of a budget |
//! | `POST modify?repo=` | a star more; `&issue=1&title=x` retitles; `&push=message` pushes |
//! | `POST issues?repo=&count=1000` | opens issues; `&delete=7` deletes one, 410 from then on |
//! | `POST run?repo=&run=&status=completed&conclusion=success` | changes a run |
//! | `POST artifact?repo=&run=&name=&bytes=` | one more artifact; `log?repo=&run=&bytes=` a longer log |
//! | `POST downloads?repo=` | `download_count` moves, `Last-Modified` does not |
//! | `POST rename?repo=&name=` | renames; the old name redirects |
//! | `POST private?repo=&to=true` | changes the visibility |
//! | `POST block?repo=&to=true` | 451 for everything in it |
//! | `POST document?path=&repo=` | answers `path` with the body, for those who see `repo`, or all |

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Delivery, EtagRule, Failure, Hub, Permissions, Role, Secondary, UnknownName, Visibility, page::Query};

/// Where the control routes are.
pub(crate) const PREFIX: &str = "/_fakehub/";

/// Answers a control request.
pub(crate) fn control(hub: &mut Hub, request: &Request<Bytes>, now: u64) -> Response<Bytes> {
    let action = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let order = Order { query: Query::parse(request.uri().query()), body: request.body(), now };
    let done = match (request.method(), action) {
        (&Method::GET, "counts") => serde_json::to_value(hub.counts()).map_err(|error| error.to_string()),
        (&Method::GET, "runs") => order.need("repo").map(|repo| json!(hub.runs(&repo))),
        (&Method::POST, action) => order.carry_out(hub, action).map(|()| json!({ "ok": true })),
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

struct Order<'a> {
    query: Query,
    body: &'a Bytes,
    now: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPermissions {
    text: String,
    permissions: Option<Permissions>,
}

impl Order<'_> {
    fn carry_out(&self, hub: &mut Hub, action: &str) -> Result<(), String> {
        match action {
            "reset-counts" => hub.reset_counts(),
            "recover" | "fail" | "silence" | "latency" | "deliver" | "skew" | "secondary" => {
                self.trouble(hub, action)?;
            }
            "tokens" | "apps" | "revoke" | "role" | "permissions" | "exhaust" | "spend" => self.admit(hub, action)?,
            "etag-rule" => {
                hub.etag_rule = match self.need("rule")?.as_str() {
                    "observed" => EtagRule::Observed,
                    "changed" => EtagRule::Changed,
                    other => return Err(format!("there is no rule {other}")),
                }
            }
            "enterprise" => hub.enterprise = self.query.text("version"),
            "storage" => hub.storage_url = self.query.text("url"),
            _ => self.change(hub, action)?,
        }
        Ok(())
    }

    fn trouble(&self, hub: &mut Hub, action: &str) -> Result<(), String> {
        let path = self.query.text("path").unwrap_or_default();
        match action {
            "recover" => hub.recover(),
            "silence" => hub.silence(&path),
            "latency" => hub.set_latency(&path, Duration::from_millis(self.number("ms")?)),
            "deliver" => {
                let bytes = || self.number("bytes").map(|bytes| bytes as usize);
                let delivery = match self.need("how")?.as_str() {
                    "whole" => Delivery::Whole,
                    "cut" => Delivery::Cut { after: bytes()? },
                    "cut-chunked" => Delivery::CutChunked { after: bytes()? },
                    "hang" => Delivery::Hang { after: bytes()? },
                    "understated" => Delivery::Understated { by: bytes()? },
                    "overstated" => Delivery::Overstated { by: bytes()? },
                    "garbled-gzip" => Delivery::GarbledGzip,
                    other => return Err(format!("there is no delivery {other}")),
                };
                hub.deliver(&path, delivery);
            }
            "skew" => hub.set_date_skew(self.need("secs")?.parse().map_err(|_| "secs is not a whole number")?),
            "secondary" if self.query.get("documented").is_some() => hub.secondary = Secondary::documented(),
            "secondary" => hub.secondary = self.json("limits")?,
            _ => {
                let failure = match self.query.get("retry_after") {
                    Some("none") => Failure::SecondaryLimitUntold,
                    Some(_) => Failure::SecondaryLimit { retry_after: self.number("retry_after")? },
                    None if self.query.get("html").is_some() => Failure::Html(self.status()?),
                    None => Failure::Status(self.status()?),
                };
                hub.fail_with(&path, failure);
            }
        }
        Ok(())
    }

    fn admit(&self, hub: &mut Hub, action: &str) -> Result<(), String> {
        let login = self.query.text("login").unwrap_or_else(|| "anonymous".to_owned());
        let known = match action {
            "tokens" => {
                hub.add_token(self.json("a token")?);
                true
            }
            "apps" => {
                hub.add_app(self.json("an app")?);
                true
            }
            "revoke" => hub.revoke(self.text()?),
            "role" => {
                let role = self.query.get("role").map(|role| serde_json::from_value::<Role>(json!(role)));
                let role = role.transpose().map_err(|error| error.to_string())?;
                hub.set_role(self.text()?, &self.need("repo")?, role)
            }
            "permissions" => {
                let wanted: NewPermissions = self.json("a token's text and its permissions")?;
                hub.set_permissions(&wanted.text, wanted.permissions)
            }
            "exhaust" => {
                hub.exhaust(&login, self.now);
                true
            }
            _ => {
                let resource = self.need("resource")?;
                if !hub.spend(&login, &resource, self.number("points")?, self.now) {
                    return Err(format!("there is no resource {resource}"));
                }
                true
            }
        };
        if known { Ok(()) } else { Err("no such token".to_owned()) }
    }

    fn change(&self, hub: &mut Hub, action: &str) -> Result<(), String> {
        let (now, to) = (self.now, self.query.get("to") != Some("false"));
        let repo = self.query.text("repo");
        if action == "document" {
            let visibility = repo.map_or(Visibility::Public, Visibility::Repo);
            hub.put_document(&self.need("path")?, visibility, self.body.clone());
            return Ok(());
        }
        let repo = repo.ok_or_else(|| format!("repo is missing, or there is no POST {action}"))?;
        let done: Result<(), UnknownName> = match action {
            "modify" if self.query.get("issue").is_some() => {
                let title = self.query.text("title").unwrap_or_else(|| format!("Changed at {now}"));
                hub.modify_issue(&repo, self.number("issue")?, &title, now)
            }
            "modify" => match self.query.text("push") {
                Some(message) => hub.push(&repo, &message, now).map(drop),
                None => hub.modify_repo(&repo, now),
            },
            "issues" if self.query.get("delete").is_some() => hub.delete_issue(&repo, self.number("delete")?),
            "issues" => hub.add_issues(&repo, self.number("count")?, now),
            "run" => {
                let conclusion = self.query.text("conclusion");
                hub.set_run(&repo, self.number("run")?, &self.need("status")?, conclusion.as_deref(), now)
            }
            "artifact" => {
                let bytes = self.number("bytes")? as usize;
                hub.add_artifact(&repo, self.number("run")?, &self.need("name")?, bytes).map(drop)
            }
            "log" => hub.set_log_bytes(&repo, self.number("run")?, self.number("bytes")?),
            "downloads" => hub.download_assets(&repo),
            "rename" => hub.rename(&repo, &self.need("name")?),
            "private" => hub.set_private(&repo, to),
            "block" => hub.set_blocked(&repo, to),
            _ => return Err(format!("there is no POST {action}")),
        };
        done.map_err(|error| error.to_string())
    }

    /// The body as JSON. The parser's own words could quote a token, so they are not repeated.
    fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, String> {
        serde_json::from_slice(self.body).map_err(|_| format!("the body is not {what}"))
    }

    fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(self.body).map(str::trim).map_err(|error| error.to_string())
    }

    fn need(&self, key: &str) -> Result<String, String> {
        self.query.text(key).ok_or_else(|| format!("{key} is missing"))
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        self.query.get(key).and_then(|text| text.parse().ok()).ok_or_else(|| format!("{key} is not a whole number"))
    }

    fn status(&self) -> Result<StatusCode, String> {
        let status = self.query.get("status").and_then(|text| text.parse().ok());
        status.ok_or_else(|| format!("status is not one: {}", Value::from(self.query.get("status"))))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_guide_has_the_same_table() {
        let guide = include_str!("../../../docs/FAKEHUB.md");
        let rows = include_str!("control.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
        let requests: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        assert!(requests.len() > 25);
        for request in requests {
            assert!(guide.contains(&format!("\n| `{request}` | ")), "{request} is not in docs/FAKEHUB.md");
        }
    }
}
