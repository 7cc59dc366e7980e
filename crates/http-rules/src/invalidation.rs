use http::{HeaderMap, Method, StatusCode, header};

use crate::{headers::is_unsafe, target::same_origin_target};

/// Returns the targets whose stored responses end with this answer: the request's own, and those that
/// `Location` and `Content-Location` name on the same origin. None after a safe method or an error.
///
/// # Source
/// RFC 9111, §4.4.
pub fn invalidated(
    method: &Method,
    origin: &str,
    target: &str,
    status: StatusCode,
    response: &HeaderMap,
) -> Vec<String> {
    if !is_unsafe(method) || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let named = [header::LOCATION, header::CONTENT_LOCATION]
        .into_iter()
        .filter_map(|name| response.get(name)?.to_str().ok())
        .filter_map(|reference| same_origin_target(origin, target, reference));
    std::iter::once(target.to_owned()).chain(named).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_write_that_took_effect_ends_what_it_names() {
        let mut response = HeaderMap::new();
        response.insert(header::LOCATION, HeaderValue::from_static("c"));
        response.insert(header::CONTENT_LOCATION, HeaderValue::from_static("https://else.example/d"));
        let after = |method, status: u16| {
            invalidated(&method, "http://o.example", "/a/b", StatusCode::from_u16(status).unwrap(), &response)
        };
        assert_eq!(after(Method::POST, 201), ["/a/b", "/a/c"]);
        assert_eq!(after(Method::from_bytes(b"M-SEARCH").unwrap(), 302), ["/a/b", "/a/c"]);
        assert_eq!(after(Method::DELETE, 500), [""; 0]);
        assert_eq!(after(Method::GET, 200), [""; 0]);
    }
}
