use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{Body, full};

/// An answer of ghoard's own: what failed, and what to try. In the form that GitHub's clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
    pub hint: &'static str,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>, hint: &'static str) -> Self {
        Self { status, message: message.into(), hint }
    }

    pub fn bad_request(message: impl Into<String>, hint: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, hint)
    }

    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(full(self.text()));
        *response.status_mut() = self.status;
        *response.headers_mut() = Self::headers();
        response
    }

    /// The body, in JSON.
    pub fn text(&self) -> String {
        serde_json::json!({ "message": format!("ghoard: {}", self.message), "hint": self.hint }).to_string()
    }

    pub fn headers() -> HeaderMap {
        let pairs = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (HeaderName::from_static("cache-status"), HeaderValue::from_static("ghoard; detail=refused")),
        ];
        pairs.into_iter().collect()
    }
}
