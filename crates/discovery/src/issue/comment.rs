//! The reference's comment around records that only members can read.

use crypto::SealingKey;
use data_encoding::BASE64;
use serde_json::{Value, json};
use wire::{Exchange, Message, Millis, SignedPeer};

use super::Signatures;
use crate::{iso, limits};

const MARKER: &str = "<!-- p2p-peer-registry:";
const FENCE: &str = "```json";

/// Binds what is sealed to its purpose, and to one repository.
fn bound(repository: &str) -> Vec<u8> {
    [b"ghoard/1 issue registry\n", repository.to_ascii_lowercase().as_bytes()].concat()
}

/// Why a comment is left out. It changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skipped {
    /// Not of this fleet: people's words, the reference's plain records, another secret, or bytes that
    /// were changed.
    Foreign,
    Oversized,
    /// Sealed with the fleet's key, and not signed by who it says it is.
    Forged,
    /// Its time is over.
    Expired,
    /// From further ahead of this clock, or for longer, than any may be.
    Untimely,
}

impl Skipped {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Oversized => "oversized",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Untimely => "untimely",
        }
    }
}

/// The text of a comment. `name` says nothing to a stranger; the reference's readers find no address in
/// it, and its cleaners see how old it is.
pub(super) fn write(
    repository: &str,
    sealing: &SealingKey,
    nonce: [u8; 24],
    name: &str,
    record: &SignedPeer,
    now: Millis,
) -> String {
    let records = Message::Exchange(Exchange { records: vec![record.clone()], wants: false });
    let plain = records.encode().expect("one record is far below the limit of a message");
    let sealed = BASE64.encode(&sealing.seal(nonce, &bound(repository), &plain));
    let body = json!({
        "peer_id": "",
        "runner_name": name,
        "public_ip": null,
        "listen_port": 0,
        "multiaddr": "",
        "last_seen": iso::format(now),
        "metadata": { "ghoard": sealed },
    });
    let body = serde_json::to_string_pretty(&body).expect("a JSON value has an encoding");
    format!("{MARKER}{name} -->\n{FENCE}\n{body}\n```\n")
}

/// The records in a comment, whatever their times; the writer's own is the first.
pub(super) fn read(
    repository: &str,
    sealing: &SealingKey,
    signatures: &dyn Signatures,
    text: &str,
) -> Result<Vec<SignedPeer>, Skipped> {
    if text.len() > limits::COMMENT_BYTES_MAX {
        return Err(Skipped::Oversized);
    }
    let records = open(repository, sealing, text).ok_or(Skipped::Foreign)?;
    let is_signed = |record: &SignedPeer| signatures.verify(&record.peer, &record.signed_bytes(), &record.signature);
    if records.is_empty() || !records.iter().all(is_signed) {
        return Err(Skipped::Forged);
    }
    Ok(records)
}

/// Why a record that was read does not count now.
pub(super) fn untimely(record: &SignedPeer, now: Millis) -> Option<Skipped> {
    match record.is_current(now) {
        true => None,
        false if record.expires_at <= now => Some(Skipped::Expired),
        false => Some(Skipped::Untimely),
    }
}

fn open(repository: &str, sealing: &SealingKey, text: &str) -> Option<Vec<SignedPeer>> {
    let (_, after) = text.split_once(MARKER)?;
    let (_, after) = after.split_once(FENCE)?;
    let (json, _) = after.split_once("```")?;
    let value: Value = serde_json::from_str(json).ok()?;
    let sealed = BASE64.decode(value["metadata"]["ghoard"].as_str()?.as_bytes()).ok()?;
    match Message::decode(&sealing.open(&bound(repository), &sealed).ok()?).ok()? {
        Message::Exchange(exchange) => Some(exchange.records),
        _ => None,
    }
}
