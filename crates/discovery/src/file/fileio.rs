use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

use crate::{PeerRecord, WhySkipped, limits};

pub(super) enum ReadError {
    /// It was removed since it was listed.
    Gone,
    Skip(WhySkipped),
}

/// Reads one record. A link is not followed and a pipe does not block: the folder may be anyone's.
pub(super) fn read(path: &Path) -> Result<PeerRecord, ReadError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).expect("open flags fit an int");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| unreadable(&error))?;
    if !file.metadata().map_err(|error| unreadable(&error))?.is_file() {
        return Err(ReadError::Skip(WhySkipped::NotAFile));
    }
    let mut bytes = Vec::new();
    file.take(limits::RECORD_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > limits::RECORD_BYTES_MAX {
        return Err(ReadError::Skip(WhySkipped::TooLarge { bytes_max: limits::RECORD_BYTES_MAX }));
    }
    PeerRecord::from_json(&bytes).map_err(|bad| ReadError::Skip(WhySkipped::Bad(bad)))
}

/// Writes a file beside `path` and renames it, so that a reader sees the old record or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("a record has a folder");
    // Runners of other users read the same folder.
    let mut file =
        tempfile::Builder::new().prefix(".ghoard-").permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    // Some file systems do not sync a folder; the rename is then as durable as they make it.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn probe(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".ghoard-").tempfile_in(folder)?;
    file.write_all(b"probe")
}

fn unreadable(error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Gone,
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => ReadError::Skip(WhySkipped::NotAFile),
        _ => ReadError::Skip(WhySkipped::Unreadable(error.to_string())),
    }
}
