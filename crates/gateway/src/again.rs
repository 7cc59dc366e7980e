use std::hash::{DefaultHasher, Hash, Hasher};

use http::{HeaderMap, HeaderValue, Method, Version, request::Parts};

use crate::{Memo, limits};

/// The headers of a connection's plain GETs and what they mean, to be recognised when they come again: a client
/// sends the same ones each time, whatever it asks for.
///
/// They are kept when they come twice in a row. They hold the client's credential, and end with the
/// client's connection.
pub(crate) struct Again<T> {
    /// A hash of the headers that came last.
    last: u64,
    known: Option<(HeaderMap, T)>,
}

impl<T: Send + 'static> Again<T> {
    /// What the headers of `head` mean, if they are the same as before, each byte of them.
    pub(crate) fn recall<'a>(memo: &'a mut Memo, head: &Parts) -> Option<&'a mut T> {
        let (headers, known) = memo.as_mut()?.downcast_mut::<Self>()?.known.as_mut()?;
        (is_plain(head) && is_same(headers, &head.headers)).then_some(known)
    }

    /// Notes the headers for the next time. `known` is asked what they mean with a copy of them: what is kept
    /// must not hold the connection's whole read buffer.
    pub(crate) fn note(memo: &mut Memo, head: &Parts, known: impl FnOnce(&HeaderMap) -> T) {
        let bytes = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        if !is_plain(head) || bytes > limits::MEMO_BYTES_MAX {
            return;
        }
        let mut hasher = DefaultHasher::new();
        head.headers.values().for_each(|value| value.as_bytes().hash(&mut hasher));
        let last = hasher.finish();
        let came_before = memo.as_ref().and_then(|memo| memo.downcast_ref::<Self>()).is_some_and(|it| it.last == last);
        if !came_before {
            *memo = Some(Box::new(Self { last, known: None }));
            return;
        }
        let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let headers = head.headers.iter().map(|(name, value)| Some((name.clone(), copied(value)?)));
        let Some(headers) = headers.collect::<Option<HeaderMap>>() else { return };
        let known = known(&headers);
        *memo = Some(Box::new(Self { last, known: Some((headers, known)) }));
    }
}

/// Whether it is a GET like nearly all, and its target short enough to be kept.
fn is_plain(head: &Parts) -> bool {
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && head.uri.authority().is_none()
        && head.uri.path_and_query().is_some_and(|target| target.as_str().len() <= limits::MEMO_BYTES_MAX)
}

fn is_same(known: &HeaderMap, headers: &HeaderMap) -> bool {
    known.len() == headers.len() && known.iter().zip(headers).all(|(known, header)| known == header)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn recalled(memo: &mut Memo, head: &Parts) -> Option<usize> {
        Again::<usize>::recall(memo, head).copied()
    }

    #[test]
    fn headers_that_come_twice_are_known_the_third_time_and_no_others_are() {
        let (mut memo, host, token) = (None, ("host", "localhost"), ("authorization", "token a"));
        let first = head("GET", "/repos/o/r?page=2", &[host, token]);
        Again::note(&mut memo, &first, HeaderMap::len);
        assert_eq!(recalled(&mut memo, &first), None, "once");
        let second = head("GET", "/repos/o/s", &[host, token]);
        Again::note(&mut memo, &second, HeaderMap::len);
        for known in [&first, &second, &head("GET", "/user", &[host, token])] {
            assert_eq!(recalled(&mut memo, known), Some(2));
        }

        for other in [
            head("HEAD", "/repos/o/r", &[host, token]),
            head("GET", "/repos/o/r", &[host, ("authorization", "token b")]),
            head("GET", "/repos/o/r", &[host]),
            head("GET", "/repos/o/r", &[host, token, ("cache-control", "no-cache")]),
            head("GET", "/repos/o/r", &[host, token, token]),
            head("GET", "http://localhost/repos/o/r", &[host, token]),
            head("GET", &format!("/{}", "x".repeat(limits::MEMO_BYTES_MAX)), &[host, token]),
        ] {
            assert_eq!(recalled(&mut memo, &other), None, "{other:?}");
        }
        Again::note(&mut memo, &head("GET", "/", &[host, ("authorization", "token b")]), HeaderMap::len);
        assert_eq!(recalled(&mut memo, &first), None, "others came between");
    }

    #[test]
    fn a_large_head_is_not_kept() {
        let (mut memo, value) = (None, "x".repeat(limits::MEMO_BYTES_MAX));
        let large = head("GET", "/repos/o/r", &[("host", "localhost"), ("user-agent", &value)]);
        Again::note(&mut memo, &large, HeaderMap::len);
        Again::note(&mut memo, &large, HeaderMap::len);
        assert_eq!(recalled(&mut memo, &large), None);
    }
}
