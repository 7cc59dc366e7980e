use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

const DOCS: &str = "https://docs.github.com/rest";

/// What an answer says about keeping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// `ETag`, and `max-age` of so many seconds.
    Tagged(u32),
    /// `no-cache` and no `ETag`: searches and `/rate_limit`.
    NoCache,
    /// Nothing at all: refusals, redirects, alerts, GraphQL.
    Silent,
}

/// What kind of body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    /// A page, or the empty body of a redirect.
    Html,
    Media(Media),
}

/// GitHub's media types besides JSON, by the `param` that asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Raw,
    Html,
    Diff,
    Patch,
    Sha,
}

impl Media {
    pub(crate) const ALL: [Self; 5] = [Self::Raw, Self::Html, Self::Diff, Self::Patch, Self::Sha];

    pub(crate) fn param(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Html => "html",
            Self::Diff => "diff",
            Self::Patch => "patch",
            Self::Sha => "sha",
        }
    }
}

/// What a route found, before it is dressed as GitHub's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// What the ETag is made of: for JSON, its compact form.
    pub(crate) body: Bytes,
    pub(crate) content: Content,
    pub(crate) caching: Caching,
    /// Not on a 304, whatever the 200 had.
    pub(crate) link: Option<Box<str>>,
    /// Unix seconds.
    pub(crate) last_modified: Option<u64>,
    /// More of them, on a 304 too.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// A write of the REST API or a mutation.
    pub(crate) mutation: bool,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, value: &Value) -> Self {
        Self::raw(status, serde_json::to_vec(value).expect("a JSON value serialises").into())
    }

    pub(crate) fn raw(status: StatusCode, body: Bytes) -> Self {
        Self {
            status,
            body,
            content: Content::Json,
            caching: Caching::Tagged(60),
            link: None,
            last_modified: None,
            headers: Vec::new(),
            mutation: false,
        }
    }

    pub(crate) fn media(media: Media, body: impl Into<Bytes>) -> Self {
        Self { content: Content::Media(media), ..Self::raw(StatusCode::OK, body.into()) }
    }

    /// 204, or a redirect's empty page.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { content: Content::Html, ..Self::raw(status, Bytes::new()).untagged() }
    }

    /// 302 to `url`, as for everything that lies on a storage host.
    pub(crate) fn found(url: String) -> Self {
        Self::empty(StatusCode::FOUND).with_header("location", url)
    }

    pub(crate) fn error(status: StatusCode, message: &str, documentation_url: &str) -> Self {
        let body = json!({ "message": message, "documentation_url": documentation_url, "status": status.as_str() });
        Self::new(status, &body).untagged()
    }

    pub(crate) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found", DOCS)
    }

    pub(crate) fn bad_credentials() -> Self {
        Self::error(StatusCode::UNAUTHORIZED, "Bad credentials", DOCS)
    }

    pub(crate) fn requires_authentication() -> Self {
        Self::error(StatusCode::UNAUTHORIZED, "Requires authentication", DOCS)
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::error(StatusCode::FORBIDDEN, message, DOCS)
    }

    pub(crate) fn unprocessable(message: &str) -> Self {
        Self::error(StatusCode::UNPROCESSABLE_ENTITY, message, DOCS)
    }

    /// 422 about a field that is missing or wrong.
    pub(crate) fn invalid(resource: &str, field: &str) -> Self {
        let body = json!({
            "message": "Validation Failed",
            "errors": [{ "resource": resource, "field": field, "code": "missing_field" }],
            "documentation_url": DOCS,
            "status": "422",
        });
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, &body).untagged()
    }

    pub(crate) fn denied() -> Self {
        Self::forbidden("Must have admin rights to Repository.")
    }

    pub(crate) fn bad_json() -> Self {
        Self::error(StatusCode::BAD_REQUEST, "Problems parsing JSON", DOCS)
    }

    /// GitHub's answer to an empty budget; `who` is a user's id or the address of nobody.
    pub(crate) fn limited(user_id: Option<u64>, request_id: &str) -> Self {
        let message = match user_id {
            Some(id) => format!(
                "API rate limit exceeded for user ID {id}. If you reach out to GitHub Support for help, please \
                 include the request ID {request_id}."
            ),
            None => "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated requests get a \
                     higher rate limit. Check out the documentation for more details.)"
                .to_owned(),
        };
        let url = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api";
        Self::error(StatusCode::FORBIDDEN, &message, url)
    }

    #[must_use]
    pub(crate) fn untagged(mut self) -> Self {
        self.caching = Caching::Silent;
        self
    }

    #[must_use]
    pub(crate) fn with_caching(mut self, caching: Caching) -> Self {
        self.caching = caching;
        self
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn modified_at(mut self, at: Option<u64>) -> Self {
        self.last_modified = at;
        self
    }
}
