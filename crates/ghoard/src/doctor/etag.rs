//! Whether GitHub's ETags are what the rule gives for a real token, and whether such a proof is free.

use bytes::Bytes;
use gateway::HttpOrigin;
use github::{Ask, Site, matches};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use wire::{Body, Form, limits::BODY_BYTES_MAX};

use super::DoctorError;
use crate::{
    config::{Config, World},
    machine::full_text,
    output,
    question::{put, question},
    upstream,
};

/// A proof that seems to cost something is tried again: others may use the token at the same moment.
const PROOFS_MAX: usize = 3;

/// How much of an ETag is shown. A whole one lets its reader test guesses of the token.
const DIGITS_SHOWN: usize = 12;

/// What was found, question by question.
pub(crate) struct Findings {
    origin: String,
    token_from: String,
    list: Vec<Finding>,
}

struct Finding {
    path: String,
    outcome: Outcome,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Differs,
    NotChecked,
}

/// Asks for a few small things that every token may see: oneself, a public repository, and a page far
/// behind the end of a listing, which is empty.
///
/// # Errors
/// [`DoctorError`] without a token, or without TLS. An origin that does not answer is a finding.
pub(crate) async fn check(config: &Config, world: &World<'_>) -> Result<Findings, DoctorError> {
    let Some((_, source)) = &config.github_token else { return Err(DoctorError::NoToken) };
    let origin = upstream::origin(config, world)?;
    let site = Site::main(&config.origin);
    let repository = config.github_repository.as_deref().unwrap_or("octocat/Hello-World");
    let questions = [
        ("/user".to_owned(), None),
        (format!("/repos/{repository}"), None),
        (format!("/repos/{repository}/tags"), Some("page=1000")),
    ];
    let mut list = Vec::new();
    for (path, query) in questions {
        let Some(ask) = question(config, &path, query) else { continue };
        let (outcome, detail) = match examine(&origin, &site, &ask).await {
            Ok(detail) => (Outcome::Holds, detail),
            Err((outcome, detail)) => (outcome, detail),
        };
        list.push(Finding { path: ask.target.text(), outcome, detail });
    }
    Ok(Findings { origin: config.origin.clone(), token_from: source.to_string(), list })
}

/// Returns what was seen where the rule holds, and otherwise what came of it.
async fn examine(origin: &HttpOrigin, site: &Site, ask: &Ask) -> Result<String, (Outcome, String)> {
    let (status, headers, body) = exchange(origin, site, ask, None).await?;
    if status != StatusCode::OK {
        return Err((Outcome::NotChecked, format!("GitHub answered {status}")));
    }
    let Some(received) = text(&headers, "etag") else {
        return Err((Outcome::NotChecked, "the answer has no ETag".to_owned()));
    };
    let form = if text(&headers, "content-encoding") == Some("gzip") { Form::Gzip } else { Form::Identity };
    let plain =
        Body { form, encoded: body }.plain(BODY_BYTES_MAX).map_err(|error| (Outcome::NotChecked, full_text(&error)))?;
    let computed = ask.expected_etag(&plain);
    if !matches(&computed, received) {
        let detail = format!("GitHub's ETag is {}, the rule gives {}", shown(received), shown(&computed));
        return Err((Outcome::Differs, detail));
    }

    let mut left = remaining(&headers);
    for _ in 0..PROOFS_MAX {
        let (status, headers, _) = exchange(origin, site, ask, Some(&computed)).await?;
        if status != StatusCode::NOT_MODIFIED {
            return Err((
                Outcome::Differs,
                format!("the ETag is as computed, and GitHub answered {status} to it, not 304"),
            ));
        }
        let now = remaining(&headers);
        match (left, now) {
            (Some(before), Some(after)) if before == after => {
                return Ok(format!("ETag as computed; 304 to it, free ({after} requests left before and after)"));
            }
            (Some(_), Some(_)) => left = now,
            _ => return Ok("ETag as computed; 304 to it (the origin tells no limit)".to_owned()),
        }
    }
    let detail = "ETag as computed; 304 to it, but the requests that are left changed each time: it is charged, or the \
                  token is in use elsewhere";
    Err((Outcome::Differs, detail.to_owned()))
}

async fn exchange(
    origin: &HttpOrigin,
    site: &Site,
    ask: &Ask,
    if_none_match: Option<&str>,
) -> Result<(StatusCode, HeaderMap, Bytes), (Outcome, String)> {
    put(origin, site, ask, if_none_match).await.map_err(|why| (Outcome::NotChecked, why))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn remaining(headers: &HeaderMap) -> Option<u64> {
    text(headers, "x-ratelimit-remaining")?.parse().ok()
}

fn shown(tag: &str) -> String {
    let hex = tag.trim_start_matches("W/").trim_matches('"');
    format!("{}…", hex.chars().take(DIGITS_SHOWN).collect::<String>())
}

impl Findings {
    /// Whether the rule holds wherever it could be checked; `None` if nowhere.
    pub(crate) fn verdict(&self) -> Option<bool> {
        let checked = self.list.iter().filter(|finding| finding.outcome != Outcome::NotChecked);
        checked.map(|finding| finding.outcome == Outcome::Holds).reduce(|all, one| all && one)
    }

    pub(crate) fn print(&self) {
        output::data(&format!("GitHub's ETag rule at {}, with the token in {}", self.origin, self.token_from));
        for finding in &self.list {
            output::data(&format!("  {:12} {}: {}", finding.outcome.name(), finding.path, finding.detail));
        }
        output::data(match self.verdict() {
            Some(true) => "The rule holds: what a peer brought is confirmed here for free.",
            Some(false) => "The rule does not hold: nobody is served wrong, but confirmations cost a request each.",
            None => "No answer.",
        });
    }

    pub(crate) fn json(&self) -> Value {
        let list: Vec<_> = self
            .list
            .iter()
            .map(|finding| json!({ "path": finding.path, "outcome": finding.outcome.name(), "detail": finding.detail }))
            .collect();
        json!({
            "check": "etag", "origin": self.origin, "token_from": self.token_from,
            "holds": self.verdict(), "questions": list,
        })
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "differs",
            Self::NotChecked => "not checked",
        }
    }
}
