use std::{io, path::PathBuf};

use wire::Digest;

use crate::SetAside;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The content makes no sense: set it aside and start afresh.
    #[error("database is corrupt: {why}")]
    Corrupt { why: String },
    /// Written by another ghoard: set it aside, or run that version.
    #[error("database has schema {found}, this ghoard knows {known}")]
    Schema { found: u32, known: u32 },
    #[error("could not use the database file {path}")]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the device failed while the database was opened")]
    Device(#[source] io::Error),
    #[error("could not open the database")]
    Database(#[source] Box<redb::Error>),
    #[error("could not set the corrupt database {path} aside")]
    SetAside {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Why it is not known whether the store holds something. Treat it as absent.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    #[error("could not read the database")]
    Read(#[source] Box<redb::Error>),
    /// The database contradicts itself; it is opened again by the next flush.
    #[error("database is inconsistent: {why}")]
    Inconsistent { why: String },
    /// The device failed so that not even reads are possible; the next flushes try again.
    #[error("database is closed since the device failed")]
    Closed,
}

/// Why an entry was not kept. The answer to the client does not depend on it.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Serve it, do not keep it; trying again will not help.
    #[error("entry of {entry_bytes} bytes exceeds the limit of {entry_bytes_max}")]
    TooLarge { entry_bytes: u64, entry_bytes_max: u64 },
    /// Too much waits for the disk; serve it, do not keep it.
    #[error("{pending_bytes} bytes already wait for the next flush")]
    Busy { pending_bytes: u64 },
    /// The record came without its body, and the body is not held.
    #[error("no body {digest} is held")]
    NoBody { digest: Digest },
    #[error("{graves_max} tombstones are remembered already")]
    TooManyGraves { graves_max: usize },
    #[error("record cannot be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
    #[error("could not look up what is there")]
    Lookup(#[source] GetError),
}

/// Why nothing became durable. What was put stays visible, and waits.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    #[error("could not commit to the database")]
    Commit(#[source] Box<redb::Error>),
    #[error("the device refused a write")]
    Device(#[source] io::Error),
    #[error("database is inconsistent: {why}")]
    Inconsistent { why: String },
    /// The database was damaged as a whole. It was moved out of the way, and a new one was begun; what was
    /// put since the last flush waits for the next one.
    #[error("the cache was damaged ({}); it is kept as {}, and a new one is begun", .0.why, .0.path.display())]
    SetAside(SetAside),
    /// The device failed lately and is left alone for a while.
    #[error("the device is not written since it failed: {why}")]
    Degraded { why: String },
}

/// Why a directory cannot hold the cache.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Another daemon works there. Stop; do not fall back.
    #[error("{path} is in use{}", pid.map(|p| format!(" by process {p}")).unwrap_or_default())]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error("{path} is a symbolic link")]
    Symlink { path: PathBuf },
    #[error("{path} is not a directory")]
    NotADirectory { path: PathBuf },
    #[error("{path} belongs to user {owner}, not to user {user}")]
    OtherOwner { path: PathBuf, owner: u32, user: u32 },
    /// Others could exchange the files in it.
    #[error("{path} can be written by others (mode {mode:o})")]
    OpenToOthers { path: PathBuf, mode: u32 },
    #[error("could not create {path}")]
    Create {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("could not open {path}")]
    Open {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("could not write in {path}")]
    NotWritable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}
