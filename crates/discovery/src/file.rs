use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use wire::Millis;

use crate::{
    AnnounceError, Announced, Directory, DiscoverError, Found, PeerRecord, Skipped, WhySkipped, WithdrawError, limits,
};

mod fileio;
mod name;
#[cfg(test)]
mod tests;

/// A folder of `peer_<runner>.json` files, as the reference keeps it. It may be shared, also over NFS.
#[derive(Clone, Debug)]
pub struct FileDirectory {
    path: PathBuf,
}

/// Why a folder cannot serve as a directory.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("could not create {path}")]
    Create {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// It exists; mode bits do not tell whether a read-only mount is under it, so a file was tried.
    #[error("could not write to {path}")]
    NotWritable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Where the reference looks when nothing is configured: its folder, and the one it falls back to.
pub fn default_dirs(home: Option<&Path>) -> Vec<PathBuf> {
    let own = home.map(|home| home.join(".cache/p2p_peers"));
    own.into_iter().chain([PathBuf::from("/tmp/ipfs_accelerate_p2p_peers")]).collect()
}

impl FileDirectory {
    /// Creates the folder where it is missing, and makes sure by a file that it can be written.
    ///
    /// # Errors
    /// [`OpenError`] if this user cannot write there; the reference then uses the next of [`default_dirs`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let path = path.into();
        if let Err(cause) = fs::create_dir_all(&path) {
            return Err(OpenError::Create { path, cause });
        }
        if let Err(cause) = fileio::probe(&path) {
            return Err(OpenError::NotWritable { path, cause });
        }
        Ok(Self { path })
    }

    /// Opens the first of `paths` that works, and says which did not.
    ///
    /// # Errors
    /// The last [`OpenError`] if none works.
    ///
    /// # Panics
    /// If `paths` is empty.
    pub fn open_first(paths: impl IntoIterator<Item = PathBuf>) -> Result<(Self, Vec<OpenError>), OpenError> {
        let mut failed = Vec::new();
        for path in paths {
            match Self::open(path) {
                Ok(directory) => return Ok((directory, failed)),
                Err(error) => failed.push(error),
            }
        }
        Err(failed.pop().expect("there is at least one path to try"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names of at most [`limits::RECORDS_MAX`] record files, the first ones by name.
    fn list(&self) -> io::Result<(BTreeSet<OsString>, usize)> {
        let (mut names, mut more) = (BTreeSet::new(), 0);
        for entry in fs::read_dir(&self.path)? {
            let file = entry?.file_name();
            if !name::is_record(&file.to_string_lossy()) {
                continue;
            }
            names.insert(file);
            if names.len() > limits::RECORDS_MAX {
                names.pop_last();
                more += 1;
            }
        }
        Ok((names, more))
    }

    /// Returns the live record in `file` if it is of another peer than `me`.
    fn other_live(&self, file: &str, me: &PeerRecord, now: Millis) -> Option<PeerRecord> {
        let there = fileio::read(&self.path.join(file)).ok()?;
        let live = matches!(age(&there, now), Age::Live);
        (live && there.peer_id != me.peer_id).then_some(there)
    }

    fn remove_own(&self, file: &str, me: &PeerRecord) -> io::Result<()> {
        let path = self.path.join(file);
        match fileio::read(&path) {
            Ok(there) if there.peer_id == me.peer_id => fileio::remove(&path),
            _ => Ok(()),
        }
    }
}

impl Directory for FileDirectory {
    fn announce(&self, me: &PeerRecord, now: Millis) -> Result<Announced, AnnounceError> {
        me.check().map_err(AnnounceError::Bad)?;
        let (first, second) = (name::of_runner(&me.runner_name), name::of_peer(&me.runner_name, &me.peer_id));
        let clash = self.other_live(&first, me, now);
        let path = self.path.join(if clash.is_some() { &second } else { &first });
        let json = PeerRecord { last_seen: now, ..me.clone() }.to_json();
        fileio::replace(&path, &json).map_err(|cause| AnnounceError::Write { path, cause })?;
        let Some(other) = clash else {
            // Left from a clash that is over. If it stays, it goes stale; readers take one record per peer.
            let _ = self.remove_own(&second, me);
            return Ok(Announced::Written);
        };
        Ok(Announced::Clash { other: other.peer_id })
    }

    fn discover(&self, now: Millis) -> Result<Found, DiscoverError> {
        let list_failed = |cause| DiscoverError::List { path: self.path.clone(), cause };
        let (names, more) = self.list().map_err(list_failed)?;
        let mut skipped = Vec::new();
        let mut newest = BTreeMap::<String, PeerRecord>::new();
        for name in names {
            let path = self.path.join(&name);
            let why = match fileio::read(&path) {
                Ok(record) => match age(&record, now) {
                    Age::Live => {
                        let known = newest.entry(record.peer_id.clone()).or_insert_with(|| record.clone());
                        if known.last_seen < record.last_seen {
                            *known = record;
                        }
                        continue;
                    }
                    Age::Stale => {
                        // Its owner may be writing it anew right now, and writes it again within its
                        // next interval; so a removal that comes too late costs one round.
                        let _ = fileio::remove(&path);
                        continue;
                    }
                    Age::Ahead(ahead_secs) => WhySkipped::FromTheFuture { ahead_secs },
                },
                // Somebody else's removal: not ours to name.
                Err(fileio::ReadError::Gone) => continue,
                Err(fileio::ReadError::Skip(why)) => why,
            };
            skipped.push(Skipped { name: name.to_string_lossy().into_owned(), why });
        }
        if more > 0 {
            let name = self.path.display().to_string();
            skipped.push(Skipped { name, why: WhySkipped::TooMany { more, files_max: limits::RECORDS_MAX } });
        }
        let mut peers: Vec<_> = newest.into_values().collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.last_seen));
        Ok(Found { peers, skipped })
    }

    fn withdraw(&self, me: &PeerRecord) -> Result<(), WithdrawError> {
        for file in [name::of_runner(&me.runner_name), name::of_peer(&me.runner_name, &me.peer_id)] {
            let failed = |cause| WithdrawError::Remove { path: self.path.join(&file), cause };
            self.remove_own(&file, me).map_err(failed)?;
        }
        Ok(())
    }
}

enum Age {
    Live,
    Stale,
    Ahead(u64),
}

fn age(record: &PeerRecord, now: Millis) -> Age {
    let ahead = record.last_seen.since(now);
    if ahead > limits::AHEAD_MAX {
        Age::Ahead(ahead.as_secs())
    } else if now.since(record.last_seen) > limits::RECORD_TTL {
        Age::Stale
    } else {
        Age::Live
    }
}
