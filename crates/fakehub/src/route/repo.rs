use http::StatusCode;
use serde_json::{Value, json};

use super::{actions, files, git, issues, moving, releases, view::View};
use crate::{
    answer::Answer,
    ask::Ask,
    document::Documents,
    world::{World, iso},
};

/// Everything under a repository that the caller may read.
pub(super) fn read(view: View<'_>, documents: &mut Documents) -> Answer {
    let View { world, ask, repo, rest, .. } = view;
    match rest {
        [] => ask.ok(&repo.full(world, ask.caller)).modified_at(Some(repo.updated_at)),
        ["issues" | "pulls" | "labels", ..] => issues::read(view),
        ["actions", ..] | ["check-runs", ..] => actions::read(view),
        ["releases", ..] => releases::read(view),
        ["git", "blobs", blob] if blob.starts_with("size-") => {
            let size = blob.strip_prefix("size-").and_then(|size| size.parse().ok());
            let body = size.and_then(|size| documents.sized(&world.seed, repo.id, size));
            body.map_or_else(Answer::not_found, |body| Answer::raw(StatusCode::OK, body))
        }
        ["git" | "commits" | "branches" | "tags", ..] => git::read(view),
        ["readme" | "contents" | "tarball" | "zipball", ..] => files::read(view),
        ["events"] | ["stats", _] | [_, "alerts"] => moving::read(view),
        ["contributors"] => view.list(repo.contributors.clone()),
        ["collaborators"] => view.list(vec![world.simple_user(&repo.owner)]),
        ["languages"] => ask.ok(&json!({ repo.language: 10_000 + repo.stars })),
        ["topics"] => ask.ok(&json!({ "names": [] })),
        ["teams"] => view.list(Vec::new()),
        _ => Answer::not_found(),
    }
}

/// The redirect from a former name, for those who may see the repository.
pub(super) fn moved(world: &World, ask: &Ask<'_>, id: u64, rest: &[&str]) -> Answer {
    if ask.caller.role(&world.repos[&id]).is_none() {
        return Answer::not_found();
    }
    let tail: String = rest.iter().map(|segment| format!("/{segment}")).collect();
    let url = format!("{}/repositories/{id}{tail}", ask.api_url);
    let permanent = ask.is_read();
    let status = if permanent { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    let message = if permanent { "Moved Permanently" } else { "Temporary Redirect" };
    let body = json!({ "message": message, "url": url, "documentation_url": "https://docs.github.com/rest" });
    Answer::new(status, &body).untagged().with_header("location", url)
}

/// 451, the answer of every route of a repository that a court or a law took away.
pub(super) fn blocked(ask: &Ask<'_>) -> Answer {
    let body: Value = json!({
        "message": "Repository access blocked",
        "block": { "reason": "dmca", "created_at": iso(ask.now), "html_url": "https://github.com/github/dmca" },
    });
    Answer::new(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, &body).untagged()
}
