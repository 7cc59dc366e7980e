use std::{collections::BTreeMap, sync::Mutex};

use fleet::Across;
use github::{Ask, Family, Pattern};
use wire::{Millis, ScopeId};

use crate::{limits, names};

/// What one credential may have of what another was told. The operator's choice, for a whole fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Nothing: an answer is for the credential that was told it.
    Token,
    /// Whatever GitHub confirms for it, by a request that costs nothing.
    #[default]
    Proof,
    /// Everything: whoever shows a credential that GitHub accepts sees what any member was told.
    Trusted,
}

impl Share {
    /// A question without a credential is answered from what was told to nobody in particular, and a
    /// 304 to it is charged like any answer. What is one person's own (`/user`) is nobody else's answer.
    pub(crate) fn across(self, ask: &Ask) -> Across {
        match self {
            _ if ask.credential.is_none() || !ask.route.is_shareable() => Across::Nothing,
            Self::Token => Across::Nothing,
            Self::Proof => Across::Offers,
            Self::Trusted => Across::Trusted,
        }
    }
}

/// What the operator keeps out of the cache, or on this machine.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    /// Asked of the origin each time.
    pub never_cache: Vec<Pattern>,
    /// Kept for the credential that was told it, and told to no peer.
    pub never_share: Vec<Pattern>,
}

impl Exclusions {
    pub(crate) fn may_keep(&self, ask: &Ask) -> bool {
        !covers(&self.never_cache, ask)
    }

    pub(crate) fn may_share(&self, ask: &Ask) -> bool {
        !covers(&self.never_share, ask)
    }
}

/// What is asked for by a number that nobody knows here may be any of them.
fn covers(patterns: &[Pattern], ask: &Ask) -> bool {
    let is_unknown = || names::by_number(ask) && ask.family == Family::of(&ask.host, &ask.target);
    !patterns.is_empty() && (patterns.iter().any(|pattern| pattern.covers(ask)) || is_unknown())
}

/// Which credentials the origin has accepted lately, whatever they asked. What [`Share::Trusted`] shows
/// is for these alone.
#[derive(Default)]
pub struct Accepted(Mutex<BTreeMap<ScopeId, Millis>>);

impl Accepted {
    pub fn note(&self, scope: ScopeId, until: Millis) {
        let mut accepted = self.lock();
        if accepted.len() >= limits::ACCEPTED_MAX && !accepted.contains_key(&scope) {
            accepted.pop_first();
        }
        accepted.insert(scope, until);
    }

    pub fn forget(&self, scope: ScopeId) {
        self.lock().remove(&scope);
    }

    pub fn until(&self, scope: ScopeId) -> Option<Millis> {
        self.lock().get(&scope).copied()
    }

    pub fn is_accepted(&self, scope: ScopeId, now: Millis) -> bool {
        self.until(scope).is_some_and(|until| now < until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ScopeId, Millis>> {
        self.0.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use github::{Plan, Target};
    use http::{HeaderMap, HeaderValue, Method, header};

    use super::*;

    #[test]
    fn what_is_ones_own_is_shared_with_nobody_whatever_the_policy() {
        let headers: HeaderMap = [(header::AUTHORIZATION, HeaderValue::from_static("Bearer t"))].into_iter().collect();
        let across = |share: Share, path| {
            let target = Target::parse(path, None).unwrap();
            let Plan::Cache(ask) = github::plan(&Method::GET, github::API_HOST, target, &headers, false) else {
                panic!("{path} is cached");
            };
            share.across(&ask)
        };
        for path in ["/user", "/user/repos", "/notifications", "/repos/o/r/hooks"] {
            assert_eq!(across(Share::Trusted, path), Across::Nothing, "{path}");
            assert_eq!(across(Share::Proof, path), Across::Nothing, "{path}");
        }
        assert_eq!(across(Share::Trusted, "/repos/o/r"), Across::Trusted);
        assert_eq!(across(Share::Proof, "/repos/o/r"), Across::Offers);
        assert_eq!(across(Share::Token, "/repos/o/r"), Across::Nothing);
    }
}
