use std::{collections::BTreeMap, fmt};

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

/// What sort of credential a token is, which decides how far its user's rights reach through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Sees all that its user sees (`ghp_`, `gho_`).
    #[default]
    Classic,
    /// Sees what is public and the repositories that it lists (`github_pat_`).
    FineGrained,
    /// The same, for an App's installation (`ghs_`): it is nobody's.
    Installation,
}

/// How much of a permission a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Read,
    Write,
}

/// Permissions by name (`issues`, `contents`, `actions` ...), as in GitHub's `access_tokens`.
pub type Permissions = BTreeMap<String, Access>;

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
    #[serde(default)]
    pub kind: TokenKind,
    /// `None`: all of them. For a classic token it is always all.
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// Unix seconds from which on it is answered 401.
    #[serde(default)]
    pub expires_at: Option<u64>,
    /// Whose budget it spends, if not that of `login`.
    #[serde(default)]
    pub bucket: Option<String>,
    /// All repositories of this account are within reach, with the role that the permissions give.
    #[serde(default)]
    pub account: Option<String>,
}

impl Token {
    pub fn new(text: impl Into<String>, login: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            login: login.into(),
            repos: BTreeMap::new(),
            limit: TOKEN_LIMIT,
            kind: TokenKind::Classic,
            permissions: None,
            expires_at: None,
            bucket: None,
            account: None,
        }
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

    /// Makes it fine-grained: its repositories and these permissions, `metadata: read` always.
    #[must_use]
    pub fn fine_grained(mut self, permissions: &[(&str, Access)]) -> Self {
        self.kind = TokenKind::FineGrained;
        self.permissions = Some(permissions.iter().map(|(name, access)| ((*name).to_owned(), *access)).collect());
        self
    }

    #[must_use]
    pub fn with_expiry(mut self, at: u64) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The name of its budget and of its rows in the counts.
    pub(crate) fn bucket(&self) -> &str {
        self.bucket.as_deref().unwrap_or(&self.login)
    }

    pub(crate) fn is_classic(&self) -> bool {
        self.kind == TokenKind::Classic
    }

    pub(crate) fn expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn allows(&self, permission: &str, access: Access) -> bool {
        let Some(permissions) = self.permissions.as_ref().filter(|_| self.kind != TokenKind::Classic) else {
            return true;
        };
        let free = permission == "metadata" && access == Access::Read;
        free || permissions.get(permission).is_some_and(|&given| given >= access)
    }

    /// The role that an installation has where nobody gave it one.
    pub(crate) fn derived_role(&self) -> Role {
        match (self.allows("administration", Access::Write), self.allows("contents", Access::Write)) {
            (true, _) => Role::Admin,
            (false, true) => Role::Write,
            (false, false) => Role::Read,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("login", &self.login).field("repos", &self.repos).finish_non_exhaustive()
    }
}

fn default_limit() -> u64 {
    TOKEN_LIMIT
}
