use http::Method;
use serde_json::{Value, json};

use super::{Write, nothing};
use crate::{answer::Answer, auth::Role};

/// Releases and their assets; uploads come to `uploads.github.com` with the same paths.
pub(super) fn write(mut write: Write<'_>, rest: &[&str]) -> Result<Answer, Answer> {
    write.needs(Role::Write)?;
    let id = rest.last().and_then(|id| id.parse::<u64>().ok());
    match (write.ask.method, rest, id) {
        (&Method::POST, ["releases"], _) => create(write),
        (&Method::POST, ["releases", release, "assets"], _) => upload(write, release.parse().unwrap_or(0)),
        (&Method::PATCH, ["releases", _], Some(id)) => {
            let object = write.ask.object()?;
            let release = write.repo().releases.iter_mut().find(|release| release["id"] == id);
            let release = release.ok_or_else(Answer::not_found)?;
            for key in ["name", "body", "draft", "prerelease"] {
                if let Some(value) = object.get(key) {
                    release[key] = value.clone();
                }
            }
            let body = release.clone();
            Ok(write.ask.ok(&body))
        }
        (&Method::DELETE, ["releases", "assets", _], Some(id)) => {
            let lists = write.repo().releases.iter_mut().filter_map(|release| release["assets"].as_array_mut());
            let gone = lists.map(|assets| {
                let before = assets.len();
                assets.retain(|asset| asset["id"] != id);
                before - assets.len()
            });
            if gone.sum::<usize>() == 0 { Err(Answer::not_found()) } else { Ok(nothing()) }
        }
        (&Method::DELETE, ["releases", _], Some(id)) => {
            let releases = &mut write.repo().releases;
            let before = releases.len();
            releases.retain(|release| release["id"] != id);
            if releases.len() == before { Err(Answer::not_found()) } else { Ok(nothing()) }
        }
        _ => Err(Answer::not_found()),
    }
}

fn create(mut write: Write<'_>) -> Result<Answer, Answer> {
    let object = write.ask.object()?;
    let tag = object.get("tag_name").and_then(Value::as_str).ok_or_else(|| Answer::invalid("Release", "tag_name"))?;
    let id = write.world.fresh_id();
    let mut release = write.world.repos[&write.id].new_release(write.world, id, write.login, tag, write.ask.now);
    for key in ["name", "body", "draft", "prerelease"] {
        if let Some(value) = object.get(key) {
            release[key] = value.clone();
        }
    }
    let answer = write.created(&release);
    write.repo().releases.insert(0, release);
    Ok(answer)
}

fn upload(mut write: Write<'_>, release: u64) -> Result<Answer, Answer> {
    let name = write.ask.query.text("name").ok_or_else(|| Answer::invalid("ReleaseAsset", "name"))?;
    let id = write.world.fresh_id();
    let (bytes, now) = (write.ask.body.clone(), write.ask.now);
    let repo = &write.world.repos[&write.id];
    let found = repo.releases.iter().find(|one| one["id"] == release).ok_or_else(Answer::not_found)?;
    let tag = found["tag_name"].as_str().unwrap_or_default();
    let asset = repo.new_asset(write.world, id, write.login, tag, &name, bytes.len(), now);
    let answer = write.created(&asset);
    let repo = write.repo();
    repo.uploads.insert(id, bytes);
    let release = repo.releases.iter_mut().find(|one| one["id"] == release).expect("found above");
    match release["assets"].as_array_mut() {
        Some(assets) => assets.push(asset),
        None => release["assets"] = json!([asset]),
    }
    Ok(answer)
}
