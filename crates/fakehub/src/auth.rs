mod app;
mod token;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use data_encoding::BASE64;
use http::{HeaderMap, header};

pub use self::{
    app::{App, Installation},
    token::{Access, Permissions, Role, Token, TokenKind},
};
use crate::{budget::TOKEN_LIMIT, dress::Class};

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Anonymous,
    /// A credential that nobody registered, that was revoked or that has expired.
    Unknown,
    User(Arc<Token>),
    /// An App with its JWT.
    App(Arc<App>),
    /// A JWT that is not good, and GitHub's words for it.
    BadJwt(&'static str),
}

impl Caller {
    /// The name in counts: a login, never a token.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Unknown | Self::BadJwt(_) => "unknown",
            Self::User(token) => token.bucket(),
            Self::App(app) => &app.slug,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Unknown | Self::BadJwt(_) => "unknown",
            Self::App(_) => "app",
            Self::User(token) if token.kind == TokenKind::Installation => "installation",
            Self::User(_) => "token",
        }
    }

    pub(crate) fn login(&self) -> Option<&str> {
        match self {
            Self::User(token) => Some(&token.login),
            _ => None,
        }
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        match self {
            Self::User(token) => Some(token),
            _ => None,
        }
    }

    /// The budget it spends; `None` is that of the one address there is.
    pub(crate) fn bucket(&self) -> Option<&str> {
        matches!(self, Self::User(_) | Self::App(_)).then(|| self.label())
    }

    /// A 304 is free for whoever is "correctly authorized with an `Authorization` header".
    pub(crate) fn is_authorised(&self) -> bool {
        self.bucket().is_some()
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::User(token) => Class::Private { scopes: token.kind == TokenKind::Classic },
            _ => Class::Public,
        }
    }
}

/// The accepted tokens, by text, which `Debug` leaves out, and the Apps.
#[derive(Default)]
pub(crate) struct Keyring {
    tokens: BTreeMap<String, Arc<Token>>,
    limits: BTreeMap<String, u64>,
    apps: BTreeMap<u64, App>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tokens.values()).finish()
    }
}

impl Keyring {
    pub(crate) fn add(&mut self, mut token: Token) {
        token.repos = token.repos.into_iter().map(|(name, role)| (name.to_ascii_lowercase(), role)).collect();
        self.limits.insert(token.bucket().to_owned(), token.limit);
        self.tokens.insert(token.text.clone(), Arc::new(token));
    }

    pub(crate) fn add_app(&mut self, app: App) {
        self.apps.insert(app.id, app);
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

    /// Replaces what a token may do; `false` if there is no such token.
    pub(crate) fn set_permissions(&mut self, text: &str, permissions: Option<Permissions>) -> bool {
        let Some(token) = self.tokens.get_mut(text) else { return false };
        Arc::make_mut(token).permissions = permissions;
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

    /// Charged requests per hour of the budget with this name.
    pub(crate) fn limit(&self, bucket: &str) -> u64 {
        self.limits.get(bucket).copied().unwrap_or(TOKEN_LIMIT)
    }

    pub(crate) fn logins(&self) -> BTreeSet<&str> {
        self.limits.keys().map(String::as_str).collect()
    }

    pub(crate) fn identify(&self, headers: &HeaderMap, now: u64) -> Caller {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Caller::Anonymous };
        let Some(text) = value.to_str().ok().and_then(credential) else { return Caller::Unknown };
        match self.tokens.get(&text).filter(|token| !token.expired(now)) {
            Some(token) => Caller::User(Arc::clone(token)),
            None if app::looks_like_jwt(&text) => match app::app_of_jwt(&self.apps, &text, now) {
                Ok(app) => Caller::App(Arc::new(app)),
                Err(words) => Caller::BadJwt(words),
            },
            None => Caller::Unknown,
        }
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
