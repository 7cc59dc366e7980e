use std::hash::{DefaultHasher, Hash, Hasher};

use github::{Ask, Plan};
use http::{HeaderMap, HeaderValue, Method, Version, request::Parts};

use crate::{Memo, limits};

/// The last question of a connection, to be recognised when it is asked again: who polls sends the same
/// head each time, and neither its meaning nor its key changes.
///
/// It is kept when a target comes twice in a row. It holds the client's credential, and ends with the
/// client's connection.
pub(crate) struct Again<P> {
    /// A hash of the target that came last.
    last: u64,
    known: Option<Known<P>>,
}

/// A head, and what it means.
pub(crate) struct Known<P> {
    target: String,
    headers: HeaderMap,
    pub(crate) ask: Box<Ask>,
    /// What the door knows of it.
    pub(crate) place: P,
}

impl<P: Send + 'static> Again<P> {
    /// What `head` means, if it is the same as before, each byte of it.
    pub(crate) fn recall<'a>(memo: &'a Memo, head: &Parts) -> Option<&'a Known<P>> {
        let known = memo.as_ref()?.downcast_ref::<Self>()?.known.as_ref()?;
        (target(head) == Some(known.target.as_str()) && is_same(&known.headers, &head.headers)).then_some(known)
    }

    /// Notes a head for the next time. `plan` is asked once more, with headers that are a copy: what is kept
    /// must not hold the connection's whole read buffer.
    pub(crate) fn note(memo: &mut Memo, head: &Parts, place: P, plan: impl FnOnce(&HeaderMap) -> Plan) {
        let Some(target) = target(head) else { return };
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        let last = hasher.finish();
        let again = memo.as_mut().and_then(|memo| memo.downcast_mut::<Self>());
        let came_before = again.is_some_and(|again| std::mem::replace(&mut again.last, last) == last);
        if memo.is_none() {
            *memo = Some(Box::new(Self { last, known: None }));
        }
        let bytes =
            target.len() + head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        if !came_before || bytes > limits::MEMO_BYTES_MAX {
            return;
        }
        let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let headers = head.headers.iter().map(|(name, value)| Some((name.clone(), copied(value)?)));
        let Some(headers) = headers.collect::<Option<HeaderMap>>() else { return };
        if let Plan::Cache(ask) = plan(&headers) {
            let known = Some(Known { target: target.to_owned(), headers, ask, place });
            *memo = Some(Box::new(Self { last, known }));
        }
    }
}

/// The target of a plain GET; others are not kept.
fn target(head: &Parts) -> Option<&str> {
    let is_plain = head.method == Method::GET && head.version == Version::HTTP_11 && head.uri.authority().is_none();
    is_plain.then(|| head.uri.path_and_query().map(http::uri::PathAndQuery::as_str))?
}

fn is_same(known: &HeaderMap, headers: &HeaderMap) -> bool {
    known.len() == headers.len() && known.iter().zip(headers).all(|(known, header)| known == header)
}

#[cfg(test)]
mod tests {
    use github::{API_HOST, Target};
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn note(memo: &mut Memo, head: &Parts) {
        let target = Target::parse(head.uri.path(), head.uri.query()).unwrap();
        Again::note(memo, head, 7, |headers| github::plan(&head.method, API_HOST, target, headers, false));
    }

    fn recalls(memo: &Memo, head: &Parts) -> bool {
        Again::<i32>::recall(memo, head).is_some()
    }

    #[test]
    fn what_comes_twice_is_known_the_third_time_and_nothing_else_is() {
        let (mut memo, token) = (None, ("authorization", "token a"));
        let first = head("GET", "/repos/o/r?page=2", &[("host", "localhost"), token]);
        note(&mut memo, &first);
        assert!(!recalls(&memo, &first), "once");
        note(&mut memo, &first);
        let known = Again::<i32>::recall(&memo, &first).unwrap();
        assert_eq!((known.place, known.ask.target.text().as_str()), (7, "/repos/o/r?page=2"));

        let host = ("host", "localhost");
        for other in [
            head("GET", "/repos/o/r?page=3", &[host, token]),
            head("GET", "/repos/o/r", &[host, token]),
            head("HEAD", "/repos/o/r?page=2", &[host, token]),
            head("GET", "/repos/o/r?page=2", &[host, ("authorization", "token b")]),
            head("GET", "/repos/o/r?page=2", &[host]),
            head("GET", "/repos/o/r?page=2", &[host, token, ("cache-control", "no-cache")]),
            head("GET", "/repos/o/r?page=2", &[host, token, token]),
            head("GET", "http://localhost/repos/o/r?page=2", &[host, token]),
        ] {
            assert!(!recalls(&memo, &other), "{other:?}");
        }
        note(&mut memo, &head("GET", "/repos/o/s", &[host, token]));
        assert!(recalls(&memo, &first), "one question in between is not enough");
    }

    #[test]
    fn a_large_head_is_not_kept() {
        let (mut memo, value) = (None, "x".repeat(limits::MEMO_BYTES_MAX));
        let large = head("GET", "/repos/o/r", &[("host", "localhost"), ("user-agent", &value)]);
        note(&mut memo, &large);
        note(&mut memo, &large);
        assert!(!recalls(&memo, &large));
    }
}
