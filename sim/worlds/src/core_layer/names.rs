//! Everything that a plan names, once: by its number, with the hashes that nodes know it by.

use std::collections::BTreeMap;

use crypto::{FleetKeys, TagKey};
use wire::{FamilyId, KeyId, Peer, ScopeId};

use crate::{
    machine::fleet_keys,
    plan::{Plan, What},
};

/// A path, and who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    pub path: usize,
    pub token: Option<usize>,
}

pub struct Path {
    pub text: String,
    pub key: KeyId,
    pub repo: usize,
    pub is_own_view: bool,
    pub ttl_ms: Option<u64>,
}

pub struct Token {
    pub scope: ScopeId,
    pub tag_key: TagKey,
    /// The number of its rate-limit bucket: tokens of one login share it.
    pub bucket: usize,
}

pub struct Names {
    pub paths: Vec<Path>,
    pub families: Vec<FamilyId>,
    pub tokens: Vec<Token>,
    pub anonymous: ScopeId,
    pub peers: Vec<Peer>,
    places: BTreeMap<Peer, usize>,
    by_path: BTreeMap<String, usize>,
    by_repo: BTreeMap<String, usize>,
}

impl Names {
    /// `peers` are the ids of the nodes, in order of their places.
    pub fn new(plan: &Plan, peers: &[u32]) -> Self {
        let keys = fleet_keys(plan.seed);
        let mut buckets = BTreeMap::new();
        let tokens = plan.tokens.iter().enumerate().map(|(number, token)| {
            let credential = format!("Bearer t{number}").into_bytes();
            let next = buckets.len();
            let bucket = *buckets.entry(&token.login).or_insert(next);
            let scope = keys.ids.scope_id(Some(&credential));
            Token { scope, tag_key: TagKey::of(&credential), bucket }
        });
        let peers: Vec<Peer> = peers.iter().map(|id| Peer::new(format!("n{id}"))).collect();
        let mut names = Self {
            paths: Vec::new(),
            families: Vec::new(),
            tokens: tokens.collect(),
            anonymous: keys.ids.scope_id(None),
            places: peers.iter().cloned().zip(0..).collect(),
            peers,
            by_path: BTreeMap::new(),
            by_repo: BTreeMap::new(),
        };
        for op in &plan.ops {
            match &op.what {
                What::Ask { path, .. } => names.add_path(plan, &keys, path),
                What::Write { repo, .. } | What::Change { repo } | What::Edit { repo } => {
                    names.add_repo(&keys, repo);
                }
                _ => {}
            }
        }
        names
    }

    pub fn path(&self, text: &str) -> Option<usize> {
        self.by_path.get(text).copied()
    }

    pub fn repo(&self, text: &str) -> Option<usize> {
        self.by_repo.get(text).copied()
    }

    pub fn place(&self, peer: &Peer) -> Option<usize> {
        self.places.get(peer).copied()
    }

    pub fn scope(&self, token: Option<usize>) -> ScopeId {
        token.map_or(self.anonymous, |token| self.tokens[token].scope)
    }

    fn add_path(&mut self, plan: &Plan, keys: &FleetKeys, text: &str) {
        if self.by_path.contains_key(text) {
            return;
        }
        let repo = self.add_repo(keys, repo_of(text));
        self.by_path.insert(text.to_owned(), self.paths.len());
        self.paths.push(Path {
            text: text.to_owned(),
            key: keys.ids.key_id(text.as_bytes()),
            repo,
            is_own_view: plan.model.is_own_view(text),
            ttl_ms: plan.model.ttl_ms(text),
        });
    }

    fn add_repo(&mut self, keys: &FleetKeys, repo: &str) -> usize {
        let next = self.families.len();
        let number = *self.by_repo.entry(repo.to_owned()).or_insert(next);
        if number == next {
            self.families.push(keys.ids.family_id(repo));
        }
        number
    }
}

/// The repository that a path is of; what is of none is its own.
pub fn repo_of(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/repos/") else { return path };
    let end = rest.match_indices(['/', '?']).map(|(at, _)| at).nth(1).unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_its_repository() {
        let repos = ["/repos/a/b", "/repos/a/b/issues?per_page=3", "/repos/a/b/git/blobs/x", "/user"].map(repo_of);
        assert_eq!(repos, ["a/b", "a/b", "a/b", "/user"]);
    }
}
