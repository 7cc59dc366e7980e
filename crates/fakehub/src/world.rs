mod actions;
mod generate;
mod objects;
mod release;
mod repo;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) use self::{
    objects::{Objects, blob_sha},
    repo::{Artifact, Repo, Run},
};

use crate::{
    ask::API,
    auth::{Caller, Role, TokenKind},
    seed::Seed,
};

/// The hub has nothing by this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is called {0}")]
pub struct UnknownName(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountKind {
    User,
    Organization,
}

/// A user or an organisation.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: AccountKind,
    pub(crate) name: String,
    pub(crate) created_at: u64,
}

/// All that exists, and under which names.
#[derive(Debug)]
pub(crate) struct World {
    /// By lowercase login.
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) repos: BTreeMap<u64, Repo>,
    /// Ids by lowercase `owner/name`, former names included.
    names: BTreeMap<String, u64>,
    pub(crate) seed: Seed,
    next_id: u64,
}

impl World {
    pub(crate) fn empty(seed: Seed) -> Self {
        Self { accounts: BTreeMap::new(), repos: BTreeMap::new(), names: BTreeMap::new(), seed, next_id: 70_000_000 }
    }

    pub(crate) fn standard(seed: Seed) -> Self {
        generate::standard(seed)
    }

    pub(crate) fn small(seed: Seed) -> Self {
        generate::small(seed)
    }

    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1 + self.seed.below(40);
        self.next_id
    }

    pub(crate) fn account(&self, login: &str, kind: AccountKind) -> Option<&Account> {
        self.accounts.get(&login.to_ascii_lowercase()).filter(|account| account.kind == kind)
    }

    /// The body of a user inside other bodies; an unknown login gets the id 0.
    pub(crate) fn simple_user(&self, login: &str) -> Value {
        match self.accounts.get(&login.to_ascii_lowercase()) {
            Some(account) => account.simple(),
            None => json!({ "login": login, "id": 0, "type": "User" }),
        }
    }

    pub(crate) fn ensure_user(&mut self, login: &str) {
        if !self.accounts.contains_key(&login.to_ascii_lowercase()) {
            let id = self.fresh_id();
            self.add_account(id, login, AccountKind::User);
        }
    }

    fn add_account(&mut self, id: u64, login: &str, kind: AccountKind) {
        let created_at = 1_300_000_000 + id % 300_000_000;
        let account = Account { id, login: login.to_owned(), kind, name: format!("The {login}"), created_at };
        self.accounts.insert(login.to_ascii_lowercase(), account);
    }

    /// The repositories of this account, by id.
    pub(crate) fn repos_of(&self, login: &str) -> impl Iterator<Item = &Repo> {
        self.repos.values().filter(move |repo| repo.owner.eq_ignore_ascii_case(login))
    }

    /// `octocat` and `hubot` belong to every organisation.
    pub(crate) fn members(&self, org: &Account) -> impl Iterator<Item = &Account> {
        let inside = org.kind == AccountKind::Organization;
        self.accounts.values().filter(move |user| inside && ["octocat", "hubot"].contains(&user.login.as_str()))
    }

    pub(crate) fn is_member(&self, org: &Account, login: &str) -> bool {
        self.members(org).any(|user| user.login.eq_ignore_ascii_case(login))
    }

    fn add_repo(&mut self, repo: Repo) {
        self.names.insert(repo.full_name().to_ascii_lowercase(), repo.id);
        self.repos.insert(repo.id, repo);
    }

    /// The repository that is, or was, called this, in any case.
    pub(crate) fn repo_id(&self, full_name: &str) -> Option<u64> {
        self.names.get(&full_name.to_ascii_lowercase()).copied()
    }

    pub(crate) fn repo_mut(&mut self, full_name: &str) -> Result<&mut Repo, UnknownName> {
        let id = self.repo_id(full_name).ok_or_else(|| UnknownName(full_name.to_owned()))?;
        Ok(self.repos.get_mut(&id).expect("every name is of a repository that exists"))
    }

    /// Takes a repository away, with every name it ever had.
    pub(crate) fn remove_repo(&mut self, id: u64) {
        self.repos.remove(&id);
        self.names.retain(|_, named| *named != id);
    }

    /// Renames within the owner; the old name goes on to redirect.
    pub(crate) fn rename(&mut self, full_name: &str, name: &str) -> Result<String, UnknownName> {
        let repo = self.repo_mut(full_name)?;
        name.clone_into(&mut repo.name);
        let (new, id) = (repo.full_name(), repo.id);
        self.names.insert(new.to_ascii_lowercase(), id);
        Ok(new)
    }
}

impl Account {
    pub(crate) fn simple(&self) -> Value {
        let (login, id) = (&self.login, self.id);
        let kind = match self.kind {
            AccountKind::User => "User",
            AccountKind::Organization => "Organization",
        };
        json!({
            "login": login,
            "id": id,
            "node_id": node_id("U", id),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
            "url": format!("{API}/users/{login}"),
            "html_url": format!("https://github.com/{login}"),
            "repos_url": format!("{API}/users/{login}/repos"),
            "type": kind,
            "site_admin": false,
        })
    }

    pub(crate) fn full(&self) -> Value {
        let mut body = self.simple();
        body["name"] = json!(self.name);
        body["created_at"] = json!(iso(self.created_at));
        body["updated_at"] = json!(iso(self.created_at + 86_400));
        body["public_repos"] = json!(8);
        body["followers"] = json!(self.id % 5_000);
        if self.kind == AccountKind::Organization {
            body["url"] = json!(format!("{API}/orgs/{}", self.login));
            body["repos_url"] = json!(format!("{API}/orgs/{}/repos", self.login));
            body["description"] = json!(format!("{} makes everything", self.name));
        }
        body
    }
}

impl Caller {
    /// What this caller may do with `repo`: `None` means that it is not there for them.
    pub(crate) fn role(&self, repo: &Repo) -> Option<Role> {
        let public = (!repo.private).then_some(Role::Read);
        let Self::User(token) = self else { return public };
        let given = token.repos.get(&repo.full_name().to_ascii_lowercase()).copied();
        let account = token.account.as_ref().filter(|account| account.eq_ignore_ascii_case(&repo.owner));
        let reach = given.max(account.map(|_| token.derived_role()));
        let owner = token.login.eq_ignore_ascii_case(&repo.owner).then_some(Role::Admin);
        match token.kind {
            TokenKind::Classic => owner.max(reach).max(public),
            TokenKind::FineGrained | TokenKind::Installation => reach.max(public),
        }
    }
}

pub(crate) fn node_id(prefix: &str, id: u64) -> String {
    format!("{prefix}_{}", data_encoding::BASE64URL_NOPAD.encode(&id.to_be_bytes()))
}

/// Unix seconds as GitHub writes them in bodies.
pub(crate) fn iso(at: u64) -> String {
    // Howard Hinnant's `civil_from_days`, for days after 1970.
    let (day, second) = (at / 86_400 + 719_468, at % 86_400);
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_github_writes_them() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(iso(1_700_000_000), "2023-11-14T22:13:20Z");
    }
}
