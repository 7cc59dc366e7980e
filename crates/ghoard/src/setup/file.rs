use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

/// Replaces what is in `path`, or in the file that it links to, at once; mode and owner stay.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = resolve(path)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let before = fs::metadata(&target).ok();
    // gh itself makes its files 0600.
    let mode = before.as_ref().map_or(0o600, |before| before.mode() & 0o7777);
    let mut file = tempfile::Builder::new().prefix(".ghoard-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(before) = before {
        let now = file.as_file().metadata()?;
        if (before.uid(), before.gid()) != (now.uid(), now.gid()) {
            chown(file.path(), Some(before.uid()), Some(before.gid()))?;
        }
    }
    fs::set_permissions(file.path(), Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

/// Follows links, also to a file that does not exist yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // The kernel's own limit.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new(".")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}
