use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use data_encoding::BASE64;
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::budget::TOKEN_LIMIT;

/// What a caller may do with a repository, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

/// A credential that the hub accepts, and what it may see beyond the public.
///
/// `Debug` leaves the text out.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub text: String,
    /// The user it belongs to; tokens of one user share a budget. Created if the hub has none.
    pub login: String,
    /// Roles by `owner/name`. A user is admin of their own repositories anyway.
    #[serde(default)]
    pub repos: BTreeMap<String, Role>,
    /// Charged requests per hour, for the user: the last token added decides.
    #[serde(default = "default_limit")]
    pub limit: u64,
}

impl Token {
    pub fn new(text: impl Into<String>, login: impl Into<String>) -> Self {
        Self { text: text.into(), login: login.into(), repos: BTreeMap::new(), limit: TOKEN_LIMIT }
    }

    #[must_use]
    pub fn with_repo(mut self, full_name: &str, role: Role) -> Self {
        self.repos.insert(full_name.to_owned(), role);
        self
    }

    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("login", &self.login).field("repos", &self.repos).finish_non_exhaustive()
    }
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Anonymous,
    /// A credential that nobody registered, or that was revoked.
    Unknown,
    User(Arc<Token>),
}

impl Caller {
    /// The name in counts: a login, never a token.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Unknown => "unknown",
            Self::User(token) => &token.login,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Unknown => "unknown",
            Self::User(_) => "token",
        }
    }

    pub(crate) fn login(&self) -> Option<&str> {
        match self {
            Self::User(token) => Some(&token.login),
            Self::Anonymous | Self::Unknown => None,
        }
    }
}

/// The accepted tokens, by text, which `Debug` leaves out.
#[derive(Default)]
pub(crate) struct Keyring {
    tokens: BTreeMap<String, Arc<Token>>,
    limits: BTreeMap<String, u64>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tokens.values()).finish()
    }
}

impl Keyring {
    pub(crate) fn add(&mut self, mut token: Token) {
        token.repos = token.repos.into_iter().map(|(name, role)| (name.to_ascii_lowercase(), role)).collect();
        self.limits.insert(token.login.clone(), token.limit);
        self.tokens.insert(token.text.clone(), Arc::new(token));
    }

    pub(crate) fn revoke(&mut self, text: &str) -> bool {
        self.tokens.remove(text).is_some()
    }

    /// Gives or takes a role; `false` if there is no such token.
    pub(crate) fn set_role(&mut self, text: &str, full_name: &str, role: Option<Role>) -> bool {
        let Some(token) = self.tokens.get_mut(text) else { return false };
        let repos = &mut Arc::make_mut(token).repos;
        match role {
            Some(role) => repos.insert(full_name.to_ascii_lowercase(), role),
            None => repos.remove(&full_name.to_ascii_lowercase()),
        };
        true
    }

    /// Roles follow a repository to its new name.
    pub(crate) fn renamed(&mut self, from: &str, to: &str) {
        for token in self.tokens.values_mut() {
            let repos = &mut Arc::make_mut(token).repos;
            if let Some(role) = repos.remove(&from.to_ascii_lowercase()) {
                repos.insert(to.to_ascii_lowercase(), role);
            }
        }
    }

    pub(crate) fn limit(&self, login: &str) -> u64 {
        self.limits.get(login).copied().unwrap_or(TOKEN_LIMIT)
    }

    pub(crate) fn logins(&self) -> BTreeSet<&str> {
        self.limits.keys().map(String::as_str).collect()
    }

    pub(crate) fn identify(&self, headers: &HeaderMap) -> Caller {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Caller::Anonymous };
        let known = value.to_str().ok().and_then(credential).and_then(|text| self.tokens.get(&text).cloned());
        known.map_or(Caller::Unknown, Caller::User)
    }
}

/// The token in an `Authorization` value: `token X`, `Bearer X` or `Basic base64(anyone:X)`.
fn credential(value: &str) -> Option<String> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "token" | "bearer" => Some(rest.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(BASE64.decode(rest.trim().as_bytes()).ok()?).ok()?;
            let (user, password) = pair.split_once(':')?;
            // `curl -u TOKEN:` and `-u TOKEN:x-oauth-basic` put it first.
            let first = password.is_empty() || password == "x-oauth-basic";
            Some(if first { user } else { password }.to_owned())
        }
        _ => None,
    }
}

fn default_limit() -> u64 {
    TOKEN_LIMIT
}
