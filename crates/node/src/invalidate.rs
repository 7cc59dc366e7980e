use std::collections::BTreeSet;

use github::{Family, Pattern, PatternError, Reach, Touches, enterprise_path};
use store::Space;
use wire::{FamilyId, Millis};

use crate::{Node, cache::now, limits};

/// What an operator wants dropped: a [`Pattern`], or a URL of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidate {
    pattern: Pattern,
    /// In lower case; `None` means every site.
    authority: Option<String>,
}

/// What was dropped. Always at least what was asked for, on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalidated {
    /// The families that were dropped, those that were never seen here included.
    pub families: Vec<Family>,
    /// Of these, repositories that this node has seen since its start.
    pub repositories: usize,
    /// Records that were removed from the disk, those that had to go along included.
    pub entries: usize,
    /// What was kept before the last start is doubted as a whole: its families have no names any more.
    pub earlier: bool,
    /// All that is kept is doubted: it could not be told what is meant.
    pub everything: bool,
    /// Of the families, how many the other members of the fleet are told of, and how many were too many.
    pub spread: usize,
    pub not_spread: usize,
    /// Whether there was anything here that may have been meant.
    pub matched: bool,
}

impl Invalidate {
    /// Reads `owner/repo`, `owner/*`, a path with or without stars, or a URL; queries are left out.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        let Some((_, rest)) = text.split_once("://") else { return Self::of(text, None) };
        let (authority, path) = rest.split_once('/').ok_or(PatternError::Form)?;
        Self::of(&format!("/{path}"), Some(authority.to_ascii_lowercase()))
    }

    fn of(text: &str, authority: Option<String>) -> Result<Self, PatternError> {
        let text = text.split(['?', '#']).next().unwrap_or_default();
        let text = if text.starts_with('/') { enterprise_path(text).unwrap_or(text) } else { text };
        Ok(Self { pattern: Pattern::parse(text.trim_end_matches('/'))?, authority })
    }
}

impl Node {
    /// Drops what is named, for every credential, durably when the future has ended.
    ///
    /// What is kept is known by keyed hashes, so it goes by families, as after a write: a URL takes its
    /// whole family along. The fleet is told of each family that has a name here; what else a pattern with
    /// stars may mean, only this machine drops.
    pub async fn invalidate(&self, what: &Invalidate) -> Invalidated {
        let mut done = Invalidated::default();
        let seen = self.counters.families.all();
        let mut families = BTreeSet::new();
        let only = what.authority.as_deref().map(|authority| self.site_called(authority));
        for site in self.sites.iter().filter(|site| only.is_none_or(|only| only == Some(*site))) {
            match what.pattern.reach(&site.name) {
                Reach::Everything => done.everything = true,
                Reach::Families(named) => families.extend(named),
                Reach::Open(named) => {
                    families.extend(named);
                    done.earlier = true;
                    match &seen {
                        Some(seen) => {
                            let reached = seen.iter().filter(|family| what.pattern.reaches(&site.name, family));
                            families.extend(reached.cloned());
                        }
                        None => done.everything = true,
                    }
                }
            }
        }
        done.families = families.into_iter().collect();
        let known = |family: &&Family| seen.as_ref().is_some_and(|seen| seen.contains(family));
        done.repositories = done.families.iter().filter(known).filter(|family| is_repository(family)).count();
        let may_be_any = (done.earlier || done.everything) && self.store.stats().entries > 0;
        let own = self.forget(&mut done, what).await;
        done.matched = own > 0 || may_be_any;
        done
    }

    /// Returns how many answers of what was named there were, in memory or on the disk.
    async fn forget(&self, done: &mut Invalidated, what: &Invalidate) -> usize {
        let (now, keeper) = (now(), self.cache.keeper.clone());
        if done.everything {
            *done = Invalidated { everything: true, ..Invalidated::default() };
            self.spread(done, self.counters.families.all().unwrap_or_default(), now);
            if let Some(sharing) = &self.sharing {
                sharing.doubt_here(keeper.graves.origin_secs(None, now));
            }
            // Which the fleet is not told: after a restart its members' word on it must not count either.
            keeper.forget_before(now, now, now).await;
            return 0;
        }
        if done.families.is_empty() && !done.earlier {
            return 0;
        }
        self.spread(done, done.families.clone(), now);
        let ids: Vec<FamilyId> = done.families.iter().map(|family| keeper.ids.family_id(family.as_str())).collect();
        let own: Vec<bool> = done.families.iter().map(|family| what.is_own(family)).collect();
        let only_own: Vec<FamilyId> = ids.iter().zip(&own).filter(|(_, own)| **own).map(|(id, _)| *id).collect();
        let mut own_entries = keeper.count_in_memory(&only_own);
        // From here on nothing of it is served; the disk follows.
        let forgotten = keeper.forget_families(ids.clone(), now);
        let earlier_forgotten = done.earlier.then(|| {
            // What peers know, this node may never have seen by name.
            let until = if self.net().is_some() { now } else { self.started_at };
            if let Some(sharing) = &self.sharing {
                sharing.doubt_here(until.as_secs());
            }
            keeper.forget_before(self.started_at, until, now)
        });
        let store = self.store.clone();
        let remove = self.tasks.block(move || -> Vec<usize> {
            ids.iter().map(|id| store.remove_family(Space::Local, id).unwrap_or_default()).collect()
        });
        // A disk that hangs is a disk of which nothing is known.
        let removed = tokio::time::timeout(limits::DISK_PATIENCE, remove).await.ok().flatten().unwrap_or_default();
        for (count, is_own) in removed.into_iter().zip(own) {
            done.entries += count;
            own_entries += if is_own { count } else { 0 };
        }
        forgotten.await;
        if let Some(forgotten) = earlier_forgotten {
            forgotten.await;
        }
        own_entries
    }

    /// Tells the fleet's part here of families, and the other machines, of as many as they listen to.
    fn spread(&self, done: &mut Invalidated, mut families: Vec<Family>, now: Millis) {
        let Some(sharing) = &self.sharing else { return };
        let date_secs = self.cache.keeper.graves.origin_secs(None, now);
        if self.net().is_some() {
            let at_once = usize::try_from(fleet::limits::TOMBSTONES_BURST).unwrap_or(usize::MAX);
            done.spread = families.len().min(at_once);
            done.not_spread = families.len() - done.spread;
        }
        let rest = families.split_off(if self.net().is_some() { done.spread } else { families.len() });
        let touches = Touches::Families(families);
        self.cache.keeper.graves.touched(&touches, date_secs, now);
        sharing.written(&touches, date_secs);
        if !rest.is_empty() {
            sharing.doubt_here(date_secs);
        }
    }
}

impl Invalidate {
    /// Whether a family is what was named, and not only dropped along with it.
    fn is_own(&self, family: &Family) -> bool {
        let host = family.as_str().split('/').next().unwrap_or_default();
        self.pattern.reaches(host, family) || self.pattern.reach(host) == Reach::Families(vec![family.clone()])
    }
}

fn is_repository(family: &Family) -> bool {
    family.as_str().split('/').nth(1) == Some("repos")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_path_at_one_site() {
        let path = Invalidate::parse("/repos/acme/secret/issues").unwrap();
        for (text, authority) in [
            ("https://API.github.com/repos/acme/secret/issues?page=2#x", Some("api.github.com")),
            ("http://127.0.0.1:9120/api/v3/repos/acme/secret/issues/", Some("127.0.0.1:9120")),
            ("/repos/acme/secret/issues?page=2", None),
        ] {
            let authority = authority.map(str::to_owned);
            assert_eq!(Invalidate::parse(text), Ok(Invalidate { authority, ..path.clone() }), "{text}");
        }
        assert!(Invalidate::parse("acme/*").is_ok() && Invalidate::parse("/**").is_ok());
        for text in ["", "acme", "https://api.github.com", "https://"] {
            assert_eq!(Invalidate::parse(text), Err(PatternError::Form), "{text}");
        }
    }
}
