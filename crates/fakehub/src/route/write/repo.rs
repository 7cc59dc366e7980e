use http::Method;
use serde_json::Value;

use super::{Write, nothing};
use crate::{answer::Answer, auth::Role};

/// `PATCH` of `name`, `description` and `private`, and `DELETE`, which takes the name away.
pub(super) fn write(mut write: Write<'_>) -> Result<Answer, Answer> {
    write.needs(Role::Admin)?;
    let now = write.ask.now;
    match *write.ask.method {
        Method::PATCH => {
            let object = write.ask.object()?;
            if let Some(name) = object.get("name").and_then(Value::as_str) {
                let full_name = write.repo().full_name();
                write.world.rename(&full_name, name).map_err(|_| Answer::not_found())?;
            }
            let repo = write.repo();
            if let Some(text) = object.get("description").and_then(Value::as_str) {
                text.clone_into(&mut repo.description);
            }
            if let Some(private) = object.get("private").and_then(Value::as_bool) {
                repo.private = private;
            }
            repo.touch(now);
            let repo = &write.world.repos[&write.id];
            Ok(write.ask.ok(&repo.full(write.world, write.ask.caller)))
        }
        Method::DELETE => {
            write.world.remove_repo(write.id);
            Ok(nothing())
        }
        _ => Err(Answer::not_found()),
    }
}
