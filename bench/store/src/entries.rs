//! The entries that all rivals keep: a record as GitHub's answers make it, and a body of random bytes.

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use store::{EntryKey, Source, StoredRecord};
use wire::{Body, Digest, FamilyId, Form, Header, KeyId, Millis, Record, ScopeId, Tag, Version};

pub(crate) struct Entry {
    pub(crate) key: EntryKey,
    pub(crate) stored: StoredRecord,
    pub(crate) body: Body,
    /// The record as bytes, for those who keep bytes: nobody but ghoard is charged for encoding it.
    pub(crate) record_bytes: Vec<u8>,
}

/// Far enough away that nothing expires during a run, in milliseconds.
pub(crate) const NEVER: Millis = Millis(1 << 45);

/// The `n`th entry, with a body of `bytes`. The same `n` and `bytes` are the same entry.
pub(crate) fn entry(n: u64, bytes: usize) -> Entry {
    let mut random = StdRng::seed_from_u64(n ^ (bytes as u64) << 32);
    let mut plain = vec![0; bytes];
    random.fill_bytes(&mut plain);
    let mut family = [0; 16];
    random.fill_bytes(&mut family);
    let key = key(n);
    let record = Record {
        family: FamilyId(family),
        version: Version { date_secs: 1_700_000_000 + n, digest: Digest::of(&plain) },
        status: 200,
        headers: headers(),
        body_bytes: bytes as u64,
        validated_at: Millis(n),
        fresh_until: Millis(NEVER.0 - 2000),
        proved_until: Millis(NEVER.0 - 1000),
        stale_until: Millis(NEVER.0 + n),
    };
    let tag = Some(Tag([7; 32]));
    let stored = StoredRecord { record, etag: Some(format!("W/\"{:064x}\"", n)), source: Source::Origin, tag };
    let record_bytes = rmp_serde::to_vec(&stored).expect("a record of ours is encodable");
    Entry { key, stored, body: Body { form: Form::Identity, encoded: Bytes::from(plain) }, record_bytes }
}

/// The key of the `n`th entry: as evenly spread as keyed hashes are.
pub(crate) fn key(n: u64) -> EntryKey {
    let mut id = [0; 16];
    StdRng::seed_from_u64(n).fill_bytes(&mut id);
    EntryKey { scope: ScopeId([(n % 4) as u8; 16]), key: KeyId(id) }
}

pub(crate) fn entries(count: usize, bytes: usize) -> Vec<Entry> {
    (0..count as u64).map(|n| entry(n, bytes)).collect()
}

/// What is kept of the headers of an ordinary answer.
fn headers() -> Vec<Header> {
    let pairs = [
        ("content-type", "application/json; charset=utf-8"),
        ("last-modified", "Sat, 21 Nov 2026 08:00:00 GMT"),
        ("link", "<https://api.github.com/repositories/1/issues?page=2>; rel=\"next\""),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-oauth-scopes", "repo"),
    ];
    pairs.map(|(name, value)| Header { name: name.to_owned(), value: Bytes::from_static(value.as_bytes()) }).into()
}
