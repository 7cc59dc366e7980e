use serde_json::Value;

use crate::Touches;

/// What a GraphQL request touches: nothing, unless the word `mutation` is in a document of it at all.
///
/// A superset: a query that only mentions the word costs some hits, never a stale answer. A body
/// that is no JSON of the usual form counts as a mutation.
pub fn graphql_touches(body: &[u8]) -> Touches {
    let changes_nothing = |request: &Value| request["query"].as_str().is_some_and(|text| !text.contains("mutation"));
    let is_harmless = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(batch)) => batch.iter().all(changes_nothing),
        Ok(request) => changes_nothing(&request),
        Err(_) => false,
    };
    if is_harmless { Touches::Families(Vec::new()) } else { Touches::Everything }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_document_without_the_word_is_surely_no_mutation() {
        assert_eq!(graphql_touches(br#"{"query":"{viewer{login}}"}"#), Touches::Families(vec![]));
        for body in [r#"{"query":"mutation {x}"}"#, r#"{"query":"\u006dutation {x}"}"#, "[{}]", "mutation", "{"] {
            assert_eq!(graphql_touches(body.as_bytes()), Touches::Everything, "{body}");
        }
    }
}
