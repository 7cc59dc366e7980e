use serde_json::Value;

use crate::{
    answer::{Answer, Caching},
    ask::Ask,
    auth::Role,
    page::listing,
    world::{Repo, World},
};

/// What a by-SHA answer says that it is good for, in seconds.
///
/// Source: recordings of `/git/trees/{sha}`, observed.
const BY_SHA_SECS: u32 = 86_400;

/// A repository that the caller may see, and what they want of it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) ask: &'a Ask<'a>,
    pub(super) repo: &'a Repo,
    pub(super) role: Role,
    /// The path's segments after the repository.
    pub(super) rest: &'a [&'a str],
}

impl View<'_> {
    /// A page of `items`, whose `Link` names the repository by its id.
    pub(super) fn list(&self, items: Vec<Value>) -> Answer {
        listing(self.ask, &self.base(), items, None)
    }

    /// The same as an object of `total_count` and `key`.
    pub(super) fn counted(&self, key: &str, items: Vec<Value>) -> Answer {
        listing(self.ask, &self.base(), items, Some(key))
    }

    pub(super) fn one(&self, found: Option<&Value>) -> Answer {
        found.map_or_else(Answer::not_found, |value| self.ask.ok(value))
    }

    /// An object of git: by its full id it never changes and says so.
    pub(super) fn by_sha(&self, sha: &str, found: Option<&Value>) -> Answer {
        let answer = self.one(found);
        let is_sha = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        let good = answer.status == http::StatusCode::OK && is_sha;
        if good { answer.with_caching(Caching::Tagged(BY_SHA_SECS)) } else { answer }
    }

    fn base(&self) -> String {
        format!("/repositories/{}/{}", self.repo.id, self.rest.join("/"))
    }
}

/// The item of `items` with this `id`, as it was written in a path.
pub(super) fn by_id<'a>(items: impl IntoIterator<Item = &'a Value>, id: &str) -> Option<&'a Value> {
    let id: u64 = id.parse().ok()?;
    items.into_iter().find(|item| item["id"] == id)
}
