use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::{Family, Touches, limits};

/// What a GraphQL request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Graphql {
    /// Surely a query: it changes nothing, and its answer may be kept.
    Query(GraphqlQuery),
    /// Surely nothing but queries, and yet none whose answer may be kept.
    Uncacheable { why: &'static str },
    /// It may change anything.
    Doubtful { why: &'static str },
}

/// A query whose answer may be kept for the credential that asked, and for no other: GitHub has no
/// validator by which another could prove that it sees the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphqlQuery {
    /// Document, variables and operation name as canonical JSON: equal for equal questions. It holds
    /// no line break.
    pub key: Vec<u8>,
    /// The schema and nothing else: it seldom changes.
    pub is_introspection: bool,
    /// The only repository that it names, `owner` and `name`, as far as can be told.
    pub repository: Option<(String, String)>,
}

impl Graphql {
    /// What the request may change.
    pub fn touches(&self) -> Touches {
        match self {
            Self::Query(_) | Self::Uncacheable { .. } => Touches::Families(Vec::new()),
            Self::Doubtful { .. } => Touches::Everything,
        }
    }
}

impl GraphqlQuery {
    /// How long its answer is fresh. `short` is the operator's, else [`limits::GRAPHQL_TTL`].
    pub fn lifetime(&self, short: Option<Duration>) -> Duration {
        if self.is_introspection { limits::INTROSPECTION_TTL } else { short.unwrap_or(limits::GRAPHQL_TTL) }
    }

    /// The family of the answer: that of its repository, else one that every write touches.
    pub fn family(&self, host: &str) -> Family {
        let (owner, name) = self.repository.as_ref().map_or(("", ""), |(owner, name)| (owner, name));
        Family::of_graphql(host, owner, name)
    }
}

/// Tells what a GraphQL request is, from its body alone.
///
/// A query is one JSON object with `query`, and nothing but `variables`, `operationName` and empty
/// `extensions` beside it; no member twice, at any depth; its document is parsed without an error
/// and defines queries and fragments only; one operation is selected. Two readers that take a
/// document differently are the danger, so whatever could be read in two ways is doubtful.
pub fn classify(body: &[u8]) -> Graphql {
    if body.len() > limits::GRAPHQL_BYTES_MAX {
        return Graphql::Doubtful { why: "it is too long to be looked at" };
    }
    let Some(json) = json::parse(body) else {
        return Graphql::Doubtful { why: "it is no plain JSON" };
    };
    let mut members = match json {
        Value::Object(members) => members,
        Value::Array(batch) => return of_batch(&batch),
        _ => return Graphql::Doubtful { why: "it is no JSON object" },
    };
    let Some(Value::String(text)) = members.remove("query") else {
        return Graphql::Doubtful { why: "it has no document" };
    };
    let document = match document::read(&text) {
        Ok(document) => document,
        Err(why) => return Graphql::Doubtful { why },
    };
    let variables = match members.remove("variables") {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(variables @ Value::Object(_)) => variables,
        Some(_) => return Graphql::Uncacheable { why: "its variables are no object" },
    };
    let name = match members.remove("operationName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Graphql::Uncacheable { why: "its operation name is no string" },
    };
    let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    if members.iter().any(|(name, value)| name != "extensions" || !is_empty(value)) {
        return Graphql::Uncacheable { why: "it has members that may change the answer" };
    }
    if document.asks_for_limits {
        return Graphql::Uncacheable { why: "it asks for its rate limit" };
    }
    let Some(operation) = document.select(name.as_deref()) else {
        return Graphql::Uncacheable { why: "it is not clear which operation is meant" };
    };
    let mut key = Vec::with_capacity(body.len());
    json::write(&Value::Array(vec![text.into(), name.into(), variables.clone()]), &mut key);
    Graphql::Query(GraphqlQuery {
        key,
        is_introspection: operation.is_introspection,
        repository: operation.repository(&variables),
    })
}

/// Whether the answer to a query may be kept: a 200 with data and without `errors`. GitHub says that
/// a limit is reached in a 200, too.
pub fn may_keep(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        data: Option<IgnoredAny>,
        errors: Option<IgnoredAny>,
    }
    let is_drained = headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes().trim_ascii() == b"0");
    status == StatusCode::OK
        && !is_drained
        && serde_json::from_slice::<Answer>(body).is_ok_and(|answer| answer.data.is_some() && answer.errors.is_none())
}

fn of_batch(batch: &[Value]) -> Graphql {
    let is_query = |request: &Value| request["query"].as_str().is_some_and(|text| document::read(text).is_ok());
    if batch.iter().all(is_query) {
        Graphql::Uncacheable { why: "it is a batch" }
    } else {
        Graphql::Doubtful { why: "it is a batch, and not of queries alone" }
    }
}

mod document;
mod json;

#[cfg(test)]
mod tests;
