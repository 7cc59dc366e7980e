use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use tempfile::TempDir;
use wire::Millis;

use crate::{Device, DirError, DiskConfig, DiskStore, FileDevice, OpenError, OpenReport, SetAside, limits};

const DATABASE: &str = "ghoard.redb";
const LOCK: &str = "ghoard.lock";
const PROBE: &str = "ghoard.probe";
const SET_ASIDE_PREFIX: &str = "ghoard.redb.corrupt-";

/// A directory that is ours alone as long as this value lives.
///
/// It belongs to our user, is no symbolic link, can be written, and is locked against a second
/// daemon. Everything in it is opened relative to it, and no symbolic link is followed.
#[derive(Debug)]
pub struct CacheDir {
    path: PathBuf,
    dir: OwnedFd,
    /// Locked until it is closed.
    _lock: File,
    /// Removes the directory in the end, if it is a temporary one.
    _temporary: Option<TempDir>,
}

/// The wanted directory could not be used; the cache does not outlive this process.
#[derive(Debug)]
pub struct Degraded {
    pub wanted: PathBuf,
    pub why: DirError,
    pub using: PathBuf,
}

impl CacheDir {
    /// Creates `path` with mode 0700 where it is missing, checks it, and locks it.
    ///
    /// That it can be written is found by writing: mode bits say nothing of a read-only mount, and
    /// nothing to root.
    pub fn prepare(path: &Path) -> Result<Self, DirError> {
        create(path).map_err(|cause| at(path, cause, |path, cause| DirError::Create { path, cause }))?;
        let dir = open_dir(path)?;
        check_owner(&dir, path)?;
        write_probe(&dir).map_err(|cause| DirError::NotWritable { path: path.to_owned(), cause })?;
        let lock = lock(&dir, path)?;
        Ok(Self { path: path.to_owned(), dir, _lock: lock, _temporary: None })
    }

    /// As [`prepare`](Self::prepare), or with a private temporary directory if `path` cannot be used.
    ///
    /// # Errors
    /// [`DirError::InUse`]: two daemons on one directory are a mistake to be told, not to be worked
    /// around. Any other if there is no temporary directory either.
    pub fn prepare_or_fallback(path: &Path) -> Result<(Self, Option<Degraded>), DirError> {
        let why = match Self::prepare(path) {
            Ok(dir) => return Ok((dir, None)),
            Err(in_use @ DirError::InUse { .. }) => return Err(in_use),
            Err(why) => why,
        };
        let ours_alone = std::fs::Permissions::from_mode(0o700);
        let temporary = tempfile::Builder::new().prefix("ghoard-").permissions(ours_alone).tempdir();
        let temporary = temporary.map_err(|cause| DirError::Create { path: std::env::temp_dir(), cause })?;
        let using = temporary.path().to_owned();
        let dir = Self { _temporary: Some(temporary), ..Self::prepare(&using)? };
        Ok((dir, Some(Degraded { wanted: path.to_owned(), why, using })))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the database in this directory. A corrupt one, or one of another schema, is set aside
    /// under a name that ends in the seconds of `now`, and the store starts afresh.
    ///
    /// The directory must outlive the store.
    pub fn open_store(&self, config: DiskConfig, now: Millis) -> Result<(DiskStore, OpenReport), OpenError> {
        let place = self.place()?;
        let (store, report) = match place.open(config.clone(), now) {
            Err(why @ (OpenError::Corrupt { .. } | OpenError::Schema { .. })) => {
                let set_aside = SetAside { path: place.set_aside(now)?, why: why.to_string() };
                let (store, report) = place.open(config, now)?;
                store.note_set_aside(set_aside.clone());
                (store, OpenReport { set_aside: Some(set_aside), ..report })
            }
            result => result?,
        };
        let exchange = move |now| {
            let path = place.set_aside(now)?;
            Ok((Box::new(place.device()?) as Box<dyn Device>, path))
        };
        Ok((store.with_exchange(Box::new(exchange)), report))
    }

    fn place(&self) -> Result<Place, OpenError> {
        let path = self.path.clone();
        let dir = self.dir.try_clone().map_err(|cause| OpenError::File { path: path.clone(), cause })?;
        Ok(Place { path, dir })
    }
}

/// Where the database is, or will be.
struct Place {
    path: PathBuf,
    dir: OwnedFd,
}

impl Place {
    fn open(&self, config: DiskConfig, now: Millis) -> Result<(DiskStore, OpenReport), OpenError> {
        let device = self.device()?;
        // An empty file is a new one; redb writes its magic number last, and never zeros in its place.
        let mut beginning = [0; 9];
        if device.read(0, &mut beginning).is_ok() && beginning == [0; 9] {
            let why = "it begins with zeros: it was overwritten, or its creation was cut short".to_owned();
            return Err(OpenError::Corrupt { why });
        }
        DiskStore::open(Box::new(device), config, now)
    }

    fn device(&self) -> Result<FileDevice, OpenError> {
        let failed = |cause| OpenError::File { path: self.path.join(DATABASE), cause };
        let file = open_file(&self.dir, DATABASE).map_err(failed)?;
        FileDevice::new(file).map_err(failed)
    }

    fn set_aside(&self, now: Millis) -> Result<PathBuf, OpenError> {
        self.rename(now).map_err(|cause| OpenError::SetAside { path: self.path.join(DATABASE), cause: cause.into() })
    }

    fn rename(&self, now: Millis) -> Result<PathBuf, Errno> {
        let name = format!("{SET_ASIDE_PREFIX}{}", now.as_secs());
        rustix::fs::renameat(&self.dir, DATABASE, &self.dir, name.as_str())?;
        let mut older: Vec<_> = rustix::fs::Dir::read_from(&self.dir)?
            .filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| name.starts_with(SET_ASIDE_PREFIX))
            .collect();
        older.sort_unstable_by_key(|name| (name.len(), name.clone()));
        let surplus = older.len().saturating_sub(limits::SET_ASIDE_FILES_MAX);
        for name in older.iter().take(surplus) {
            rustix::fs::unlinkat(&self.dir, name.as_str(), AtFlags::empty())?;
        }
        Ok(self.path.join(name))
    }
}

fn create(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}

fn open_dir(path: &Path) -> Result<OwnedFd, DirError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
        let path = path.to_owned();
        let is_symlink = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_symlink());
        match errno {
            Errno::LOOP | Errno::NOTDIR if is_symlink => DirError::Symlink { path },
            Errno::NOTDIR => DirError::NotADirectory { path },
            cause => DirError::Open { path, cause: cause.into() },
        }
    })
}

fn check_owner(dir: &OwnedFd, path: &Path) -> Result<(), DirError> {
    let stat = rustix::fs::fstat(dir).map_err(|cause| DirError::Open { path: path.to_owned(), cause: cause.into() })?;
    let user = rustix::process::geteuid().as_raw();
    if stat.st_uid != user {
        return Err(DirError::OtherOwner { path: path.to_owned(), owner: stat.st_uid, user });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(DirError::OpenToOthers { path: path.to_owned(), mode: mode.as_raw_mode() });
    }
    Ok(())
}

fn write_probe(dir: &OwnedFd) -> io::Result<()> {
    open_file(dir, PROBE)?.write_all(b"ghoard")?;
    Ok(rustix::fs::unlinkat(dir, PROBE, AtFlags::empty())?)
}

fn lock(dir: &OwnedFd, path: &Path) -> Result<File, DirError> {
    let failed = |cause| DirError::NotWritable { path: path.join(LOCK), cause };
    let mut file = open_file(dir, LOCK).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.take(16).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(DirError::InUse { path: path.to_owned(), pid });
        }
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
    }
    // For the message to the second daemon; the lock itself ends with the process.
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed)?;
    Ok(file)
}

/// Opens or creates a file of mode 0600, and refuses what is not a plain file of ours.
fn open_file(dir: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::RDWR;
    let file = rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?;
    let stat = rustix::fs::fstat(&file)?;
    let is_plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1;
    if !is_plain || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{name} is not a plain file of ours")));
    }
    Ok(file.into())
}

/// Names what stands in the way rather than the step, where that is known.
fn at(path: &Path, cause: io::Error, otherwise: impl FnOnce(PathBuf, io::Error) -> DirError) -> DirError {
    match cause.kind() {
        io::ErrorKind::NotADirectory => DirError::NotADirectory { path: path.to_owned() },
        _ => otherwise(path.to_owned(), cause),
    }
}
