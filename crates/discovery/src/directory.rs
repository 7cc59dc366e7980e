use std::{fmt, io, path::PathBuf};

use wire::Millis;

use crate::{BadRecord, PeerRecord};

/// A place where nodes leave their records. Calls block; nothing is cached between them.
pub trait Directory: Send + Sync {
    /// Leaves `me` in the directory, seen at `now`, in place of an earlier record of the same peer.
    ///
    /// Repeat it well within [`limits::RECORD_TTL`](crate::limits::RECORD_TTL); each call also heals what
    /// another writer did since.
    ///
    /// # Errors
    /// [`AnnounceError`] if the record did not get there; what was there before is still there.
    fn announce(&self, me: &PeerRecord, now: Millis) -> Result<Announced, AnnounceError>;

    /// Returns the peers seen lately, the latest first, one record per peer id.
    ///
    /// The caller's own record is among them.
    ///
    /// # Errors
    /// [`DiscoverError`] if the directory as a whole could not be read. A bad record is no error: it is
    /// in [`Found::skipped`].
    fn discover(&self, now: Millis) -> Result<Found, DiscoverError>;

    /// Takes the record of `me` back, and nobody else's. Done if there is none.
    ///
    /// # Errors
    /// [`WithdrawError`] if it may still be there; it then goes stale by itself.
    fn withdraw(&self, me: &PeerRecord) -> Result<(), WithdrawError>;
}

/// What became of an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    Written,
    /// The record was written, but under a second name: the live peer `other` uses the same runner
    /// name. Tools that go by the runner name see only one of the two: warn.
    Clash {
        other: String,
    },
    /// The directory only lists what it was given.
    ReadOnly,
}

/// What a discovery found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub peers: Vec<PeerRecord>,
    pub skipped: Vec<Skipped>,
}

/// A record that was left out, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// Where it is, in the directory's own words. Chosen by whoever wrote it: show it escaped, as
    /// `Display` does.
    pub name: String,
    pub why: WhySkipped,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.name, self.why)
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WhySkipped {
    #[error("is not a regular file")]
    NotAFile,
    #[error("is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error("could not be read: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Bad(BadRecord),
    #[error("was last seen {ahead_secs} s ahead of this machine's clock")]
    FromTheFuture { ahead_secs: u64 },
    #[error("and {more} further files are over the limit of {files_max}")]
    TooMany { more: usize, files_max: usize },
}

/// Why an announcement was not made.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// Other nodes would refuse it.
    #[error("this record cannot be announced")]
    Bad(#[source] BadRecord),
    #[error("could not write {path}")]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Why nothing could be discovered.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error("could not list {path}")]
    List {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Why a record may still be there.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    #[error("could not remove {path}")]
    Remove {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}
