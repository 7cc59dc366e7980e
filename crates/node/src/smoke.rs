use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use crypto::TagKey;
use fleet::{Across, Want};
use github::Ask;
use tokio::sync::broadcast::{self, error::RecvError};
use wire::{Announcement, Body, Digest, KeyId, Peer, Record, ScopeId, Version};

use crate::{
    cache::now,
    sharing::{Sharing, Word},
};

/// How long a synthetic entry lives, as the guides say.
const SMOKE_TTL: Duration = Duration::from_secs(600);

/// An entry that shows whether two machines share, in a namespace that no HTTP route reads.
#[derive(Clone, Debug)]
pub struct SmokeEntry {
    pub target: String,
    pub payload: Bytes,
}

/// What a reader got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The entry is for whoever asks as this node does.
    Body { bytes: Bytes, from: Option<Peer> },
    /// The entry is here, but it belongs to another credential.
    OtherCredential { from: Peer },
}

/// What a smoke test waits for.
#[derive(Clone)]
pub struct Awaited {
    key: KeyId,
    scope: ScopeId,
    tag_key: Option<TagKey>,
}

impl Awaited {
    pub fn synthetic(sharing: &Sharing, target: &str) -> Self {
        let keys = &sharing.keys;
        let key = keys.ids.key_id(format!("smoke\n{target}").as_bytes());
        Self { key, scope: keys.ids.scope_id(Some(&keys.smoke)), tag_key: Some(TagKey::of(&keys.smoke)) }
    }

    pub fn answer_to(sharing: &Sharing, ask: &Ask) -> Self {
        let credential = ask.credential.as_ref().map(github::Credential::reveal);
        let ids = &sharing.keys.ids;
        Self { key: ids.key_id(&ask.key()), scope: ids.scope_id(credential), tag_key: credential.map(TagKey::of) }
    }
}

/// Writes a synthetic entry, as if the origin had just given it.
pub async fn write(sharing: &Arc<Sharing>, entry: SmokeEntry) {
    let awaited = Awaited::synthetic(sharing, &entry.target);
    let now = now();
    let record = Record {
        family: sharing.keys.ids.family_id("smoke"),
        version: Version { date_secs: now.as_secs(), digest: Digest::of(&entry.payload) },
        status: 200,
        headers: Vec::new(),
        body_bytes: entry.payload.len() as u64,
        validated_at: now,
        fresh_until: now.after(SMOKE_TTL),
        proved_until: now.after(SMOKE_TTL),
        stale_until: now.after(SMOKE_TTL),
    };
    let Awaited { key, scope, tag_key } = awaited;
    let tag = tag_key.map(|tag_key| tag_key.tag(key, &record));
    let body = Some(Body::from_plain(entry.payload));
    sharing.share(Announcement { key, scope, record, tag, body, holder: None }).await;
}

/// What came from peers since this was made.
pub struct Receipts(pub(crate) broadcast::Receiver<(KeyId, ScopeId, Peer)>);

/// Waits until an entry has come from a peer. The caller sets the time-out.
pub async fn read(sharing: &Arc<Sharing>, awaited: Awaited, Receipts(mut received): Receipts) -> Receipt {
    let mut from = None;
    loop {
        // It may be here from an earlier run, or its body may have to be pulled.
        let Awaited { key, scope, tag_key } = awaited.clone();
        let (word, _) = sharing.ask_for(key, scope, tag_key, Want::Stale, Across::Nothing, None, None).await;
        if let Word::Told(lead) = word {
            return Receipt::Body { bytes: lead.plain, from };
        }
        from = loop {
            match received.recv().await {
                Ok((key, scope, from)) if key == awaited.key && scope == awaited.scope => break Some(from),
                Ok((key, _, from)) if key == awaited.key => return Receipt::OtherCredential { from },
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break None,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        };
    }
}
