use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wire::{KeyId, Record, Tag};

use crate::{derive, update_framed};

/// Makes and checks the tags of one credential.
///
/// The key comes from the credential itself, so only who holds the credential can make a tag, and
/// a tag is checked at the moment when a client presents the credential.
#[derive(Clone)]
pub struct TagKey(Hmac<Sha256>);

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagKey(set)")
    }
}

impl TagKey {
    /// `credential` is the whole credential as it is sent to the origin.
    pub fn of(credential: &[u8]) -> Self {
        let key: [u8; 32] = derive(credential, "ghoard/1 credential tag");
        Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
    }

    /// Binds every field of `record` to `key`.
    pub fn tag(&self, key: KeyId, record: &Record) -> Tag {
        Tag(self.mac(key, record).finalize().into_bytes().into())
    }

    /// In constant time.
    pub fn verify(&self, key: KeyId, record: &Record, tag: &Tag) -> bool {
        self.mac(key, record).verify_slice(&tag.0).is_ok()
    }

    fn mac(&self, key: KeyId, record: &Record) -> Hmac<Sha256> {
        let Record {
            family,
            version,
            status,
            headers,
            body_bytes,
            validated_at,
            fresh_until,
            proved_until,
            stale_until,
        } = record;
        let mut mac = self.0.clone();
        update_framed(&mut mac, &key.0);
        update_framed(&mut mac, &family.0);
        update_framed(&mut mac, &version.digest.0);
        for number in [
            version.date_secs,
            u64::from(*status),
            *body_bytes,
            validated_at.0,
            fresh_until.0,
            proved_until.0,
            stale_until.0,
            headers.len() as u64,
        ] {
            update_framed(&mut mac, &number.to_be_bytes());
        }
        for header in headers {
            update_framed(&mut mac, header.name.as_bytes());
            update_framed(&mut mac, &header.value);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use wire::{Digest, FamilyId, Header, Millis, Version};

    use super::*;

    pub(crate) fn record() -> Record {
        Record {
            family: FamilyId([2; 16]),
            version: Version { date_secs: 1_800_000_000, digest: Digest::of(b"{}") },
            status: 200,
            headers: vec![Header { name: "content-type".into(), value: "application/json".into() }],
            body_bytes: 2,
            validated_at: Millis(1),
            fresh_until: Millis(2),
            proved_until: Millis(3),
            stale_until: Millis(4),
        }
    }

    #[test]
    fn a_tag_is_good_for_its_credential_key_and_record_alone() {
        let (key, good) = (KeyId([1; 16]), record());
        let tag = TagKey::of(b"Bearer a").tag(key, &good);
        assert!(TagKey::of(b"Bearer a").verify(key, &good, &tag));
        assert!(!TagKey::of(b"Bearer b").verify(key, &good, &tag), "another credential");
        assert!(!TagKey::of(b"Bearer a").verify(KeyId([9; 16]), &good, &tag), "another key");

        let changes: [fn(&mut Record); 10] = [
            |r| r.family = FamilyId([9; 16]),
            |r| r.version.date_secs += 1,
            |r| r.version.digest = Digest::of(b"[]"),
            |r| r.status = 404,
            |r| r.headers.clear(),
            |r| r.body_bytes += 1,
            |r| r.validated_at.0 += 1,
            |r| r.fresh_until.0 += 1,
            |r| r.proved_until.0 += 1,
            |r| r.stale_until.0 += 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = good.clone();
            change(&mut changed);
            assert!(!TagKey::of(b"Bearer a").verify(key, &changed, &tag), "change {index}");
        }
    }
}
