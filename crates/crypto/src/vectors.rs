//! The vectors of `docs/PROTOCOL.md` are what another implementation would be written against, so
//! they are read from there, not repeated here.

use data_encoding::HEXLOWER;
use serde_json::Value;
use wire::{Digest, FamilyId, Header, KeyId, LimitNotice, LimitReading, Millis, Peer, Record, ScopeId, Tag, Version};

use crate::{FleetKeys, Role, Secret, TagKey, Transcript};

fn vectors() -> Value {
    let text = include_str!("../../../docs/PROTOCOL.md");
    let (_, rest) = text.split_once("```json vectors\n").expect("PROTOCOL.md has a block of vectors");
    let (json, _) = rest.split_once("```").expect("the block of vectors ends");
    serde_json::from_str(json).expect("the vectors are JSON")
}

#[test]
fn the_derivations_are_those_that_the_protocol_documents() {
    let mut checked = 0;
    for vector in vectors()["secrets"].as_array().unwrap() {
        let secret = Secret::new(vector["secret"].as_str().unwrap());
        let keys = FleetKeys::derive(&secret);
        let transcript = Transcript {
            initiator: b"initiator",
            responder: b"responder",
            nonce_initiator: &[1; 32],
            nonce_responder: &[2; 32],
        };
        let found = serde_json::json!({
            "secret": secret.reveal(),
            "topic": keys.topic,
            "membership_name": HEXLOWER.encode(&keys.membership.name().0),
            "initiator_proof": HEXLOWER.encode(&keys.membership.prove(Role::Initiator, &transcript)),
            "key_id_of_abc": HEXLOWER.encode(&keys.ids.key_id(b"abc").0),
            "family_id_of_abc": HEXLOWER.encode(&keys.ids.family_id("abc").0),
            "scope_id_anonymous": HEXLOWER.encode(&keys.ids.scope_id(None).0),
            "scope_id_of_bearer_abc": HEXLOWER.encode(&keys.ids.scope_id(Some(b"Bearer abc")).0),
            "sealed_abc_bound_to_def": HEXLOWER.encode(&keys.sealing.seal([7; 24], b"def", b"abc")),
        });
        assert_eq!(&found, vector, "found: {found:#}");
        checked += 1;
    }
    assert_eq!(checked, 2, "one generated secret and one passphrase");
}

#[test]
fn the_tag_is_the_one_that_the_protocol_documents() {
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
    let tag = TagKey::of(b"Bearer abc").tag(KeyId([1; 16]), &record);
    assert_eq!(vectors()["tag_of_bearer_abc"], HEXLOWER.encode(&tag.0));
}

#[test]
fn the_tag_of_limits_is_the_one_that_the_protocol_documents() {
    let reset = Millis(1_800_003_600_000);
    let reading = LimitReading { resource: "core".into(), limit: 5000, remaining: 0, used: 5000, reset };
    let notice = LimitNotice {
        site: FamilyId([2; 16]),
        scope: ScopeId([4; 16]),
        with: vec![ScopeId([5; 16])],
        by: Peer::new("12D3KooW"),
        readings: vec![reading],
        stopped_until: Some(Millis(1_800_000_060_000)),
        refusals: 1,
        heard_at: Millis(1_800_000_000_000),
        tag: Tag([0; 32]),
    };
    let tag = TagKey::of(b"Bearer abc").tag_limits(&notice);
    assert_eq!(vectors()["tag_of_limits_of_bearer_abc"], HEXLOWER.encode(&tag.0));
}
