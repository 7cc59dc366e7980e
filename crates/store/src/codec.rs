//! How a record and a body look on disk.

use bytes::Bytes;
use wire::{Body, Form};

use crate::{EntryKey, Space, StoredRecord};

/// Another byte here is another layout: such a record counts as absent.
const RECORD_VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// Encodes as version, checksum, MessagePack.
///
/// The checksum covers where the record belongs, so that one found in a wrong place is not taken
/// for the one that was asked for. It guards against accidents, not against an enemy of the disk.
pub fn encode_record(space: Space, key: &EntryKey, record: &StoredRecord) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let packed = rmp_serde::to_vec(record)?;
    let mut bytes = Vec::with_capacity(1 + CHECKSUM_BYTES + packed.len());
    bytes.push(RECORD_VERSION);
    bytes.extend_from_slice(&checksum(space, key, &packed).to_be_bytes());
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}

/// Returns `None` for an unknown version and for damage.
pub fn decode_record(space: Space, key: &EntryKey, bytes: &[u8]) -> Option<StoredRecord> {
    let rest = bytes.strip_prefix(&[RECORD_VERSION])?;
    let (sum, packed) = rest.split_at_checked(CHECKSUM_BYTES)?;
    if sum != checksum(space, key, packed).to_be_bytes() {
        return None;
    }
    rmp_serde::from_slice(packed).ok()
}

/// Encodes as one byte of form, then the encoded body.
pub(crate) fn encode_body(body: &Body) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + body.encoded.len());
    bytes.push(form_byte(body.form));
    bytes.extend_from_slice(&body.encoded);
    bytes
}

/// Returns `None` for an unknown form.
pub(crate) fn decode_body(bytes: &[u8]) -> Option<Body> {
    let (form, encoded) = bytes.split_first()?;
    let form = [Form::Identity, Form::Gzip].into_iter().find(|f| form_byte(*f) == *form)?;
    Some(Body { form, encoded: Bytes::copy_from_slice(encoded) })
}

/// The size a body has in the store's count.
pub(crate) fn stored_body_bytes(body: &Body) -> u64 {
    1 + body.encoded.len() as u64
}

pub(crate) fn is_same_body(stored: &[u8], body: &Body) -> bool {
    stored.split_first() == Some((&form_byte(body.form), &body.encoded[..]))
}

fn form_byte(form: Form) -> u8 {
    match form {
        Form::Identity => 0,
        Form::Gzip => 1,
    }
}

/// FNV-1a over the place and the content.
fn checksum(space: Space, key: &EntryKey, packed: &[u8]) -> u64 {
    let place = key.to_bytes();
    let all = [space as u8].into_iter().chain(place).chain(packed.iter().copied());
    all.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
