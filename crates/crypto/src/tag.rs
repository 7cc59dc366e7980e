use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wire::{KeyId, LimitNotice, LimitReading, Record, Tag};

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

    /// Binds every field of `notice` but the tag that it has.
    pub fn tag_limits(&self, notice: &LimitNotice) -> Tag {
        Tag(self.mac_limits(notice).finalize().into_bytes().into())
    }

    /// In constant time.
    pub fn verify_limits(&self, notice: &LimitNotice) -> bool {
        self.mac_limits(notice).verify_slice(&notice.tag.0).is_ok()
    }

    /// Its first part has another length than that of a record's, so no text stands for both.
    fn mac_limits(&self, notice: &LimitNotice) -> Hmac<Sha256> {
        let LimitNotice { site, scope, with, by, readings, stopped_until, refusals, heard_at, tag: _ } = notice;
        let mut mac = self.0.clone();
        for part in [&b"ghoard/1 limits"[..], &site.0, &scope.0, by.as_str().as_bytes()] {
            update_framed(&mut mac, part);
        }
        let numbers = [
            u64::from(stopped_until.is_some()),
            stopped_until.unwrap_or_default().0,
            u64::from(*refusals),
            heard_at.0,
            with.len() as u64,
            readings.len() as u64,
        ];
        numbers.into_iter().for_each(|number| update_framed(&mut mac, &number.to_be_bytes()));
        with.iter().for_each(|scope| update_framed(&mut mac, &scope.0));
        for LimitReading { resource, limit, remaining, used, reset } in readings {
            update_framed(&mut mac, resource.as_bytes());
            for number in [*limit, *remaining, *used, reset.0] {
                update_framed(&mut mac, &number.to_be_bytes());
            }
        }
        mac
    }

    /// The same for a refusal, which is told to who waits for it and to nobody else: what was announced as
    /// an answer is not one.
    pub fn tag_refusal(&self, key: KeyId, record: &Record) -> Tag {
        Tag(self.refusal_mac(key, record).finalize().into_bytes().into())
    }

    /// In constant time.
    pub fn verify_refusal(&self, key: KeyId, record: &Record, tag: &Tag) -> bool {
        self.refusal_mac(key, record).verify_slice(&tag.0).is_ok()
    }

    fn refusal_mac(&self, key: KeyId, record: &Record) -> Hmac<Sha256> {
        let mut mac = self.mac(key, record);
        update_framed(&mut mac, b"ghoard/1 refusal");
        mac
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
    use wire::{Digest, FamilyId, Header, Millis, Peer, ScopeId, Version};

    use super::*;

    fn notice() -> LimitNotice {
        let reading = LimitReading { resource: "core".into(), limit: 5000, remaining: 7, used: 4993, reset: Millis(9) };
        LimitNotice {
            site: FamilyId([1; 16]),
            scope: ScopeId([2; 16]),
            with: vec![ScopeId([3; 16])],
            by: Peer::new("a"),
            readings: vec![reading],
            stopped_until: Some(Millis(5)),
            refusals: 1,
            heard_at: Millis(4),
            tag: Tag([0; 32]),
        }
    }

    #[test]
    fn a_notice_is_good_as_its_credential_made_it() {
        let mut good = notice();
        good.tag = TagKey::of(b"Bearer a").tag_limits(&good);
        assert!(TagKey::of(b"Bearer a").verify_limits(&good));
        assert!(!TagKey::of(b"Bearer b").verify_limits(&good), "another credential");
        let changes: [fn(&mut LimitNotice); 15] = [
            |n| n.site = FamilyId([9; 16]),
            |n| n.scope = ScopeId([9; 16]),
            |n| n.with.clear(),
            |n| n.with.push(ScopeId([9; 16])),
            |n| n.by = Peer::new("b"),
            |n| n.readings.clear(),
            |n| n.readings[0].resource = "search".into(),
            |n| n.readings[0].limit += 1,
            |n| n.readings[0].remaining = 0,
            |n| n.readings[0].used += 1,
            |n| n.readings[0].reset.0 += 1,
            |n| n.stopped_until = None,
            |n| n.stopped_until = Some(Millis(6)),
            |n| n.refusals += 1,
            |n| n.heard_at.0 += 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = good.clone();
            change(&mut changed);
            assert!(!TagKey::of(b"Bearer a").verify_limits(&changed), "change {index}");
        }
    }

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

        let refusal = TagKey::of(b"Bearer a").tag_refusal(key, &good);
        assert!(TagKey::of(b"Bearer a").verify_refusal(key, &good, &refusal));
        assert!(!TagKey::of(b"Bearer a").verify_refusal(key, &good, &tag), "an answer is no refusal");
        assert!(!TagKey::of(b"Bearer a").verify(key, &good, &refusal), "nor the other way round");

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
