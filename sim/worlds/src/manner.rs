//! In what words a client asks: the same question can be put in many.

use http::{HeaderName, Method, header};
use serde::{Deserialize, Serialize};

/// What a question says beside its path and its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manner {
    #[serde(skip_serializing_if = "is_no")]
    pub head: bool,
    #[serde(skip_serializing_if = "is_no")]
    pub gzip: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wants: Option<Wants>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<Validator>,
    /// The first bytes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wants {
    NoCache,
    NoStore,
    OnlyIfCached,
    /// In seconds.
    MaxAge(u64),
}

/// An ETag that a client sends along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validator {
    /// That of the last answer to this question and credential.
    Own,
    /// That of the last answer to this question and another credential.
    Foreign,
    /// `*`.
    Any,
}

/// The spellings that are one media type to GitHub; without any, too.
pub const USUAL_ACCEPTS: [&str; 5] =
    ["*/*", "", "application/json", "application/vnd.github.v3+json", "application/vnd.github+json"];

impl Manner {
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    pub fn method(&self) -> Method {
        if self.head { Method::HEAD } else { Method::GET }
    }

    /// The headers, but for the validator, which depends on what was answered before.
    pub fn headers(&self) -> Vec<(HeaderName, String)> {
        let wants = self.wants.map(|wants| match wants {
            Wants::NoCache => "no-cache".to_owned(),
            Wants::NoStore => "no-store".to_owned(),
            Wants::OnlyIfCached => "only-if-cached".to_owned(),
            Wants::MaxAge(secs) => format!("max-age={secs}"),
        });
        let headers = [
            (header::ACCEPT, self.accept.clone()),
            (header::ACCEPT_ENCODING, self.gzip.then(|| "gzip".to_owned())),
            (header::CACHE_CONTROL, wants),
            (header::RANGE, self.range.map(|last| format!("bytes=0-{last}"))),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What is asked, whoever asks: the path, and the media type where it is not the usual one.
pub fn question(path: &str, accept: Option<&str>) -> String {
    match accept.map(str::trim) {
        Some(accept) if !USUAL_ACCEPTS.contains(&accept) => format!("{path}#{accept}"),
        _ => path.to_owned(),
    }
}

/// The path of a question.
pub fn path_of(question: &str) -> &str {
    question.split('#').next().unwrap_or(question)
}

fn is_no(value: &bool) -> bool {
    !value
}
