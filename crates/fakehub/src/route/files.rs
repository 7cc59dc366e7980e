use http::StatusCode;
use serde_json::{Value, json};

use super::view::View;
use crate::{
    answer::{Answer, Media},
    ask::Ask,
    storage::{Store, plain_url, signed_url},
    world::{Repo, blob_sha},
};

/// Files of `main`, and archives of everything.
pub(super) fn read(view: View<'_>) -> Answer {
    let View { ask, repo, rest, .. } = view;
    match rest {
        ["readme"] => file(ask, repo, "README.md"),
        ["contents"] => ask.ok(&repo.files.keys().map(|path| entry(ask, repo, path)).collect()),
        ["contents", path @ ..] => file(ask, repo, &path.join("/")),
        [kind @ ("tarball" | "zipball"), reference @ ..] => {
            let (suffix, name) = (if *kind == "tarball" { "tar.gz" } else { "zip" }, reference.join("/"));
            let name = if name.is_empty() { "refs/heads/main" } else { &name };
            let path = format!("/{}/legacy.{suffix}/{name}", repo.full_name());
            let url = if repo.private {
                signed_url(&view.world.seed, ask.storage_url, Store::Codeload, &path, ask.now)
            } else {
                plain_url(ask.storage_url, Store::Codeload, &path)
            };
            Answer::found(url)
        }
        _ => Answer::not_found(),
    }
}

fn file(ask: &Ask<'_>, repo: &Repo, path: &str) -> Answer {
    let Some(text) = repo.files.get(path) else { return Answer::not_found() };
    match ask.media() {
        Some(Media::Raw) => Answer::media(Media::Raw, text.clone()),
        Some(Media::Html) => Answer::media(Media::Html, format!("<div id=\"file\"><article>{text}</article></div>")),
        _ => {
            let mut body = entry(ask, repo, path);
            body["encoding"] = json!("base64");
            body["content"] = json!(data_encoding::BASE64.encode(text.as_bytes()));
            ask.ok(&body)
        }
    }
}

/// A file as a listing shows it; a private one's `download_url` carries a credential of its reader.
pub(super) fn entry(ask: &Ask<'_>, repo: &Repo, path: &str) -> Value {
    let raw = plain_url(ask.storage_url, Store::Raw, &format!("/{}/main/{path}", repo.full_name()));
    let secret = ask.caller.login().map(|login| repo.file_token(login)).unwrap_or_default();
    let download_url = if secret.is_empty() { raw } else { format!("{raw}?token={secret}") };
    json!({
        "type": "file",
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": repo.files.get(path).map(|text| blob_sha(text)),
        "size": repo.files.get(path).map(String::len),
        "url": format!("{}/contents/{path}?ref=main", repo.api()),
        "html_url": format!("{}/blob/main/{path}", repo.html()),
        "git_url": repo.files.get(path).map(|text| format!("{}/git/blobs/{}", repo.api(), blob_sha(text))),
        "download_url": download_url,
    })
}

/// The refusal of a directory that does not exist, said by writes too.
pub(super) fn conflict(path: &str) -> Answer {
    let message = format!("{path} does not match");
    Answer::error(StatusCode::CONFLICT, &message, "https://docs.github.com/rest/repos/contents")
}
