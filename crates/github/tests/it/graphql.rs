use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use github::{Graphql, Touches, classify, may_keep};
use graphql_parser::query::{Definition, OperationDefinition, parse_query};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::fuzz;

const WORDS: [&str; 32] = [
    "{",
    "}",
    "mutation",
    "mutation{a}",
    "subscription",
    "query A",
    "fragment F on T",
    "...F",
    "...",
    "rateLimit",
    "#",
    "\r",
    "\"",
    "\"\"\"",
    "\\\"\"\"",
    "\\u006d",
    "\u{2028}",
    "\u{feff}",
    "$a",
    "(a:1)",
    "@skip(if:true)",
    "\"query\":",
    "\"variables\":{}",
    "\"operationName\":\"A\"",
    "\"extensions\":{}",
    "type T{a:Int}",
    ",",
    "__schema",
    "\n",
    "repository(owner:\"o\",name:\"r\")",
    "1e400",
    "[",
];

/// A body, and the same bytes as a document in one.
#[test]
fn nothing_but_queries_is_taken_for_a_query() {
    fuzz::run("graphql", include_str!("../corpus/graphql.txt"), &WORDS, |input| {
        let _ = may_keep(StatusCode::OK, &HeaderMap::new(), input);
        let as_body = classify(input);
        check(&as_body, input);
        let Ok(document) = std::str::from_utf8(input) else { return 0 };
        let body = json!({ "query": document }).to_string();
        let as_document = classify(body.as_bytes());
        check(&as_document, body.as_bytes());
        let mut hash = DefaultHasher::new();
        (kind(&as_body), kind(&as_document), parse_query::<&str>(document).is_ok()).hash(&mut hash);
        hash.finish()
    });
}

fn check(found: &Graphql, body: &[u8]) {
    assert_eq!(*found, classify(body));
    let is_harmless = classify(body).touches() == Touches::Families(Vec::new());
    assert_eq!(is_harmless, !matches!(found, Graphql::Doubtful { .. }));
    if !is_harmless {
        return;
    }
    let json: Value = serde_json::from_slice(body).expect("what is no JSON is doubtful");
    let requests = json.as_array().cloned().unwrap_or_else(|| vec![json]);
    for document in requests.iter().filter_map(|request| request["query"].as_str()) {
        // Another reader may refuse the document; if it does not, it must see queries alone.
        for definition in parse_query::<&str>(document).map(|document| document.definitions).unwrap_or_default() {
            let changes = matches!(
                definition,
                Definition::Operation(OperationDefinition::Mutation(_) | OperationDefinition::Subscription(_))
            );
            assert!(!changes, "{document:?}");
        }
    }
    if let Graphql::Query(query) = found {
        assert!(query.key.iter().all(|byte| *byte >= 0x20), "no separator within the key");
        let parts: [Value; 3] = serde_json::from_slice(&query.key).expect("the key is JSON");
        let [document, name, variables] = parts;
        let body = json!({ "query": document, "operationName": name, "variables": variables });
        let again = classify(body.to_string().as_bytes());
        assert_eq!(*found, again, "what the key says is the same question");
    }
}

fn kind(found: &Graphql) -> (u8, &'static str, bool, bool) {
    match found {
        Graphql::Query(query) => (0, "", query.is_introspection, query.repository.is_some()),
        Graphql::Uncacheable { why } => (1, why, false, false),
        Graphql::Doubtful { why } => (2, why, false, false),
    }
}
