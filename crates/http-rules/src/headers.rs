use http::{HeaderMap, HeaderName, Method, header};

use crate::directives::members;

/// Fields of one connection (RFC 9110, §7.6.1), and those of a proxy's own login (RFC 9111, §3.1).
const OF_ONE_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Returns what of a message's fields goes on to the next hop, and may be stored: without those that belong
/// to one connection, by name or because `Connection` lists them.
pub fn forwardable(headers: &HeaderMap) -> HeaderMap {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(members)
        .filter_map(|name| name.parse().ok())
        .collect();
    let stays = |name: &HeaderName| OF_ONE_HOP.contains(&name.as_str()) || listed.contains(name);
    headers.iter().filter(|(name, _)| !stays(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether a method may change something (RFC 9110, §9.2.1). One that nobody knows may.
pub fn is_unsafe(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Mine"), ("x-mine", "1"), ("proxy-authentication-info", "a"), ("x-all", "2")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(forwardable(&headers).keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-all"]);
    }
}
