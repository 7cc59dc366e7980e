use std::collections::BTreeMap;

use serde::Deserialize;

use super::{full_name, is_id};
use crate::{Route, Target, limits, link};

/// Which repository an id means, learnt from what GitHub answers.
///
/// Bounded; the oldest knowledge goes first. A wrong entry (a repository was renamed elsewhere) can
/// keep an answer until its own clocks end it, never longer.
#[derive(Clone, Debug, Default)]
pub struct Aliases {
    names: BTreeMap<u64, Known>,
    ids: BTreeMap<String, u64>,
    by_age: BTreeMap<u64, u64>,
    learnt: u64,
}

#[derive(Clone, Debug)]
struct Known {
    name: String,
    age: u64,
}

impl Aliases {
    /// Learns from a 200 to `target`: from the `Link` of any answer of a repository, which names it
    /// by id, and from the objects of repositories, where GitHub alone writes the body.
    pub fn learn(&mut self, target: &Target, link: Option<&str>, body: &[u8]) {
        let segments: Vec<&str> = target.segments().collect();
        if let (["repos", owner, name, ..], Some(link)) = (segments.as_slice(), link) {
            let links = link::parse(link).unwrap_or_default();
            if let Some(id) = links.iter().find_map(|link| id_in(&link.target)) {
                self.insert(id, full_name(owner, name));
            }
        }
        let lists = matches!(Route::of(target), Route::RepoLists)
            || matches!(segments.as_slice(), ["repos", _, _] | ["repositories", _] | ["user", "repos"]);
        if lists && body.len() <= limits::ALIAS_BODY_BYTES_MAX {
            for repository in repositories(body) {
                let (owner, name) = repository.full_name.split_once('/').unwrap_or_default();
                self.insert(repository.id, full_name(owner, name));
            }
        }
    }

    /// Forgets the names that a write may change. To be called with every write that is sent.
    pub fn written(&mut self, target: &Target) {
        let segments: Vec<&str> = target.segments().collect();
        let id = match segments.as_slice() {
            ["repos", owner, name] | ["repos", owner, name, "transfer"] => {
                full_name(owner, name).and_then(|name| self.ids.get(&name).copied())
            }
            ["repositories", id] | ["repositories", id, "transfer"] => id.parse().ok(),
            _ => None,
        };
        if let Some(id) = id {
            self.remove(id);
        }
    }

    /// How many repositories are known.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// `owner/name`, in lower case.
    pub(crate) fn name(&self, id: &str) -> Option<&str> {
        let id: u64 = is_id(id).then(|| id.parse().ok()).flatten()?;
        self.names.get(&id).map(|known| known.name.as_str())
    }

    fn insert(&mut self, id: u64, name: Option<String>) {
        let Some(name) = name else { return };
        if self.names.get(&id).is_some_and(|known| known.name == name) {
            return;
        }
        self.remove(id);
        // A name has one repository: it was deleted and made again, or another took its place.
        if let Some(former) = self.ids.get(&name).copied() {
            self.remove(former);
        }
        if self.names.len() >= limits::ALIASES_MAX
            && let Some(oldest) = self.by_age.first_key_value().map(|(_, id)| *id)
        {
            self.remove(oldest);
        }
        self.learnt += 1;
        self.by_age.insert(self.learnt, id);
        self.ids.insert(name.clone(), id);
        self.names.insert(id, Known { name, age: self.learnt });
    }

    fn remove(&mut self, id: u64) {
        if let Some(known) = self.names.remove(&id) {
            self.ids.remove(&known.name);
            self.by_age.remove(&known.age);
        }
    }
}

fn id_in(target: &Target) -> Option<u64> {
    match target.segments().collect::<Vec<_>>().as_slice() {
        ["repositories", id, ..] if is_id(id) => id.parse().ok(),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

/// The repositories in a body that is one, a list of them, or an installation's list.
fn repositories(body: &[u8]) -> Vec<Repository> {
    #[derive(Deserialize)]
    struct Installation {
        repositories: Vec<Repository>,
    }
    if body.trim_ascii_start().first() == Some(&b'[') {
        return serde_json::from_slice(body).unwrap_or_default();
    }
    let one = serde_json::from_slice::<Repository>(body).map(|one| vec![one]);
    one.or_else(|_| serde_json::from_slice::<Installation>(body).map(|list| list.repositories)).unwrap_or_default()
}
