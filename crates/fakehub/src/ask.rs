use http::Method;
use serde_json::Value;

use crate::{answer::Answer, auth::Caller, page::Query};

/// The host that bodies name; replaced when a hub plays another.
pub(crate) const API: &str = "https://api.github.com";

/// A request as the routes see it: who, what, when.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) body: &'a [u8],
    pub(crate) caller: &'a Caller,
    /// Unix seconds.
    pub(crate) now: u64,
    pub(crate) api_url: &'a str,
}

impl Ask<'_> {
    pub(crate) fn is_read(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// A 200 with `value`, its URLs under the hub's own base.
    pub(crate) fn ok(&self, value: &Value) -> Answer {
        let mut answer = Answer::new(http::StatusCode::OK, value);
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
}
