use bytes::Bytes;
use futures::{StreamExt, future::ready, stream};
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::{Base, Body, unpack::unpack};

/// How the names of members that hold a URL of the API end: `url`, `issues_url`, `_links.self.href`.
/// Any other text that begins with such a URL was written by a person, and stays.
const NAMES: [&[u8]; 2] = [b"url\"", b"href\""];
const NAME_BYTES_MAX: usize = 5;

/// What can stand behind the base of a URL, its end included.
const BOUNDARIES: &[u8] = b"/?#{\"";

/// Points the URLs of a JSON body at the base by which the client came, where that is wanted.
///
/// An Enterprise Server names itself in what it says, and PyGithub goes on by such a URL only if it
/// is below its own base. What is not GitHub's JSON passes through as it is.
pub(crate) fn rename_body(response: Response<Body>, base: &Base) -> Response<Body> {
    if !base.in_bodies || response.status() == StatusCode::PARTIAL_CONTENT || !may_rename(response.headers()) {
        return response;
    }
    let response = unpack(response);
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let mut renamer = Renamer::new(base);
    let chunks = body.into_data_stream().map(Some).chain(stream::once(ready(None)));
    let renamed = chunks.map(move |chunk| match chunk {
        Some(chunk) => Ok(Frame::data(renamer.push(&chunk?, false))),
        None => Ok(Frame::data(renamer.push(b"", true))),
    });
    Response::from_parts(head, Body::streamed(StreamBody::new(renamed)))
}

/// The same for a body that is there as a whole; `None` if it stays as it is.
pub(crate) fn rename(headers: &HeaderMap, plain: &[u8], base: &Base) -> Option<Bytes> {
    (base.in_bodies && may_rename(headers)).then(|| Renamer::new(base).push(plain, true))
}

/// Plain JSON only: a file that is asked for raw has another type, and is nobody's to change.
fn may_rename(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json"))
}

/// Renames in pieces: it holds back no more than a URL's beginning.
struct Renamer {
    base: Base,
    window: Vec<u8>,
    /// How much of the window was passed on; it is there to be looked back at.
    passed: usize,
}

impl Renamer {
    fn new(base: &Base) -> Self {
        Self { base: base.clone(), window: Vec::new(), passed: 0 }
    }

    /// Takes more of the body, and returns what is ready of it: at the end, all.
    fn push(&mut self, more: &[u8], is_last: bool) -> Bytes {
        self.window.extend_from_slice(more);
        // A colon, a space, a quote, a base and its boundary.
        let reach = 4 + self.base.origins.iter().map(String::len).max().unwrap_or(0);
        let ready = if is_last { self.window.len() } else { self.window.len().saturating_sub(reach) };
        let (mut out, mut at) = (Vec::with_capacity(self.window.len()), self.passed);
        for colon in self.passed..ready {
            if let Some((start, end)) = self.base_after(colon) {
                out.extend_from_slice(&self.window[at..start]);
                out.extend_from_slice(self.base.client.as_bytes());
                at = end;
            }
        }
        let ready = ready.max(at);
        out.extend_from_slice(&self.window[at..ready]);
        let dropped = ready.saturating_sub(NAME_BYTES_MAX);
        self.window.drain(..dropped);
        self.passed = ready - dropped;
        out.into()
    }

    /// Where a base of the origin is, if it is the beginning of the value behind this colon. A quote
    /// inside of a string is escaped, so no text can look like a member.
    fn base_after(&self, colon: usize) -> Option<(usize, usize)> {
        if self.window[colon] != b':' || !NAMES.iter().any(|name| self.window[..colon].ends_with(name)) {
            return None;
        }
        let value = &self.window[colon + 1..];
        let text = value.strip_prefix(b" ").unwrap_or(value).strip_prefix(b"\"")?;
        let start = self.window.len() - text.len();
        let is_there = |origin: &&String| {
            text.strip_prefix(origin.as_bytes())
                .is_some_and(|rest| rest.first().is_some_and(|next| BOUNDARIES.contains(next)))
        };
        let origin = self.base.origins.iter().find(is_there)?;
        Some((start, start + origin.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        let origins = ["http://ghes/api/v3", "https://api.github.com"].map(str::to_owned).to_vec();
        Base { client: "http://127.0.0.1:9120/api/v3".to_owned(), origins, in_bodies: true }
    }

    const BODY: &str = concat!(
        r#"{"url":"https://api.github.com/repos/o/r","issues_url": "http://ghes/api/v3/issues{/number}","#,
        r#""root_url":"https://api.github.com","html_url":"https://github.com/o/r","#,
        r#""a_url":"https://api.github.com.example.org/","b_url":null,"#,
        r#""_links":{"self":{"href":"https://api.github.com/x"}},"#,
        r#""title":"https://api.github.com/written","body":"\"url\":\"https://api.github.com/written\""}"#,
    );

    const RENAMED: &str = concat!(
        r#"{"url":"http://127.0.0.1:9120/api/v3/repos/o/r","#,
        r#""issues_url": "http://127.0.0.1:9120/api/v3/issues{/number}","#,
        r#""root_url":"http://127.0.0.1:9120/api/v3","html_url":"https://github.com/o/r","#,
        r#""a_url":"https://api.github.com.example.org/","b_url":null,"#,
        r#""_links":{"self":{"href":"http://127.0.0.1:9120/api/v3/x"}},"#,
        r#""title":"https://api.github.com/written","body":"\"url\":\"https://api.github.com/written\""}"#,
    );

    #[test]
    fn members_that_are_urls_of_the_api_are_renamed_and_no_text_is() {
        assert_eq!(Renamer::new(&base()).push(BODY.as_bytes(), true), RENAMED);
    }

    #[test]
    fn pieces_of_any_size_are_renamed_as_the_whole_is() {
        for size in 1..=BODY.len() {
            let mut renamer = Renamer::new(&base());
            let mut out: Vec<u8> = BODY.as_bytes().chunks(size).flat_map(|piece| renamer.push(piece, false)).collect();
            out.extend(renamer.push(b"", true));
            assert_eq!(String::from_utf8(out).unwrap(), RENAMED, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn raw_files_are_left_alone() {
        let typed = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            rename(&headers, BODY.as_bytes(), &base())
        };
        assert!(typed("application/json; charset=utf-8").is_some());
        assert!(typed("application/vnd.github.raw+json; charset=utf-8").is_none() && typed("text/html").is_none());
    }
}
