use http::{HeaderMap, HeaderName, header};

use crate::directives::members;

/// The request fields that a response was chosen by, in a form in which equal meaning is equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selecting(Vec<(HeaderName, Option<Vec<u8>>)>);

/// Lists whose members have no order and no case (RFC 9110, §12.5): only their weights rank them.
const UNORDERED: [HeaderName; 3] = [header::ACCEPT_LANGUAGE, header::ACCEPT_ENCODING, header::ACCEPT_CHARSET];

/// Fields that are no lists: a comma in them is a comma.
const NO_LISTS: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
];

impl Selecting {
    /// `None` if the response was chosen by something else than the request's fields (`Vary: *`, or a name
    /// that is none).
    pub(crate) fn new(response: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let mut names = Vec::new();
        for line in response.get_all(header::VARY) {
            for name in members(line.to_str().ok()?) {
                names.push(name.parse::<HeaderName>().ok().filter(|name| name != "*")?);
            }
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Some(Self(
            names.into_iter().map(|name| (normal(&name, request), name)).map(|(value, name)| (name, value)).collect(),
        ))
    }

    /// Whether `request` would have been given the same response (RFC 9111, §4.1).
    pub(crate) fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| normal(name, request) == *value)
    }
}

/// Returns the field's value, lines combined. `None` if it is absent, which differs from being empty.
///
/// Space around the commas of a list means nothing; so it goes, unless the field is known to be no list.
fn normal(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = request.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return None;
    }
    let joined = lines.join(&b", "[..]);
    let Ok(text) = std::str::from_utf8(&joined) else { return Some(joined) };
    if NO_LISTS.contains(name) {
        return Some(text.trim().as_bytes().to_vec());
    }
    let members: Vec<&str> = members(text).collect();
    let weighed =
        UNORDERED.contains(name).then(|| members.iter().map(|member| weigh(member)).collect::<Option<Vec<_>>>());
    if let Some(Some(mut weighed)) = weighed {
        weighed.sort();
        let told: Vec<String> = weighed.iter().map(|(name, weight)| format!("{name};q={weight}")).collect();
        return Some(told.join(",").into_bytes());
    }
    Some(members.join(",").into_bytes())
}

/// `de;q=0.5` as (`de`, 500): a weight has three digits at most (RFC 9110, §12.4.2).
fn weigh(member: &str) -> Option<(String, u16)> {
    let (name, weight) = member.split_once(';').map_or((member, None), |(name, weight)| (name, Some(weight)));
    let weight = match weight {
        None => 1000,
        Some(weight) => {
            let (q, value) = weight.trim().split_once('=')?;
            let (whole, part) = value.split_once('.').unwrap_or((value, ""));
            let is_digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
            if !q.eq_ignore_ascii_case("q") || !is_digits {
                return None;
            }
            let thousandths = format!("{part:0<3}").parse::<u16>().ok()?;
            match whole {
                "0" => thousandths,
                "1" if thousandths == 0 => 1000,
                _ => return None,
            }
        }
    };
    Some((name.trim().to_ascii_lowercase(), weight))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn same(vary: &str, one: &[(&'static str, &str)], other: &[(&'static str, &str)]) -> bool {
        let selecting = Selecting::new(&headers(&[("vary", vary)]), &headers(one)).unwrap();
        selecting.matches(&headers(other))
    }

    #[test]
    fn equal_meaning_matches_and_nothing_else() {
        let foo = |value| [("foo", value)];
        assert!(same("Foo", &foo("1,2"), &foo(" 1 ,  2")));
        assert!(same("Foo", &foo("1, 2"), &[("foo", "1"), ("foo", "2")]));
        assert!(same("Foo, Bar", &foo("1"), &[("foo", "1"), ("other", "2")]));
        assert!(!same("Foo", &foo("1"), &foo("2")));
        assert!(!same("Foo", &foo("1,2"), &foo("2,1")));
        assert!(!same("Foo", &foo("a"), &foo("A")));
        assert!(!same("Foo", &foo("\"a, b\""), &foo("\"a,b\"")));
        assert!(!same("Foo", &foo("1"), &[]));
        assert!(!same("Foo", &[], &foo("")));
        assert!(!same("Foo, Bar", &foo("1"), &[("foo", "1"), ("bar", "")]));
        assert!(!same("user-agent", &[("user-agent", "a, b")], &[("user-agent", "a,b")]));
    }

    #[test]
    fn languages_have_weights_and_no_order() {
        let lang = |value| [("accept-language", value)];
        assert!(same("Accept-Language", &lang("en, de"), &lang("De,EN ")));
        assert!(same("Accept-Language", &lang("en;q=0.50, de;q=1"), &lang("de, en ; q=0.5")));
        assert!(!same("Accept-Language", &lang("en;q=0.5, de"), &lang("en, de")));
        assert!(!same("Accept-Language", &lang("en;x=1"), &lang("en")));
    }

    #[test]
    fn a_star_anywhere_matches_nothing() {
        for vary in ["*", "*, *", ", *", "Foo, *", "a b"] {
            assert_eq!(Selecting::new(&headers(&[("vary", vary)]), &headers(&[])), None, "{vary}");
        }
        assert_eq!(Selecting::new(&headers(&[("vary", ""), ("vary", "*")]), &headers(&[])), None);
    }

    proptest! {
        #[test]
        fn every_request_matches_what_it_selected(name in "(foo|cookie|accept-language)", value in "[ -~]{0,40}") {
            let name: &'static str = ["foo", "cookie", "accept-language"].into_iter().find(|n| *n == name).unwrap();
            prop_assert!(same(name, &[(name, &value)], &[(name, &value)]));
        }
    }
}
