use serde_json::Value;

use super::view::{View, by_id};
use crate::{
    answer::Answer,
    storage::{Store, signed_url},
    world::Repo,
};

/// Releases and assets. `download_count` moves their bodies, and `Last-Modified` does not follow.
pub(super) fn read(view: View<'_>) -> Answer {
    let View { ask, repo, rest, .. } = view;
    let dated = |answer: Answer| answer.modified_at(Some(published(repo)));
    match rest {
        ["releases"] => dated(view.list(repo.releases.clone())),
        ["releases", "latest"] => dated(view.one(repo.releases.first())),
        ["releases", "tags", tag] => dated(view.one(repo.releases.iter().find(|release| release["tag_name"] == *tag))),
        ["releases", "assets", id] => match id.parse().ok().and_then(|id| repo.asset(id)) {
            Some(_) if ask.accepts("application/octet-stream") => {
                let path = format!("/github-production-release-asset/{}/{id}", repo.id);
                Answer::found(signed_url(&view.world.seed, ask.storage_url, Store::Assets, &path, ask.now))
            }
            asset => view.one(asset),
        },
        ["releases", id] => dated(view.one(by_id(&repo.releases, id))),
        ["releases", id, "assets"] => match by_id(&repo.releases, id) {
            Some(release) => view.list(release["assets"].as_array().cloned().unwrap_or_default()),
            None => Answer::not_found(),
        },
        _ => Answer::not_found(),
    }
}

/// The asset that a download from the website names, as the tail of a storage path.
pub(super) fn download(repo: &Repo, tag: &str, name: &str) -> Option<u64> {
    let release = repo.releases.iter().find(|release| release["tag_name"] == tag)?;
    let named = |asset: &&Value| asset["name"] == name;
    release["assets"].as_array()?.iter().find(named)?["id"].as_u64()
}

/// When the newest release came out, in Unix seconds. It stays where it was generated.
fn published(repo: &Repo) -> u64 {
    repo.created_at
}
