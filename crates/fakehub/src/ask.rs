use http::{HeaderMap, Method, header};
use serde_json::Value;

use crate::{
    answer::{Answer, Media},
    auth::Caller,
    page::Query,
};

/// The host that bodies name; replaced when a hub plays another.
pub(crate) const API: &str = "https://api.github.com";

/// A request as the routes see it: who, what, when.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a bytes::Bytes,
    pub(crate) caller: &'a Caller,
    /// Unix seconds.
    pub(crate) now: u64,
    pub(crate) api_url: &'a str,
    /// Where storage is, if not at GitHub's names for it.
    pub(crate) storage_url: Option<&'a str>,
    /// The version of the GHES that is played, if it is one.
    pub(crate) enterprise: Option<&'a str>,
}

impl Ask<'_> {
    pub(crate) fn is_read(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// A 200 with `value`, its URLs under the hub's own base.
    pub(crate) fn ok(&self, value: &Value) -> Answer {
        self.ok_raw(Answer::new(http::StatusCode::OK, value).body)
    }

    /// The same for what is JSON already.
    pub(crate) fn ok_raw(&self, json: bytes::Bytes) -> Answer {
        let mut answer = Answer::raw(http::StatusCode::OK, json);
        if self.api_url != API {
            let text = String::from_utf8(answer.body.to_vec()).expect("serialised JSON is UTF-8");
            answer.body = text.replace(&format!("\"{API}"), &format!("\"{}", self.api_url)).into();
        }
        answer
    }

    /// The request's body as a JSON object.
    ///
    /// # Errors
    /// GitHub's 400, ready to be sent.
    pub(crate) fn object(&self) -> Result<serde_json::Map<String, Value>, Answer> {
        serde_json::from_slice(self.body).map_err(|_| Answer::bad_json())
    }

    /// The same where an empty body is fine.
    pub(crate) fn optional_object(&self) -> Result<serde_json::Map<String, Value>, Answer> {
        if self.body.is_empty() { Ok(serde_json::Map::new()) } else { self.object() }
    }

    /// The page asked for and the items on one.
    pub(crate) fn page(&self) -> (usize, usize) {
        self.query.page()
    }

    pub(crate) fn accepts(&self, media_type: &str) -> bool {
        self.accept().contains(media_type)
    }

    /// The media type asked for, if it is not JSON.
    ///
    /// Written `application/vnd.github.diff`, `application/vnd.github.v3.diff` or with `+json` behind.
    pub(crate) fn media(&self) -> Option<Media> {
        let (_, rest) = self.accept().split_once("application/vnd.github.")?;
        let named = rest.split([',', ';', '+', ' ']).next()?;
        let param = named.strip_prefix("v3.").unwrap_or(named);
        Media::ALL.into_iter().find(|known| known.param() == param)
    }

    fn accept(&self) -> &str {
        self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
