use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName};

/// A number too large to hold counts as this (RFC 9111, §1.2.2): about 68 years.
const SECONDS_MAX: u64 = 1 << 31;

/// The directives of `Cache-Control`, or of another field with its syntax.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives(BTreeMap<String, Vec<Argument>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    None,
    Text(String),
    /// No token and no quoted string.
    Malformed,
}

/// Which header fields a directive is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    None,
    Named(Vec<HeaderName>),
    /// The whole response.
    All,
}

impl Directives {
    /// All lines of the field `name`, as one list. Directives that nobody knows are kept, and harm nobody.
    pub fn parse(headers: &HeaderMap, name: &str) -> Self {
        let mut directives = Self::default();
        for line in headers.get_all(name) {
            for member in members(&String::from_utf8_lossy(line.as_bytes())) {
                directives.add(member);
            }
        }
        directives
    }

    pub(crate) fn add(&mut self, member: &str) {
        let (name, argument) = match member.split_once('=') {
            None => (member, Argument::None),
            Some((name, argument)) => (name, parse_argument(name, argument)),
        };
        self.0.entry(name.trim().to_ascii_lowercase()).or_default().push(argument);
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the directive's seconds; `None` if it is not there.
    ///
    /// What is no whole number counts as 0, and of several numbers the smallest counts: RFC 9111, §4.2.1
    /// asks for the first or for none, and a response may always be taken for stale.
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds = self.0.get(name)?.iter().map(|argument| match argument {
            Argument::Text(text) => delta_seconds(text).unwrap_or(0),
            Argument::None | Argument::Malformed => 0,
        });
        seconds.min().map(Duration::from_secs)
    }

    /// Whether the directive is there without an argument, which for `max-stale` means any age.
    pub fn is_bare(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|arguments| arguments.contains(&Argument::None))
    }

    /// Returns the fields that `no-cache` or `private` is about.
    ///
    /// The form without fields wins, and so does a list that cannot be read: both are the stricter reading.
    pub fn fields(&self, name: &str) -> Fields {
        let Some(arguments) = self.0.get(name) else { return Fields::None };
        let mut named = Vec::new();
        for argument in arguments {
            let Argument::Text(text) = argument else { return Fields::All };
            for field in text.split(',').map(str::trim).filter(|field| !field.is_empty()) {
                match field.parse() {
                    Ok(field) => named.push(field),
                    Err(_) => return Fields::All,
                }
            }
        }
        if named.is_empty() { Fields::All } else { Fields::Named(named) }
    }
}

/// Returns the number if it is one without sign, point or unit.
pub(crate) fn delta_seconds(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().map_or(SECONDS_MAX, |seconds: u64| seconds.min(SECONDS_MAX)))
}

/// Splits a list at its commas, but not at those within quoted strings. Empty members are left out.
pub(crate) fn members(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let at_comma = move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => escaped = true,
            _ => {}
        }
        c == ',' && !quoted
    };
    text.split(at_comma).map(str::trim).filter(|member| !member.is_empty())
}

/// RFC 9111, §5.2 has no space around the `=`; a directive with one is there, and says nothing.
fn parse_argument(name: &str, argument: &str) -> Argument {
    if name.ends_with([' ', '\t']) || argument.starts_with([' ', '\t']) {
        return Argument::Malformed;
    }
    if let Some(rest) = argument.strip_prefix('"') {
        let Some(inner) = rest.strip_suffix('"') else { return Argument::Malformed };
        return Argument::Text(inner.replace('\\', ""));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(is_token) {
        Argument::Text(argument.to_owned())
    } else {
        Argument::Malformed
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn parse(lines: &[&str]) -> Directives {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("cache-control", HeaderValue::from_str(line).unwrap());
        }
        Directives::parse(&headers, "cache-control")
    }

    #[test]
    fn seconds_are_whole_and_bounded() {
        let cases: [(&[&str], u64); 14] = [
            (&["max-age=60"], 60),
            (&["MaX-aGe=60, foo"], 60),
            (&["max-age=\"60\""], 60),
            (&["max-age=0060"], 60),
            (&["max-age=99999999999"], SECONDS_MAX),
            (&["max-age=99999999999999999999999999"], SECONDS_MAX),
            (&["max-age=-60"], 0),
            (&["max-age=60.0"], 0),
            (&["max-age='60'"], 0),
            (&["max-age =60"], 0),
            (&["max-age= 60"], 0),
            (&["max-age"], 0),
            (&["x=\"max-age=60\", max-age=1"], 1),
            (&["max-age=60", "max-age=1"], 1),
        ];
        for (lines, seconds) in cases {
            assert_eq!(parse(lines).seconds("max-age"), Some(Duration::from_secs(seconds)), "{lines:?}");
        }
        assert_eq!(parse(&["x=\"max-age=60\"", ",, ,"]).seconds("max-age"), None);
        assert_eq!(parse(&["x=\"a\\\", max-age=60\""]).seconds("max-age"), None);
    }

    #[test]
    fn a_directive_names_fields_or_means_all() {
        let named = |names: &[&str]| Fields::Named(names.iter().map(|name| name.parse().unwrap()).collect());
        assert_eq!(parse(&["no-cache=\"a, B\""]).fields("no-cache"), named(&["a", "b"]));
        assert_eq!(parse(&["no-cache=a"]).fields("no-cache"), named(&["a"]));
        for all in ["no-cache", "no-cache=\"a\", no-cache", "no-cache=\"a b\"", "no-cache=\"a", "no-cache=\"\""] {
            assert_eq!(parse(&[all]).fields("no-cache"), Fields::All, "{all}");
        }
        assert_eq!(parse(&["max-age=1"]).fields("no-cache"), Fields::None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read(line in "[ -~]{0,80}") {
            let directives = parse(&[&line]);
            let _ = (directives.seconds("max-age"), directives.fields("private"));
        }

        #[test]
        fn a_directive_is_found_among_any_others(
            before in proptest::collection::vec("[a-z]{1,8}(=[a-z0-9]{1,8}|=\"[a-z, =]{0,9}\")?", 0..4),
            seconds in 0_u64..SECONDS_MAX,
        ) {
            prop_assume!(before.iter().all(|member| !member.starts_with("max-age")));
            let line = before.into_iter().chain([format!("max-age={seconds}")]).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(parse(&[&line]).seconds("max-age"), Some(Duration::from_secs(seconds)));
        }
    }
}
