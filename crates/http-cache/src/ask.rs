use std::time::SystemTime;

use gateway::Refusal;
use http::{HeaderMap, Method, request::Parts};
use http_rules::{Exchange, Wishes, target};

/// A client's request, as the cache sees it.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Path and query at the origin.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) wishes: Wishes,
}

impl Ask {
    /// `prefix` is the path of the origin's base URL.
    ///
    /// # Errors
    /// [`Refusal`] if the target could mean two things.
    pub(crate) fn new(prefix: &str, head: Parts) -> Result<Self, Refusal> {
        let path_and_query = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let path_and_query = target(path_and_query)
            .map_err(|error| Refusal::bad_request(error.to_string(), "send the plain path of the resource"))?;
        let wishes = Wishes::of(&head.headers);
        Ok(Self { method: head.method, target: format!("{prefix}{path_and_query}"), headers: head.headers, wishes })
    }

    /// What the rules need to know of an exchange that answers this.
    pub(crate) fn exchange<'a>(&'a self, method: &'a Method, asked: SystemTime, answered: SystemTime) -> Exchange<'a> {
        Exchange { method, target: &self.target, request: &self.headers, asked, answered }
    }
}
