//! The bytes that `docs/PROTOCOL.md` documents for the kinds besides announces.

use data_encoding::HEXLOWER;

use super::*;
use crate::Place;

fn vectors() -> Vec<(&'static str, Message)> {
    let (key, scope) = (KeyId([1; 16]), ScopeId([4; 16]));
    let member = Member {
        role: Role::Anchor,
        since: Millis(1_800_000_000_000),
        seq: 1_800_000_000_001,
        is_leaving: false,
        entries: 5,
        charged: 6,
        proofs: 7,
        hits: 8,
    };
    let claim = |purpose| Message::Claim(Claim { id: 9, key, scope, purpose, insists: false });
    let reply = |word| Message::ClaimReply(ClaimReply { id: 9, key, word });
    let news = |news| Message::LeaseNews(LeaseNews { id: 9, key, news });
    let graves = [
        Grave::Everything,
        Grave::Family(FamilyId([2; 16])),
        Grave::Key(key),
        Grave::Scope(scope),
        Grave::Denied(key, scope),
    ];
    let tombstones = graves.map(|of| Tombstone { of, date_secs: 1_800_000_000 }).to_vec();
    let ask = SyncWord::Ask { cutoff_secs: 1_800_000_030, frame: vec![0x61] };
    let known = SignedPeer {
        peer: Peer::new("12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"),
        addresses: vec!["/ip4/192.0.2.7/tcp/9100".to_owned()],
        role: Role::Anchor,
        issued_at: Millis(1_800_000_000_000),
        expires_at: Millis(1_800_001_800_000),
        signature: [7; 64],
    };
    vec![
        ("member", Message::Member(member)),
        ("claim_fill", claim(Purpose::Fill)),
        ("claim_proof", claim(Purpose::Proof)),
        ("claim_reply_granted", reply(ClaimWord::Granted { lease_ms: 3000, last: None })),
        ("claim_reply_wait", reply(ClaimWord::Wait { since_ms: 120 })),
        ("claim_reply_no", reply(ClaimWord::No)),
        ("claim_reply_failed", reply(ClaimWord::Ended(LeaseEnd::Failed { status: 502 }))),
        ("lease_news_renew", news(News::Renew)),
        ("lease_news_left", news(News::Left)),
        ("lease_news_alone", news(News::Ended(LeaseEnd::Alone))),
        ("tombstones", Message::Tombstones(tombstones)),
        ("sync_ask", Message::Sync(SyncStep { session: 3, entries: 5, word: ask })),
        ("want_places", Message::Want(Want { session: 3, word: WantWord::Places(vec![Place([6; 6])]) })),
        ("exchange", Message::Exchange(Exchange { records: vec![known], wants: true })),
        ("want_page", Message::Want(Want { session: 3, word: WantWord::Page { from: None, records_max: 256 } })),
    ]
}

#[test]
fn every_kind_has_the_bytes_that_the_protocol_documents() {
    let documented = documented();
    for (name, message) in vectors() {
        let bytes = message.encode().unwrap();
        assert_eq!(documented["messages"][name], HEXLOWER.encode(&bytes), "{name}");
        assert_eq!(Message::decode(&bytes).unwrap(), message, "{name}");
    }
    assert_eq!(documented["messages"].as_object().unwrap().len(), vectors().len());
}
