use data_encoding::BASE64;
use http::Method;
use serde_json::{Map, Value, json};

use super::{Write, nothing};
use crate::{
    answer::Answer,
    auth::Role,
    route::files::{conflict, entry},
    world::blob_sha,
};

/// Files and references; every change of a file is a commit on `main`.
pub(super) fn write(mut write: Write<'_>, rest: &[&str]) -> Result<Answer, Answer> {
    write.needs(Role::Write)?;
    match (write.ask.method, rest) {
        (&Method::PUT, ["contents", path @ ..]) => put(write, &path.join("/")),
        (&Method::DELETE, ["contents", path @ ..]) => delete(write, &path.join("/")),
        (&Method::POST, ["git", "refs"]) => {
            let object = write.ask.object()?;
            let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
            let name = text("ref").strip_prefix("refs/heads/").ok_or_else(|| Answer::invalid("Reference", "ref"))?;
            point(write, name, text("sha"), true)
        }
        (&Method::PATCH, ["git", "refs", "heads", name @ ..]) => {
            let object = write.ask.object()?;
            point(write, &name.join("/"), object.get("sha").and_then(Value::as_str).unwrap_or_default(), false)
        }
        (&Method::DELETE, ["git", "refs", "heads", name @ ..]) => {
            let (name, repo) = (name.join("/"), write.repo());
            let before = repo.branches.len();
            repo.branches.retain(|branch| branch["name"] != name.as_str());
            if repo.branches.len() == before {
                return Err(Answer::unprocessable("Reference does not exist"));
            }
            Ok(nothing())
        }
        _ => Err(Answer::not_found()),
    }
}

fn put(mut write: Write<'_>, path: &str) -> Result<Answer, Answer> {
    let object = write.ask.object()?;
    let content = object.get("content").and_then(Value::as_str).map(|text| text.replace('\n', ""));
    let bytes = content.and_then(|text| BASE64.decode(text.as_bytes()).ok());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| Answer::unprocessable("content is not valid Base64"))?;
    let is_new = check(&mut write, &object, path)?;
    let answer = commit(&mut write, &object, path, Some(text));
    Ok(if is_new { Answer { status: http::StatusCode::CREATED, ..answer } } else { answer })
}

fn delete(mut write: Write<'_>, path: &str) -> Result<Answer, Answer> {
    let object = write.ask.object()?;
    if check(&mut write, &object, path)? {
        return Err(Answer::not_found());
    }
    Ok(commit(&mut write, &object, path, None))
}

/// Whether the file is new; what is there already has to be named by its `sha`.
fn check(write: &mut Write<'_>, object: &Map<String, Value>, path: &str) -> Result<bool, Answer> {
    let Some(text) = write.repo().files.get(path) else { return Ok(true) };
    let named = object.get("sha").and_then(Value::as_str) == Some(blob_sha(text).as_str());
    if named { Ok(false) } else { Err(conflict(path)) }
}

fn commit(write: &mut Write<'_>, object: &Map<String, Value>, path: &str, text: Option<String>) -> Answer {
    let message = object.get("message").and_then(Value::as_str).unwrap_or("Update").to_owned();
    let (now, sha, gone) = (write.ask.now, write.world.seed.hex(40), text.is_none());
    write.repo().set_file(path, text);
    let commit = write.world.repos[&write.id].new_commit(write.world, &sha, write.login, &message, now);
    let body = json!({ "sha": sha, "message": message, "url": commit["url"] });
    write.repo().push(commit, now);
    let repo = &write.world.repos[&write.id];
    let content = if gone { Value::Null } else { entry(write.ask, repo, path) };
    write.ask.ok(&json!({ "content": content, "commit": body }))
}

/// Makes or moves a branch to a commit that exists.
fn point(mut write: Write<'_>, name: &str, sha: &str, new: bool) -> Result<Answer, Answer> {
    let repo = write.repo();
    let commit = repo.commits.iter().find(|commit| commit["sha"] == sha);
    let commit = commit.ok_or_else(|| Answer::unprocessable("Object does not exist"))?;
    let target = json!({ "sha": sha, "url": commit["url"] });
    let url = format!("{}/git/refs/heads/{name}", repo.api());
    match (repo.branches.iter_mut().find(|branch| branch["name"] == name), new) {
        (Some(_), true) => return Err(Answer::unprocessable("Reference already exists")),
        (None, false) => return Err(Answer::unprocessable("Reference does not exist")),
        (Some(branch), false) => branch["commit"] = target,
        (None, true) => repo.branches.push(json!({ "name": name, "commit": target, "protected": false })),
    }
    let body = json!({ "ref": format!("refs/heads/{name}"), "url": url, "object": { "type": "commit", "sha": sha } });
    Ok(if new { write.created(&body) } else { write.ask.ok(&body) })
}
