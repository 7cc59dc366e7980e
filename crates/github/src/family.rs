use serde_json::Value;

use crate::Target;

/// What one write makes doubtful, and what its readers depend on: usually one repository.
///
/// Case does not matter to GitHub in owners and names, so a family is in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family(String);

/// What a write touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touches {
    Families(Vec<Family>),
    /// It cannot be told from the request: everything of this host.
    Everything,
}

impl Family {
    pub fn of(host: &str, target: &Target) -> Self {
        let segments: Vec<String> = target.segments().map(str::to_ascii_lowercase).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Self(match segments.as_slice() {
            ["repos", owner, name, ..] => format!("{host}/repos/{owner}/{name}"),
            // A repository by its id: which one is not known here, so they share one family, and
            // a write to any repository drops it.
            ["repositories", ..] => format!("{host}/repositories"),
            [kind @ ("orgs" | "users" | "enterprises" | "teams"), name, ..] => format!("{host}/{kind}/{name}"),
            [first, ..] => format!("{host}/{first}"),
            [] => format!("{host}/"),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The families that a write to `target` makes doubtful.
    pub fn touched_by(host: &str, target: &Target) -> Touches {
        let own = Self::of(host, target);
        match target.segments().next() {
            Some("repos") => Touches::Families(vec![own, Self(format!("{host}/repositories"))]),
            Some("repositories") | None => Touches::Everything,
            Some("user") => {
                // `POST /user/repos` creates a repository that `/users/<me>/repos` lists, too.
                Touches::Everything
            }
            Some(_) => Touches::Families(vec![own]),
        }
    }
}

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

    fn of(path: &str) -> Family {
        Family::of("api.github.com", &Target::parse(path, None).unwrap())
    }

    #[test]
    fn a_repository_is_one_family_whatever_its_case() {
        assert_eq!(of("/repos/Octocat/Hello-World/issues/7"), of("/repos/octocat/hello-world"));
        assert_ne!(of("/repos/octocat/a"), of("/repos/octocat/b"));
        assert_eq!(of("/repositories/1/issues"), of("/repositories/2"));
    }

    #[test]
    fn a_write_touches_its_repository_and_what_may_be_it_by_id() {
        let touched = |path| Family::touched_by("api.github.com", &Target::parse(path, None).unwrap());
        assert_eq!(touched("/repos/O/R/issues/7"), Touches::Families(vec![of("/repos/o/r"), of("/repositories/1")]));
        assert_eq!(touched("/repositories/1/issues"), Touches::Everything);
        assert_eq!(touched("/orgs/o/hooks"), Touches::Families(vec![of("/orgs/o")]));
    }

    #[test]
    fn only_a_document_without_the_word_is_surely_no_mutation() {
        assert_eq!(graphql_touches(br#"{"query":"{viewer{login}}"}"#), Touches::Families(vec![]));
        for body in [r#"{"query":"mutation {x}"}"#, r#"{"query":"\u006dutation {x}"}"#, "[{}]", "mutation", "{"] {
            assert_eq!(graphql_touches(body.as_bytes()), Touches::Everything, "{body}");
        }
    }
}
