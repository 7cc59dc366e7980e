use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::Value;

use super::{Access, Permissions};
use crate::budget::TOKEN_LIMIT;

/// A GitHub App and where it is installed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    pub id: u64,
    /// Its installations act as `slug[bot]`.
    pub slug: String,
    #[serde(default)]
    pub installations: Vec<Installation>,
}

/// One installation of an App, with a budget of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    pub id: u64,
    /// The user or organisation that installed it.
    pub account: String,
    /// Selected repositories by `owner/name`; `None` means all of the account.
    #[serde(default)]
    pub repos: Option<Vec<String>>,
    #[serde(default)]
    pub permissions: Permissions,
    #[serde(default = "default_limit")]
    pub limit: u64,
}

impl App {
    pub fn new(id: u64, slug: impl Into<String>) -> Self {
        Self { id, slug: slug.into(), installations: Vec::new() }
    }

    /// Installs it for all repositories of `account` with these permissions.
    #[must_use]
    pub fn installed(mut self, id: u64, account: &str, permissions: &[(&str, Access)]) -> Self {
        let permissions = permissions.iter().map(|(name, access)| ((*name).to_owned(), *access)).collect();
        let account = account.to_owned();
        self.installations.push(Installation { id, account, repos: None, permissions, limit: TOKEN_LIMIT });
        self
    }

    pub(crate) fn login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

impl Installation {
    /// The name of its budget and of its rows in the counts.
    pub(crate) fn bucket(&self) -> String {
        format!("installation-{}", self.id)
    }
}

/// The App that a JWT names.
///
/// The signature is taken on trust: fakehub knows no keys. Everything else is checked.
///
/// # Errors
/// GitHub's words for a 401.
pub(super) fn app_of_jwt(apps: &BTreeMap<u64, App>, text: &str, now: u64) -> Result<App, &'static str> {
    let undecodable = "A JSON web token could not be decoded";
    let payload = text.split('.').nth(1).unwrap_or_default();
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(|_| undecodable)?;
    let claims: Value = serde_json::from_slice(&payload).map_err(|_| undecodable)?;
    if claims["exp"].as_u64().is_none_or(|exp| exp <= now) {
        return Err("'Expiration time' claim ('exp') must be a numeric value representing the future time at which \
                    the assertion expires");
    }
    let id = claims["iss"].as_u64().or_else(|| claims["iss"].as_str()?.parse().ok());
    id.and_then(|id| apps.get(&id)).cloned().ok_or("Integration not found")
}

pub(super) fn looks_like_jwt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty())
}

fn default_limit() -> u64 {
    TOKEN_LIMIT
}
