//! `ghoard setup gh`: one line in gh's own configuration, and back.

mod edit;
mod file;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{config::World, output};
pub(crate) use edit::{CannotEdit, yaml_text};

/// What `setup gh` did. Each is a success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// gh uses the cache from now on.
    Written(PathBuf),
    /// It already did.
    Unchanged(PathBuf),
    /// The file is as it was before.
    Restored(PathBuf),
    /// Setup had made the file, so it is gone.
    Removed(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("gh's configuration has no place, as none of GH_CONFIG_DIR, XDG_CONFIG_HOME and HOME is set")]
    NoFolder,
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{} is not changed", path.display())]
    Edit {
        path: PathBuf,
        #[source]
        cause: CannotEdit,
    },
    #[error("could not write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Returns the folder in which gh looks for its configuration.
pub(crate) fn gh_config_dir(world: &World<'_>) -> Option<PathBuf> {
    let named = world.variable("GH_CONFIG_DIR").map(PathBuf::from);
    let xdg = || world.variable("XDG_CONFIG_HOME").map(|folder| Path::new(folder).join("gh"));
    let home = || world.variable("HOME").map(|home| Path::new(home).join(".config/gh"));
    named.or_else(xdg).or_else(home)
}

/// Makes every gh that reads the configuration in `folder` use `socket`.
///
/// Doing it again changes nothing. Every other byte of the file stays, and so does its mode; a link
/// stays a link.
///
/// # Errors
/// [`SetupError`]; the file is then as it was.
pub(crate) fn setup(folder: &Path, socket: &Path) -> Result<Done, SetupError> {
    let path = folder.join("config.yml");
    let before = read(&path)?;
    let after =
        edit::with_socket(before.as_deref(), socket).map_err(|cause| SetupError::Edit { path: path.clone(), cause })?;
    if before.as_ref() == Some(&after) {
        return Ok(Done::Unchanged(path));
    }
    match file::replace(&path, &after) {
        Ok(()) => Ok(Done::Written(path)),
        Err(cause) => Err(SetupError::Write { path, cause }),
    }
}

/// Takes back what [`setup`] did, to the byte, and leaves what was changed since.
///
/// # Errors
/// [`SetupError`]; the file is then as it was.
pub(crate) fn undo(folder: &Path) -> Result<Done, SetupError> {
    let path = folder.join("config.yml");
    let Some(before) = read(&path)? else { return Ok(Done::Unchanged(path)) };
    let after = match edit::without_socket(&before) {
        edit::Undone::Nothing => return Ok(Done::Unchanged(path)),
        edit::Undone::Remove => None,
        edit::Undone::Write(after) => Some(after),
    };
    let written = match &after {
        Some(after) => file::replace(&path, after),
        None => std::fs::remove_file(&path),
    };
    match written {
        Ok(()) if after.is_some() => Ok(Done::Restored(path)),
        Ok(()) => Ok(Done::Removed(path)),
        Err(cause) => Err(SetupError::Write { path, cause }),
    }
}

/// Whether [`setup`] has been done in `folder` and not undone.
pub(crate) fn is_done(folder: &Path) -> bool {
    let config = read(&folder.join("config.yml")).ok().flatten();
    config.is_some_and(|config| edit::without_socket(&config) != edit::Undone::Nothing)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SetupError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(SetupError::Read { path: path.to_owned(), cause }),
    }
}

/// Tells the person at the terminal what was done, and what it means.
pub(crate) fn report(done: &Done, undo: bool, socket: &Path) {
    match done {
        Done::Written(path) => {
            output::note(&format!("{}: gh now goes through {}", path.display(), socket.display()));
            output::hint(
                "while the daemon is down, gh then fails; `ghoard gh` goes direct. Undo: `ghoard setup gh --undo`",
            );
        }
        Done::Unchanged(path) if undo => output::note(&format!("{}: nothing of ghoard's to undo", path.display())),
        Done::Unchanged(path) => {
            output::note(&format!("{}: gh already goes through {}", path.display(), socket.display()));
        }
        Done::Restored(path) => output::note(&format!("{}: restored", path.display())),
        Done::Removed(path) => output::note(&format!("{}: removed, as `ghoard setup gh` had made it", path.display())),
    }
}
