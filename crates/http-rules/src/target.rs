/// Why a target is refused: it could mean one thing here and another one at the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// `.` or `..` in the path, as it is or encoded.
    DotSegment,
    /// Some servers take it for a slash.
    Backslash,
}

impl std::fmt::Display for BadTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DotSegment => "the path has a segment of dots",
            Self::Backslash => "the path has a backslash",
        })
    }
}

/// Returns the target under which a response is stored, and by which the origin is asked: path and query as
/// they came, since what two spellings mean is the origin's business. Only what no URL may hold as it is
/// (RFC 3986, §2) is encoded, as a URL parser on the way would do it.
///
/// # Errors
/// [`BadTarget`] for what such a parser would take for something else.
pub fn target(path_and_query: &str) -> Result<String, BadTarget> {
    let path = path_and_query.split('?').next().unwrap_or_default();
    if path_and_query.contains('\\') {
        return Err(BadTarget::Backslash);
    }
    let is_dots = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(is_dots) {
        return Err(BadTarget::DotSegment);
    }
    let mut target = String::with_capacity(path_and_query.len());
    for (at, byte) in path_and_query.bytes().enumerate() {
        let is_apostrophe_of_query = byte == b'\'' && at > path.len();
        if !byte.is_ascii_graphic() || b"\"<>`{}|^".contains(&byte) || is_apostrophe_of_query {
            target.push_str(&format!("%{byte:02X}"));
        } else {
            target.push(char::from(byte));
        }
    }
    Ok(target)
}

/// Returns the target that `reference`, found in a response to `base`, names. `None` if it is of another origin.
///
/// `origin` is scheme and authority, without a slash at the end. Dots are resolved (RFC 3986, §5.2).
pub fn same_origin_target(origin: &str, base: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    let below = |rest: &str| match rest.chars().next() {
        None => Some("/".to_owned()),
        Some('/') => Some(without_dots(rest)),
        Some('?') => Some(format!("/{rest}")),
        Some(_) => None,
    };
    let has_scheme = reference.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    if has_scheme {
        let is_ours = reference.get(..origin.len()).is_some_and(|start| start.eq_ignore_ascii_case(origin));
        return if is_ours { below(&reference[origin.len()..]) } else { None };
    }
    if let Some(rest) = reference.strip_prefix("//") {
        let (_, authority) = origin.split_once("://")?;
        let is_ours = rest.get(..authority.len()).is_some_and(|start| start.eq_ignore_ascii_case(authority));
        return if is_ours { below(&rest[authority.len()..]) } else { None };
    }
    let base_path = base.split('?').next().unwrap_or_default();
    Some(match reference.chars().next() {
        None => base.to_owned(),
        Some('/') => without_dots(reference),
        Some('?') => format!("{base_path}{reference}"),
        Some(_) => {
            let folder = base_path.rfind('/').map_or("/", |at| &base_path[..=at]);
            without_dots(&format!("{folder}{reference}"))
        }
    })
}

fn without_dots(target: &str) -> String {
    let (path, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
    let mut kept = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        match *segment {
            ".." => {
                kept.pop();
            }
            "." => {}
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_a_parser_would_rewrite_is_refused() {
        for (path, stored) in [
            ("/a/b?c=../d", "/a/b?c=../d"),
            ("/a..b/...?", "/a..b/...?"),
            ("/%7ea/'[b]?'{c}", "/%7ea/'[b]?%27%7Bc%7D"),
            ("/\u{e9}", "/%C3%A9"),
        ] {
            assert_eq!(target(path).as_deref(), Ok(stored), "{path}");
        }
        for (path, error) in [
            ("/a/../b", BadTarget::DotSegment),
            ("/.", BadTarget::DotSegment),
            ("/a/%2E%2e/b", BadTarget::DotSegment),
            ("/a\\b", BadTarget::Backslash),
        ] {
            assert_eq!(target(path), Err(error), "{path}");
        }
    }

    #[test]
    fn a_reference_is_resolved_within_its_origin() {
        let resolve = |reference| same_origin_target("http://o.example:80", "/a/b?c", reference);
        for (reference, target) in [
            ("", "/a/b?c"),
            ("d", "/a/d"),
            ("../d?e#f", "/d?e"),
            ("./", "/a/"),
            ("..", "/"),
            ("/d", "/d"),
            ("?x", "/a/b?x"),
            ("http://o.example:80/d", "/d"),
            ("HTTP://O.example:80", "/"),
            ("//o.example:80/d", "/d"),
        ] {
            assert_eq!(resolve(reference).as_deref(), Some(target), "{reference}");
        }
        for foreign in
            ["https://o.example:80/d", "http://o.example:8080/d", "//other/d", "http://o.example:80.x/d", "mailto:a"]
        {
            assert_eq!(resolve(foreign), None, "{foreign}");
        }
    }
}
