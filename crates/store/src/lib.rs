//! What this machine keeps: records by (scope, key), bodies by digest.
//!
//! Promises, for every [`Store`]:
//!
//! - What [`Store::put`] took is visible at once and durable after the next [`Store::flush`]. A
//!   crash loses what was not flushed, and nothing else.
//! - Every record that comes back is whole and is the one that was asked for. Bodies come back as
//!   they were put; the caller verifies their digest before it serves them.
//! - A body goes when the last record that names it goes, in whichever [`Space`].
//! - Every size has a limit in [`limits`]; over it the answer is a refusal.
//! - A disk that fails costs durability. Reads go on, and the store tries again by itself.
//!
//! The store knows no peer, no URL and no clock: the time is handed in.
//!
//! ```
//! # use store::{EntryKey, MemoryStore, Source, Space, Store, StoredRecord};
//! # use wire::{Body, Digest, FamilyId, KeyId, Millis, Record, ScopeId, Version};
//! # let record = Record {
//! #     family: FamilyId([3; 16]), version: Version { date_secs: 1, digest: Digest::of(b"{}") }, status: 200,
//! #     headers: vec![], body_bytes: 2, validated_at: Millis(0), fresh_until: Millis(60_000),
//! #     proved_until: Millis(60_000), stale_until: Millis(90_000),
//! # };
//! let store = MemoryStore::new(1 << 20, [7; 32]);
//! let key = EntryKey { scope: ScopeId([1; 16]), key: KeyId([2; 16]) };
//! let entry = StoredRecord { record, etag: Some("\"x\"".into()), source: Source::Origin, tag: None };
//! store.put(Space::Local, key, entry.clone(), Some(Body::from_plain("{}".into())))?;
//! assert_eq!(store.get(Space::Local, &key)?, Some(entry));
//! let report = store.flush(Millis(90_000))?;
//! assert_eq!(report.expired, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "conformance")]
pub mod codec;
#[cfg(not(feature = "conformance"))]
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod disk;
mod error;
mod evict;
mod files;
mod hot;
pub mod limits;
mod memory;
#[cfg(feature = "conformance")]
pub mod sim_disk;
mod store;

pub use disk::{Device, DiskConfig, DiskStore, FileDevice, OpenReport, SetAside};
pub use error::{DirError, FlushError, GetError, OpenError, PutError};
pub use files::{CacheDir, Degraded};
pub use hot::Hot;
pub use memory::MemoryStore;
pub use store::{EntryKey, FlushReport, Source, Space, Stats, Store, StoredRecord};
