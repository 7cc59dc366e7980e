use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Body, Digest, Form, KeyId, Peer, Record, ScopeId, Tag, limits};

/// Version of the messages below. A reader skips what has another one.
pub const PROTOCOL_VERSION: u8 = 1;

/// What one member tells another, after unsealing.
///
/// Each is encoded as MessagePack: an [`Envelope`] of version, kind and body. Fields go by short
/// names: within a version, unknown ones are ignored and missing ones take their defaults.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// "I hold these": gossiped after fills, and sent to who has missed some.
    Announce(Vec<Announcement>),
    /// "This is who I am."
    Member(Member),
    Claim(Claim),
    ClaimReply(ClaimReply),
    LeaseNews(LeaseNews),
    /// "Serve nothing so old of these."
    Tombstones(Vec<Tombstone>),
    /// "So much is left, and for so long GitHub wants to be left alone."
    Limits(Vec<LimitNotice>),
    Sync(SyncStep),
    Want(Want),
    /// "These machines can be reached so."
    Exchange(Exchange),
}

/// The outermost form of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    #[serde(rename = "v")]
    pub version: u8,
    #[serde(rename = "k")]
    pub kind: u8,
    #[serde(rename = "b", with = "serde_bytes")]
    pub body: Vec<u8>,
}

const KIND_ANNOUNCE: u8 = 1;
const KIND_MEMBER: u8 = 2;
const KIND_CLAIM: u8 = 3;
const KIND_CLAIM_REPLY: u8 = 4;
const KIND_LEASE_NEWS: u8 = 5;
const KIND_TOMBSTONES: u8 = 6;
const KIND_LIMITS: u8 = 7;
const KIND_SYNC: u8 = 8;
const KIND_WANT: u8 = 9;
const KIND_EXCHANGE: u8 = 10;

/// One record that the sender holds, body included if it is small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    #[serde(rename = "k")]
    pub key: KeyId,
    #[serde(rename = "s")]
    pub scope: ScopeId,
    #[serde(rename = "r")]
    pub record: Record,
    /// Absent for anonymous answers only.
    #[serde(rename = "t", default)]
    pub tag: Option<Tag>,
    #[serde(rename = "b", default)]
    pub body: Option<Body>,
    /// Who holds the body, where that is not who says so.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Peer>,
}

/// What a node knows of one (key, scope) of the fleet: an announcement without its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    pub record: Record,
    pub tag: Option<Tag>,
}

/// "Send me this body." The key and scope bind the sealed segments of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PullRequest {
    #[serde(rename = "k")]
    pub key: KeyId,
    #[serde(rename = "s")]
    pub scope: ScopeId,
    #[serde(rename = "d")]
    pub digest: Digest,
    /// The first segment that is wanted: what is before it is here already.
    #[serde(rename = "o", default, skip_serializing_if = "is_zero")]
    pub from_segment: u32,
}

/// Precedes the segments of a pulled body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PullReply {
    /// The body follows, `encoded_bytes` in all, in segments of [`limits::SEGMENT_BYTES`].
    Found {
        #[serde(rename = "f")]
        form: Form,
        #[serde(rename = "n")]
        encoded_bytes: u64,
        /// The number of the first segment that follows: the one that was asked for, or 0 of a holder
        /// that cannot begin there.
        #[serde(rename = "o", default, skip_serializing_if = "is_zero")]
        from_segment: u32,
    },
    Absent,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("message of {bytes} bytes exceeds the limit of {bytes_max}")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error("message cannot be written as MessagePack")]
    MessagePack(#[from] rmp_serde::encode::Error),
}

/// Why bytes are not a message for us. A peer's bad message is an input, not a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("message of {bytes} bytes exceeds the limit of {bytes_max}")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error("message is not valid MessagePack")]
    MessagePack(#[from] rmp_serde::decode::Error),
    /// From a newer or older ghoard: skip it.
    #[error("message has version {0}, this node speaks {PROTOCOL_VERSION}")]
    UnknownVersion(u8),
    /// From a newer ghoard: skip it.
    #[error("message has unknown kind {0}")]
    UnknownKind(u8),
    #[error("message holds {records} records, more than {records_max}")]
    TooMany { records: usize, records_max: usize },
    #[error("a record exceeds its limits")]
    RecordLimits,
}

impl Message {
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let (kind, body) = match self {
            Self::Announce(records) => (KIND_ANNOUNCE, rmp_serde::to_vec_named(records)?),
            Self::Member(member) => (KIND_MEMBER, rmp_serde::to_vec_named(member)?),
            Self::Claim(claim) => (KIND_CLAIM, rmp_serde::to_vec_named(claim)?),
            Self::ClaimReply(reply) => (KIND_CLAIM_REPLY, rmp_serde::to_vec_named(reply)?),
            Self::LeaseNews(news) => (KIND_LEASE_NEWS, rmp_serde::to_vec_named(news)?),
            Self::Tombstones(tombstones) => (KIND_TOMBSTONES, rmp_serde::to_vec_named(tombstones)?),
            Self::Limits(notices) => (KIND_LIMITS, rmp_serde::to_vec_named(notices)?),
            Self::Sync(sync) => (KIND_SYNC, rmp_serde::to_vec_named(sync)?),
            Self::Want(want) => (KIND_WANT, rmp_serde::to_vec_named(want)?),
            Self::Exchange(exchange) => (KIND_EXCHANGE, rmp_serde::to_vec_named(exchange)?),
        };
        let bytes = rmp_serde::to_vec_named(&Envelope { version: PROTOCOL_VERSION, kind, body })?;
        if bytes.len() > limits::MESSAGE_BYTES_MAX {
            return Err(EncodeError::TooLong { bytes: bytes.len(), bytes_max: limits::MESSAGE_BYTES_MAX });
        }
        Ok(bytes)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Envelope { version, kind, body } = decode(bytes)?;
        if version != PROTOCOL_VERSION {
            return Err(DecodeError::UnknownVersion(version));
        }
        match kind {
            KIND_ANNOUNCE => {
                let records: Vec<Announcement> = decode(&body)?;
                not_too_many(records.len(), limits::ANNOUNCE_RECORDS_MAX.max(limits::TOLD_RECORDS_MAX))?;
                within_limits(records.iter().all(Announcement::is_within_limits))?;
                Ok(Self::Announce(records))
            }
            KIND_MEMBER => Ok(Self::Member(decode(&body)?)),
            KIND_CLAIM => Ok(Self::Claim(decode(&body)?)),
            KIND_CLAIM_REPLY => {
                let reply: ClaimReply = decode(&body)?;
                within_limits(reply.word.is_within_limits())?;
                Ok(Self::ClaimReply(reply))
            }
            KIND_LEASE_NEWS => {
                let news: LeaseNews = decode(&body)?;
                within_limits(!matches!(&news.news, News::Ended(end) if !end.is_within_limits()))?;
                Ok(Self::LeaseNews(news))
            }
            KIND_TOMBSTONES => {
                let tombstones: Vec<Tombstone> = decode(&body)?;
                not_too_many(tombstones.len(), limits::TOMBSTONES_MAX)?;
                Ok(Self::Tombstones(tombstones))
            }
            KIND_LIMITS => {
                let notices: Vec<LimitNotice> = decode(&body)?;
                not_too_many(notices.len(), limits::LIMIT_NOTICES_MAX)?;
                within_limits(notices.iter().all(LimitNotice::is_within_limits))?;
                Ok(Self::Limits(notices))
            }
            KIND_SYNC => {
                let sync: SyncStep = decode(&body)?;
                within_limits(sync.is_within_limits())?;
                Ok(Self::Sync(sync))
            }
            KIND_WANT => {
                let want: Want = decode(&body)?;
                within_limits(want.is_within_limits())?;
                Ok(Self::Want(want))
            }
            KIND_EXCHANGE => {
                let exchange: Exchange = decode(&body)?;
                not_too_many(exchange.records.len(), limits::EXCHANGE_RECORDS_MAX)?;
                within_limits(exchange.is_within_limits())?;
                Ok(Self::Exchange(exchange))
            }
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}

fn not_too_many(records: usize, records_max: usize) -> Result<(), DecodeError> {
    if records > records_max { Err(DecodeError::TooMany { records, records_max }) } else { Ok(()) }
}

fn within_limits(is_within: bool) -> Result<(), DecodeError> {
    if is_within { Ok(()) } else { Err(DecodeError::RecordLimits) }
}

impl Announcement {
    fn is_within_limits(&self) -> bool {
        let body_fits = self.body.as_ref().is_none_or(|b| b.encoded.len() <= limits::PUSH_BYTES_MAX);
        body_fits && self.record.is_within_limits()
    }
}

macro_rules! plain_message {
    ($($name:ty),*) => {$(
        impl $name {
            pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
                Ok(rmp_serde::to_vec_named(self)?)
            }

            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                decode(bytes)
            }
        }
    )*};
}

plain_message!(PullRequest, PullReply);

/// Reads one value; what it allocates is bounded by the length of `bytes`, which is checked first.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > limits::MESSAGE_BYTES_MAX {
        return Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max: limits::MESSAGE_BYTES_MAX });
    }
    Ok(rmp_serde::from_slice(bytes)?)
}

mod claim;
mod exchange;
mod limit;
mod member;
mod sync;
mod tombstone;

pub use claim::{Claim, ClaimReply, ClaimWord, LeaseEnd, LeaseNews, News, Purpose};
pub use exchange::{Exchange, SignedPeer};
pub use limit::{LimitNotice, LimitReading};
pub use member::{Member, Role};
pub use sync::{Cursor, Place, SyncStep, SyncWord, Want, WantWord};
pub use tombstone::{Grave, Tombstone};

#[cfg(test)]
mod tests;
