//! Who else is out there: places where nodes announce themselves and find each other.
//!
//! A [`Directory`] holds [`PeerRecord`]s. Its calls block, and are made through `task::Tasks::block`.
//! What a directory returns is a rumour: anyone who can write to the place can plant a record. It
//! is good for dialling, and proves nothing; membership is proved in the connection upgrade.
//!
//! Invariants, each with a test:
//! * a reader never sees half a record, also not after a crash of the writer;
//! * a live record of another peer is never overwritten;
//! * no file makes a reader hang, follow a link, or use more memory than [`limits`] says;
//! * whatever is left out is named.
//!
//! # Example
//! ```
//! use discovery::{Announced, Directory, FileDirectory, PeerRecord};
//! use wire::Millis;
//!
//! let dir = tempfile::tempdir()?;
//! let directory = FileDirectory::open(dir.path())?;
//! let me = PeerRecord::new("12D3KooWexample", "local-reader", 9101, "/ip4/127.0.0.1/tcp/9101/p2p/12D3KooWexample");
//! let now = Millis::from_secs(1_800_000_000);
//! assert_eq!(directory.announce(&me, now)?, Announced::Written);
//! assert_eq!(directory.discover(now)?.peers[0].peer_id, "12D3KooWexample");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod conformance;
mod directory;
mod file;
mod iso;
mod issue;
pub mod limits;
mod list;
mod record;

pub use directory::{AnnounceError, Announced, Directory, DiscoverError, Found, Skipped, WhySkipped, WithdrawError};
pub use file::{FileDirectory, OpenError, default_dirs};
pub use iso::{ParseTimeError, format as iso_text};
pub use issue::{
    Around, Call, Candidate, IssueConfig, IssueRegistry, IssueStatus, Outcome, Reply, Signatures, Verb, is_told,
    signed_record,
};
pub use list::StaticDirectory;
pub use record::{BadRecord, PeerRecord};
