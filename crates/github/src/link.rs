use crate::{Target, limits};

/// One reference of a `Link` header (RFC 8288), as GitHub writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// `https://host`, as it stands there.
    pub(crate) origin: &'a str,
    pub(crate) target: Target,
    /// The relation, such as `next`.
    pub(crate) rel: &'a str,
}

/// Reads a `Link` header. `None` if any of it is not of the form that GitHub writes: half a list of
/// pages would be taken for the whole.
pub(crate) fn parse(value: &str) -> Option<Vec<Link<'_>>> {
    let mut links = Vec::new();
    let mut rest = value.trim();
    if rest.len() > limits::LINK_BYTES_MAX {
        return None;
    }
    while !rest.is_empty() {
        if links.len() == limits::LINKS_MAX {
            return None;
        }
        let (url, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (parameters, after) = after.split_once(',').unwrap_or((after, ""));
        let rel = parameters.trim().strip_prefix(';')?.trim().strip_prefix("rel=\"")?.strip_suffix('"')?;
        if rel.is_empty() || !rel.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let (origin, target) = split(url)?;
        links.push(Link { origin, target, rel });
        rest = after.trim_start();
    }
    Some(links)
}

/// Splits an absolute URL into its origin and the target of the API, without the path under which
/// an Enterprise Server has its API.
pub(crate) fn split(url: &str) -> Option<(&str, Target)> {
    if url.len() > limits::LINK_BYTES_MAX {
        return None;
    }
    let scheme = if url.starts_with("https://") { 8 } else { url.starts_with("http://").then_some(7)? };
    let slash = scheme + url[scheme..].find('/')?;
    let (origin, rest) = url.split_at(slash);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if origin.len() == scheme || !origin.bytes().skip(scheme).all(is_plain) || rest.contains('#') {
        return None;
    }
    let rest = rest.strip_prefix("/api/v3").filter(|rest| rest.starts_with('/')).unwrap_or(rest);
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    Some((origin, Target::parse(path, query).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_github_is_read() {
        let value = "<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\", \
                     <https://ghe.example:8443/api/v3/repos/o/r/issues?page=9>; rel=\"last\"";
        let links = parse(value).unwrap();
        let seen: Vec<_> = links.iter().map(|link| (link.origin, link.target.text(), link.rel)).collect();
        assert_eq!(
            seen,
            [
                ("https://api.github.com", "/repositories/1/issues?page=2".to_owned(), "next"),
                ("https://ghe.example:8443", "/repos/o/r/issues?page=9".to_owned(), "last"),
            ]
        );
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_github_does_not_write_is_refused_whole() {
        let good = "<https://a/b?page=2>; rel=\"next\"";
        assert!(parse(good).is_some());
        let many = [good; 9].join(", ");
        let long = format!("<https://a/{}>; rel=\"next\"", "b".repeat(9000));
        for bad in [
            "<https://a/b>",
            "<https://a/b>; rel=next",
            "<https://a/b>; rel=\"next\"; title=\"x\"",
            "<https://a/b; rel=\"next\"",
            "<https://user@a/b>; rel=\"next\"",
            "<https:///b>; rel=\"next\"",
            "<https://a>; rel=\"next\"",
            "<ftp://a/b>; rel=\"next\"",
            "<https://a/../b>; rel=\"next\"",
            "<https://a/b#c>; rel=\"next\"",
            "<https://a/b>; rel=\"ne\txt\"",
            "<https://a/b>; rel=\"next\", junk",
            &many,
            &long,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
