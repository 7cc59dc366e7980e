//! `ghoard why`: what the daemon would do with a request, for people.

use std::collections::BTreeMap;

use http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::{
    admin_client::{self, AdminError},
    cli::Why,
    config::Config,
    output,
};

pub(crate) async fn why(why: &Why, config: &Config) -> Result<(), AdminError> {
    let mut headers = BTreeMap::new();
    let token = config.github_token.as_ref().map(|(token, _)| format!("Bearer {}", token.reveal()));
    let mut authorization = token.and_then(|token| HeaderValue::try_from(token).ok());
    for header in &why.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| AdminError::Header(header.clone()))?;
        if name.trim().eq_ignore_ascii_case("authorization") {
            authorization = HeaderValue::try_from(value.trim()).ok();
        } else {
            headers.insert(name.trim(), value.trim());
        }
    }
    let question = json!({ "method": why.method, "url": why.url, "headers": headers });
    let story = admin_client::ask(config, Method::POST, "/why", Some(&question), authorization).await?;
    if why.json {
        output::data(&story.to_string());
    } else {
        told(&story).iter().for_each(|line| output::data(line));
    }
    Ok(())
}

/// The story in lines of a label and a text.
fn told(story: &Value) -> Vec<String> {
    let text = |name: &str| story[name].as_str().unwrap_or_default();
    let line = |label: &str, text: &str| format!("{label:<12}{text}");
    let mut lines = Vec::new();
    if !text("site").is_empty() {
        lines.push(line("request", &format!("{} at {}", text("target"), text("site"))));
    }
    match text("plan") {
        "cache" => lines.extend(cached(story, line)),
        "write" => {
            lines.push(line("plan", "write: passed on, and these are dropped before and after it"));
            let touched = match &story["touches"] {
                Value::Array(families) => families.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => vec!["everything".to_owned()],
            };
            lines.extend(touched.iter().map(|family| line("", family)));
        }
        _ => lines.push(line("plan", &format!("pass: {}", text("why")))),
    }
    lines
}

fn cached(story: &Value, line: impl Fn(&str, &str) -> String) -> Vec<String> {
    let text = |name: &str| story[name].as_str().unwrap_or_default();
    let seconds = |name: &str| story[name].as_u64();
    let mut lines = vec![line("plan", "cache")];
    for (name, value) in story["selects"].as_object().into_iter().flatten() {
        lines.push(line("selected by", &format!("{name}: {}", value.as_str().unwrap_or_default())));
    }
    lines.push(line("key", text("key")));
    lines.push(line("route", text("route")));
    lines.push(line("family", text("family")));
    let fresh_for = seconds("lifetime_seconds").map_or("as long as the origin says".to_owned(), |s| format!("{s} s"));
    let proof = seconds("proof_window_seconds").unwrap_or_default();
    let stale = seconds("stale_for_seconds").unwrap_or_default();
    lines.push(line("fresh for", &format!("{fresh_for}; proven for {proof} s; stale, marked, for {stale} s more")));
    for (label, name) in [("never_cache", "never_cache"), ("never_share", "never_share")] {
        if !text(name).is_empty() {
            lines.push(line(label, &format!("yes, by {}", text(name))));
        }
    }
    lines.push(line("share", text("share")));
    if story["etag_drifted"] == true {
        lines.push(line("drift", "the origin's ETags are not as computed for this route; only received ones are used"));
    }
    let credential = if story["credential"] == true { "the one given" } else { "none (anonymous)" };
    lines.push(line("credential", credential));
    lines.push(line("held", &held(&story["held"])));
    let steps = story["next"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.push(line("next", &steps.collect::<Vec<_>>().join("; then ")));
    lines
}

fn held(held: &Value) -> String {
    let number = |name: &str| held[name].as_i64().unwrap_or_default();
    let text = |name: &str| held[name].as_str().unwrap_or_default();
    if held.is_null() {
        return "nothing for this credential".to_owned();
    }
    let clock = |name: &str, on: &str, over: &str| match number(name) {
        left if left > 0 => format!("{on} for {left} s"),
        past => format!("{over} for {} s", -past),
    };
    format!(
        "in {}, from {}: status {}, {} bytes, {} s old; {}; {}; {}",
        text("in"),
        if text("from") == "peer" { "a peer" } else { "the origin" },
        number("status"),
        number("bytes"),
        number("age_seconds"),
        clock("fresh_for_seconds", "fresh", "not fresh"),
        clock("proven_for_seconds", "proven", "not proven"),
        clock("stale_for_seconds", "may be served stale", "gone"),
    )
}
