use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{FamilyId, Header, Millis, Version};

fn bytes_of(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), len).prop_map(Bytes::from)
}

prop_compose! {
    fn record()(
        family: [u8; 16], digest: [u8; 32], date_secs: u64, status in 200u16..600, times: [u64; 4],
        body_bytes in 0..limits::BODY_BYTES_MAX,
        headers in prop::collection::vec(("[a-z-]{1,12}", bytes_of(0..40)), 0..4),
    ) -> Record {
        Record {
            family: FamilyId(family),
            version: Version { date_secs, digest: Digest(digest) },
            status,
            headers: headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            body_bytes,
            validated_at: Millis(times[0]),
            fresh_until: Millis(times[1]),
            proved_until: Millis(times[2]),
            stale_until: Millis(times[3]),
        }
    }
}

prop_compose! {
    fn announcement()(
        key: [u8; 16], scope: [u8; 16], record in record(),
        tag in prop::option::of(any::<[u8; 32]>()), body in prop::option::of(bytes_of(0..200)),
    ) -> Announcement {
        Announcement {
            key: KeyId(key),
            scope: ScopeId(scope),
            record,
            tag: tag.map(Tag),
            body: body.map(|encoded| Body { form: Form::Identity, encoded }),
            holder: None,
        }
    }
}

proptest! {
    #[test]
    fn a_message_survives_its_encoding(records in prop::collection::vec(announcement(), 0..8)) {
        let message = Message::Announce(records);
        prop_assert_eq!(Message::decode(&message.encode().unwrap()).unwrap(), message);
    }

    #[test]
    fn hostile_bytes_give_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::decode(&bytes);
        let _ = PullRequest::decode(&bytes);
        let _ = PullReply::decode(&bytes);
    }

    #[test]
    fn a_damaged_message_gives_an_error_or_a_message(
        records in prop::collection::vec(announcement(), 1..3), at: prop::sample::Index, to: u8,
    ) {
        let mut bytes = Message::Announce(records).encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Message::decode(&bytes);
    }
}

fn envelope(version: u8, kind: u8, body: Vec<u8>) -> Vec<u8> {
    rmp_serde::to_vec_named(&Envelope { version, kind, body }).unwrap()
}

#[test]
fn unknown_versions_and_kinds_are_named_so_that_they_can_be_skipped() {
    assert!(matches!(Message::decode(&envelope(9, 1, vec![])), Err(DecodeError::UnknownVersion(9))));
    assert!(matches!(Message::decode(&envelope(1, 77, vec![])), Err(DecodeError::UnknownKind(77))));
}

/// What a later version might send: one field more than this one knows.
#[derive(Serialize)]
struct LaterRequest {
    k: KeyId,
    s: ScopeId,
    d: Digest,
    window: u32,
}

#[test]
fn unknown_fields_are_ignored() {
    let (k, s, d) = (KeyId([1; 16]), ScopeId([2; 16]), Digest([3; 32]));
    let later = rmp_serde::to_vec_named(&LaterRequest { k, s, d, window: 8 }).unwrap();
    assert_eq!(PullRequest::decode(&later).unwrap(), PullRequest { key: k, scope: s, digest: d, from_segment: 0 });
}

#[test]
fn an_announce_has_the_bytes_that_the_protocol_documents() {
    let record = Record {
        family: FamilyId([2; 16]),
        version: Version { date_secs: 1_800_000_000, digest: Digest::of(b"{}") },
        status: 200,
        headers: vec![Header { name: "content-type".into(), value: "application/json".into() }],
        body_bytes: 2,
        validated_at: Millis(1_800_000_000_000),
        fresh_until: Millis(1_800_000_060_000),
        proved_until: Millis(1_800_000_060_000),
        stale_until: Millis(1_800_003_660_000),
    };
    let body = Some(Body { form: Form::Identity, encoded: "{}".into() });
    let announcement = Announcement {
        key: KeyId([1; 16]),
        scope: ScopeId([4; 16]),
        record,
        tag: Some(Tag([5; 32])),
        body,
        holder: None,
    };
    let bytes = Message::Announce(vec![announcement]).encode().unwrap();
    let text = include_str!("../../../../docs/PROTOCOL.md");
    let (_, rest) = text.split_once("```json vectors\n").unwrap();
    let vectors: serde_json::Value = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
    assert_eq!(vectors["announce"], data_encoding::HEXLOWER.encode(&bytes));
}

#[test]
fn a_length_that_lies_does_not_allocate() {
    // MessagePack: an array header that claims 2^32 - 1 elements.
    let claim = [0xdd, 0xff, 0xff, 0xff, 0xff];
    assert!(Message::decode(&claim).is_err());
    assert!(Message::decode(&envelope(1, KIND_ANNOUNCE, claim.to_vec())).is_err());
}

#[test]
fn a_body_or_record_over_its_limit_is_refused() {
    let oversize = limits::MESSAGE_BYTES_MAX + 1;
    assert!(
        matches!(Message::decode(&vec![0; oversize]), Err(DecodeError::TooLong { bytes, .. }) if bytes == oversize)
    );
}
