use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::Base;

/// Headers that belong to one connection (RFC 9110, §7.6.1), and end with it.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Returns what of a message's headers goes on to the next hop.
pub fn relay_head(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let stays = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str()) || named.contains(name);
    headers.iter().filter(|(name, _)| !stays(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Points `Link` and `Location` at the base by which the client came, so that it comes back.
///
/// The names are configured, never taken from the client's `Host`.
pub(crate) fn rebase(headers: &mut HeaderMap, base: &Base) {
    for name in [header::LINK, header::LOCATION] {
        let values: Vec<&str> = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok()).collect();
        if values.is_empty() {
            continue;
        }
        let mut text = values.join(", ");
        for from in &base.origins {
            if from != &base.client {
                text = replace_base(&text, from, &base.client);
            }
        }
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}

/// Replaces `from` where a URL begins with it: `https://api.github.com` but neither
/// `https://api.github.com.example.org` nor what stands in another URL's query.
fn replace_base(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, found) = rest.split_at(at);
        let after = &found[from.len()..];
        out.push_str(before);
        let begins = out.is_empty() || out.ends_with('<');
        let ends = after.is_empty() || after.starts_with(['/', '?', '>', '#']);
        out.push_str(if begins && ends { to } else { from });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_base_is_replaced() {
        let text = "<https://api.github.com/repositories/1?page=2>; rel=\"next\", <https://api.github.com.evil/x>";
        let expected = "<http://127.0.0.1:9120/repositories/1?page=2>; rel=\"next\", <https://api.github.com.evil/x>";
        let to_door = |text: &str| replace_base(text, "https://api.github.com", "http://127.0.0.1:9120");
        assert_eq!(to_door(text), expected);
        for (location, expected) in [
            ("https://api.github.com", "http://127.0.0.1:9120"),
            (
                "https://api.github.com/a?to=https://api.github.com/b",
                "http://127.0.0.1:9120/a?to=https://api.github.com/b",
            ),
            (
                "https://github.com/login?return_to=https://api.github.com/",
                "https://github.com/login?return_to=https://api.github.com/",
            ),
        ] {
            assert_eq!(to_door(location), expected);
        }
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("connection", "close, x-mine"), ("x-mine", "1"), ("te", "trailers"), ("accept", "a/b")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let relayed = relay_head(&headers);
        assert_eq!(relayed.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
