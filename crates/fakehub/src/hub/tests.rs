mod apps;
mod bodies;
mod budgets;
mod enterprise;
mod moving;
mod pages;
mod permissions;
mod secondary;
mod spoilt;
mod statuses;
mod storage;
mod switches;
mod validators;
mod writes;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::{Hub, Role, Token};

const NOW: u64 = 1_700_000_000;

/// `octocat` writes to `acme/secret`, `hubot` only reads it, `surtur` has nothing.
fn hub() -> Hub {
    let mut hub = Hub::standard(7);
    hub.add_token(Token::new("octocat-t", "octocat").with_repo("acme/secret", Role::Write));
    hub.add_token(Token::new("hubot-t", "hubot").with_repo("Acme/Secret", Role::Read));
    hub.add_token(Token::new("surtur-t", "surtur").with_limit(3));
    hub
}

/// Sends `line`, a login or `anonymous`, a method and a path, at [`NOW`].
fn ask(hub: &mut Hub, line: &str, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [who, method, path] = words[..] else { panic!("not a request: {line}") };
    let mut request = Request::builder().method(method).uri(path);
    if who != "anonymous" {
        request = request.header("authorization", format!("token {who}-t"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    hub.handle(&request, NOW).response.unwrap()
}

fn get(hub: &mut Hub, who: &str, path: &str) -> Response<Bytes> {
    ask(hub, &format!("{who} GET {path}"), &[], "")
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// Sends a GET of `url`, which may be another host's, with these headers only.
fn fetch(hub: &mut Hub, url: &str, headers: &[(&str, &str)], now: u64) -> Response<Bytes> {
    let request = headers.iter().fold(Request::get(url), |request, (name, value)| request.header(*name, *value));
    hub.handle(&request.body(Bytes::new()).unwrap(), now).response.unwrap()
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn graphql(hub: &mut Hub, query: &str, variables: &Value) -> Value {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let response = ask(hub, "octocat POST /graphql", &[], &body);
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("etag"));
    json(&response)
}
