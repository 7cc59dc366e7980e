//! The words that every crate shares, and how they look in bytes.
//!
//! Nothing here does IO, asks the time or draws randomness. Every size that a peer can choose has
//! its limit in [`limits`], and is checked before memory is allocated for it.

mod body;
mod digest;
mod ids;
pub mod limits;
mod message;
mod record;
mod time;
mod unpack;

pub use body::{Body, BodyError, Form};
pub use digest::{Digest, ParseDigestError};
pub use ids::{FamilyId, KeyId, Peer, ScopeId};
pub use message::{
    Announcement, Claim, ClaimReply, ClaimWord, Cursor, DecodeError, EncodeError, Envelope, Exchange, Grave, Holding,
    LeaseEnd, LeaseNews, LimitNotice, LimitReading, Member, Message, News, PROTOCOL_VERSION, Place, PullReply,
    PullRequest, Purpose, Role, SignedPeer, SyncStep, SyncWord, Tombstone, Want, WantWord,
};
pub use record::{Header, Record, Tag, Version};
pub use time::Millis;
pub use unpack::Unpacking;
