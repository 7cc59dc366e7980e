use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{ClientDirectives, Credential};

/// What the headers of a request say, whatever it asks for: who asks much says the same each time, and
/// need not be read again.
#[derive(Clone, Debug)]
pub struct Said {
    pub(crate) credential: Option<Credential>,
    /// Those that select the body, in order of name.
    pub(crate) selecting: Vec<(HeaderName, HeaderValue)>,
    pub(crate) wants: ClientWants,
    /// Why nobody can tell which answer is meant, if so.
    pub(crate) doubt: Option<&'static str>,
}

/// What this client wants of the answer. None of it is in the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientWants {
    /// A HEAD: answered from its GET.
    pub head_only: bool,
    /// The client is one for which GitHub lays JSON out.
    pub pretty: bool,
    pub gzip: bool,
    /// The client holds answers with these ETags.
    pub if_none_match: Vec<String>,
    /// All that it says about age and staleness.
    pub directives: ClientDirectives,
}

impl Said {
    pub fn read(headers: &HeaderMap) -> Self {
        Self::read_beside(headers, |_| false)
    }

    /// The same where these, too, change no answer.
    pub(crate) fn read_beside(headers: &HeaderMap, is_without_effect: impl Fn(&HeaderName) -> bool) -> Self {
        let doubt = if headers.keys().any(|name| !is_known(name) && !is_without_effect(name)) {
            Some("a request header that may change the answer")
        } else if selects_twice(headers) {
            Some("a header that selects the answer is there twice")
        } else {
            None
        };
        Self {
            credential: headers.get(header::AUTHORIZATION).map(Credential::from_authorization),
            selecting: selecting(headers),
            wants: ClientWants {
                head_only: false,
                pretty: wants_pretty(headers),
                gzip: accepts_gzip(headers),
                if_none_match: if_none_match(headers),
                directives: ClientDirectives::read(headers),
            },
            doubt,
        }
    }
}

/// Request headers that select the body, so that they are in the key.
static SELECTING: [HeaderName; 4] = [
    header::ACCEPT,
    HeaderName::from_static("graphql-features"),
    HeaderName::from_static("x-github-api-version"),
    HeaderName::from_static("x-github-next-global-id"),
];

/// Request headers that change no body; they are read here or dropped, and never sent on.
fn is_without_effect(name: &str) -> bool {
    matches!(
        name,
        "accept-encoding"
            | "accept-language"
            | "authorization"
            | "cache-control"
            | "connection"
            | "content-type"
            | "host"
            | "if-modified-since"
            | "if-none-match"
            | "keep-alive"
            | "pragma"
            | "priority"
            | "proxy-connection"
            | "sec-fetch-mode"
            | "time-zone"
            | "user-agent"
            | "x-gh-cache-ttl"
            | "x-request-id"
    )
}

pub(crate) fn is_known(name: &HeaderName) -> bool {
    is_without_effect(name.as_str()) || SELECTING.contains(name)
}

fn selects_twice(headers: &HeaderMap) -> bool {
    SELECTING.iter().any(|name| headers.get_all(name).iter().count() > 1)
}

fn selecting(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let value_of = |name: &HeaderName| {
        let value = headers.get(name).cloned();
        if *name == header::ACCEPT { Some(canonical_accept(value)) } else { value }
    };
    SELECTING.iter().filter_map(|name| Some((name.clone(), value_of(name)?))).collect()
}

/// Empty, absent, anything, v3 and the present name are one media type to GitHub. Without this, gh,
/// Octokit and PyGithub would never share an answer.
fn canonical_accept(accept: Option<HeaderValue>) -> HeaderValue {
    let default = HeaderValue::from_static("application/vnd.github+json");
    let Some(accept) = accept else { return default };
    match accept.as_bytes().trim_ascii() {
        b"" | b"*/*" | b"application/json" | b"application/vnd.github.v3+json" | b"application/vnd.github+json" => {
            default
        }
        other => HeaderValue::from_bytes(other).unwrap_or(accept),
    }
}

/// GitHub looks for these names in `User-Agent`; observed, not documented.
fn wants_pretty(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Safari", "Firefox"].iter().any(|name| agent.contains(name))
}

/// Whether gzip is acceptable (RFC 9110, §12.5.3); `gzip;q=0` is a refusal, also beside a `*`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut gzip, mut any) = (None, None);
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim();
        let weight = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="));
        let is_refused = weight.is_some_and(|q| q.trim().parse() == Ok(0.0));
        match name.trim() {
            "*" => any = Some(!is_refused),
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                gzip = Some(!is_refused);
            }
            _ => {}
        }
    }
    gzip.or(any).unwrap_or(false)
}

fn if_none_match(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}
