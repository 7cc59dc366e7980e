use wire::{Digest, Place, Record};

use crate::index::At;

/// A record as one element of a set that is compared. It never changes: a later validation of the
/// same (key, scope) is another element.
///
/// Its place (6 bytes), so that two records of one (key, scope) are known as such; the version's date
/// (6), so that one knows which is newer; and a hash of the whole (20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element(pub [u8; 32]);

impl Element {
    pub fn of((key, scope): At, record: &Record) -> Self {
        let place = Digest::of(&[key.0, scope.0].concat());
        let date = record.version.date_secs.to_be_bytes();
        let validated_at = record.validated_at.0.to_be_bytes();
        let whole = Digest::of(&[&key.0[..], &scope.0, &date, &record.version.digest.0, &validated_at].concat());
        let mut id = [0; 32];
        id[..6].copy_from_slice(&place.0[..6]);
        id[6..12].copy_from_slice(&date[2..]);
        id[12..].copy_from_slice(&whole.0[..20]);
        Self(id)
    }

    pub fn place(self) -> Place {
        Place(self.0.first_chunk().copied().expect("an id has 32 bytes"))
    }

    pub fn date(self) -> [u8; 6] {
        self.0[Place::BYTES..].first_chunk().copied().expect("an id has 32 bytes")
    }
}
