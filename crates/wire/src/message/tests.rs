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

fn notice() -> LimitNotice {
    let reading = LimitReading {
        resource: "actions_runner_registration".into(),
        limit: u64::MAX,
        remaining: u64::MAX,
        used: u64::MAX,
        reset: Millis(u64::MAX),
    };
    LimitNotice {
        site: FamilyId([255; 16]),
        scope: ScopeId([255; 16]),
        with: vec![ScopeId([255; 16]); limits::LIMIT_KIN_MAX],
        by: Peer::new("1".repeat(limits::PEER_CHARS_MAX)),
        readings: vec![reading; limits::LIMIT_READINGS_MAX],
        stopped_until: Some(Millis(u64::MAX)),
        refusals: u32::MAX,
        heard_at: Millis(u64::MAX),
        tag: Tag([255; 32]),
    }
}

#[test]
fn a_message_full_of_the_largest_notices_can_be_sent_and_a_larger_one_is_refused() {
    let full = Message::Limits(vec![notice(); limits::LIMIT_NOTICES_MAX]);
    assert_eq!(Message::decode(&full.encode().unwrap()).unwrap(), full);
    let refused = |notices: Vec<LimitNotice>| Message::decode(&Message::Limits(notices).encode().unwrap());
    let many = vec![LimitNotice { with: vec![], readings: vec![], ..notice() }; limits::LIMIT_NOTICES_MAX + 1];
    assert!(matches!(refused(many), Err(DecodeError::TooMany { .. })));
    let changes: [fn(&mut LimitNotice); 3] = [
        |notice| notice.with.push(ScopeId([0; 16])),
        |notice| notice.readings.push(notice.readings[0].clone()),
        |notice| notice.readings[0].resource = "x".repeat(limits::LIMIT_RESOURCE_BYTES_MAX + 1),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut large = notice();
        change(&mut large);
        assert!(matches!(refused(vec![large]), Err(DecodeError::RecordLimits)), "change {index}");
    }
}

#[test]
fn a_notice_stops_until_the_last_of_its_stops() {
    let mut notice = LimitNotice { readings: vec![], stopped_until: Some(Millis(5)), ..notice() };
    assert_eq!((notice.stop(), notice.is_current(Millis(5))), (Some(Millis(5)), false));
    let reading = LimitReading { resource: "core".into(), limit: 60, remaining: 1, used: 59, reset: Millis(9) };
    notice.readings.push(reading);
    assert_eq!((notice.stop(), notice.is_current(Millis(8))), (Some(Millis(5)), true));
    notice.readings[0].remaining = 0;
    assert_eq!((notice.stop(), notice.is_current(Millis(9))), (Some(Millis(9)), false));
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
    assert_eq!(documented()["announce"], data_encoding::HEXLOWER.encode(&bytes));
}

/// The vectors of the protocol's page.
fn documented() -> serde_json::Value {
    let text = include_str!("../../../../docs/PROTOCOL.md");
    let (_, rest) = text.split_once("```json vectors\n").unwrap();
    serde_json::from_str(rest.split_once("```").unwrap().0).unwrap()
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

fn ask(frame_bytes: usize) -> Message {
    let word = SyncWord::Ask { cutoff_secs: 1_800_000_030, frame: vec![7; frame_bytes] };
    Message::Sync(SyncStep { session: 9, entries: 5000, word })
}

fn want(word: WantWord) -> Message {
    Message::Want(Want { session: 9, word })
}

#[test]
fn the_words_of_a_comparison_survive_their_encoding() {
    let cursor = Cursor { validated_at: Millis(5), key: KeyId([1; 16]), scope: ScopeId([2; 16]) };
    let words = [
        ask(limits::SYNC_FRAME_BYTES_MAX),
        Message::Sync(SyncStep { session: 1, entries: 0, word: SyncWord::Answer { frame: vec![0x61] } }),
        Message::Sync(SyncStep { session: 1, entries: 0, word: SyncWord::No }),
        want(WantWord::Places(vec![Place([3; 6]); limits::TOLD_RECORDS_MAX])),
        want(WantWord::Page { from: Some(cursor), records_max: 256 }),
        want(WantWord::Page { from: None, records_max: 256 }),
        want(WantWord::Told { next: Some(cursor) }),
    ];
    for message in words {
        assert_eq!(Message::decode(&message.encode().unwrap()).unwrap(), message);
    }
}

#[test]
fn a_frame_or_a_wish_over_its_limit_is_refused() {
    let over = [
        ask(limits::SYNC_FRAME_BYTES_MAX + 1),
        want(WantWord::Places(vec![Place([3; 6]); limits::TOLD_RECORDS_MAX + 1])),
        want(WantWord::Page { from: None, records_max: 257 }),
    ];
    for message in over {
        let read = Message::decode(&message.encode().unwrap());
        assert!(matches!(read, Err(DecodeError::RecordLimits)), "{read:?}");
    }
}

fn known_peer() -> SignedPeer {
    SignedPeer {
        peer: Peer::new("1".repeat(limits::PEER_CHARS_MAX)),
        addresses: vec!["/".repeat(limits::ADDRESS_BYTES_MAX); limits::PEER_ADDRESSES_MAX],
        role: Role::Ephemeral,
        issued_at: Millis(u64::MAX),
        expires_at: Millis(u64::MAX),
        signature: [255; 64],
    }
}

#[test]
fn an_exchange_full_of_the_largest_records_can_be_sent_and_a_larger_one_is_refused() {
    let exchange = |records| Message::Exchange(Exchange { records, wants: true });
    let full = exchange(vec![known_peer(); limits::EXCHANGE_RECORDS_MAX]);
    let bytes = full.encode().unwrap();
    assert!(bytes.len() < 10_000, "{}", bytes.len());
    assert_eq!(Message::decode(&bytes).unwrap(), full);
    let many = exchange(vec![known_peer(); limits::EXCHANGE_RECORDS_MAX + 1]);
    assert!(matches!(Message::decode(&many.encode().unwrap()), Err(DecodeError::TooMany { .. })));
    let changes: [fn(&mut SignedPeer); 2] =
        [|peer| peer.addresses.push("/".to_owned()), |peer| peer.addresses[0].push('/')];
    for change in changes {
        let mut large = known_peer();
        change(&mut large);
        let read = Message::decode(&exchange(vec![large]).encode().unwrap());
        assert!(matches!(read, Err(DecodeError::RecordLimits)), "{read:?}");
    }
}

#[test]
fn every_field_of_a_peer_s_record_is_signed() {
    let record = SignedPeer { issued_at: Millis(5), expires_at: Millis(9), ..known_peer() };
    let changes: [fn(&mut SignedPeer); 6] = [
        |record| record.peer = Peer::new("2"),
        |record| record.addresses.truncate(1),
        |record| record.addresses[1].replace_range(0..1, "x"),
        |record| record.role = Role::Anchor,
        |record| record.issued_at = Millis(6),
        |record| record.expires_at = Millis(10),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut changed = record.clone();
        change(&mut changed);
        assert_ne!(changed.signed_bytes(), record.signed_bytes(), "change {index}");
    }
    assert_eq!(SignedPeer { signature: [0; 64], ..record.clone() }.signed_bytes(), record.signed_bytes());
}

#[test]
fn a_peer_s_record_counts_in_its_time_alone() {
    let now = Millis::from_secs(1_800_000_000);
    let good = SignedPeer { issued_at: now, expires_at: now.after(limits::PEER_RECORD_LIFE_MAX), ..known_peer() };
    assert!(good.is_current(now) && !good.is_current(good.expires_at));
    assert!(good.is_current(now.before(limits::CLOCK_AHEAD_MAX)));
    assert!(!good.is_current(now.before(limits::CLOCK_AHEAD_MAX + std::time::Duration::from_millis(1))));
    let long = SignedPeer { expires_at: Millis(good.expires_at.0 + 1), ..good };
    assert!(!long.is_current(now));
}

#[test]
fn an_answer_is_not_told_as_a_refusal() {
    let told = |status: u16| {
        let record = Record {
            family: FamilyId([2; 16]),
            version: Version { date_secs: 1, digest: Digest::of(b"") },
            status,
            headers: vec![],
            body_bytes: 0,
            validated_at: Millis(1),
            fresh_until: Millis(1),
            proved_until: Millis(1),
            stale_until: Millis(1),
        };
        let (key, scope) = (KeyId([1; 16]), ScopeId([4; 16]));
        let told = Announcement { key, scope, record, tag: None, body: None, holder: None };
        let word = ClaimWord::Ended(LeaseEnd::Told(Box::new(told)));
        Message::decode(&Message::ClaimReply(ClaimReply { id: 1, key, word }).encode().unwrap())
    };
    assert!(matches!(told(200), Err(DecodeError::RecordLimits)));
    assert!(matches!(told(304), Err(DecodeError::RecordLimits)));
    assert!(told(404).is_ok());
}

mod vectors;
