use serde::{Deserialize, Serialize};

use super::Announcement;
use crate::{KeyId, ScopeId, limits};

/// "I am about to ask the origin this; is somebody doing it already?" Sent to an owner of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Names the claim among those of its sender.
    #[serde(rename = "i")]
    pub id: u64,
    #[serde(rename = "k")]
    pub key: KeyId,
    #[serde(rename = "s")]
    pub scope: ScopeId,
    #[serde(rename = "p")]
    pub purpose: Purpose,
    /// What the owner knows was of no use to the claimant: it wants a lease, and no answer.
    #[serde(rename = "n", default)]
    pub insists: bool,
}

/// What a claimant would find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Which answer there is now, for whichever credential: a request that may be charged.
    Fill,
    /// Whether this credential is told it, too: a request that should be free.
    Proof,
}

/// What an owner says to a claim: at once, and once more to who was told to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimReply {
    /// The claim's own id.
    #[serde(rename = "i")]
    pub id: u64,
    #[serde(rename = "k")]
    pub key: KeyId,
    #[serde(rename = "w")]
    pub word: ClaimWord,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClaimWord {
    /// Ask the origin, and say how it ended. Without a renewal the lease ends after `lease_ms`.
    Granted {
        #[serde(rename = "l")]
        lease_ms: u32,
        /// The newest that the owner has heard of: worth confirming, if the claimant has nothing better.
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
        last: Option<Box<Announcement>>,
    },
    /// Somebody asks; he has been at it for `since_ms`.
    Wait {
        #[serde(rename = "e")]
        since_ms: u32,
    },
    /// This is known already.
    Have(Vec<Announcement>),
    /// The owner cannot help: go ahead.
    No,
    /// What the claimant waited for has ended.
    Ended(LeaseEnd),
}

/// What who holds a lease tells its owner; or who waits, that he has left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseNews {
    #[serde(rename = "i")]
    pub id: u64,
    #[serde(rename = "k")]
    pub key: KeyId,
    #[serde(rename = "n")]
    pub news: News,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum News {
    /// Still at it.
    Renew,
    Ended(LeaseEnd),
    /// The claimant does not wait, or ask, any more.
    Left,
}

/// How asking the origin ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LeaseEnd {
    /// With an answer for all who can prove that they may see it; the body is inside if it is small.
    Filled(Box<Announcement>),
    /// With a refusal for this very credential: no answer, absent, limited. Its tag says that it is meant
    /// for who holds the same.
    Told(Box<Announcement>),
    /// The origin itself is in trouble, whoever asks: its status, 500 to 599.
    Failed {
        #[serde(rename = "s")]
        status: u16,
    },
    /// With something that is for nobody else.
    Alone,
}

impl ClaimWord {
    pub(super) fn is_within_limits(&self) -> bool {
        match self {
            Self::Have(records) => {
                records.len() <= limits::HAVE_RECORDS_MAX && records.iter().all(Announcement::is_within_limits)
            }
            Self::Ended(end) => end.is_within_limits(),
            Self::Granted { last, .. } => last.as_ref().is_none_or(|last| last.is_within_limits()),
            Self::Wait { .. } | Self::No => true,
        }
    }
}

impl LeaseEnd {
    pub(super) fn is_within_limits(&self) -> bool {
        match self {
            Self::Filled(filled) => filled.is_within_limits(),
            Self::Told(told) => told.is_within_limits() && !matches!(told.record.status, 200..300 | 304),
            Self::Failed { status } => (500..600).contains(status),
            Self::Alone => true,
        }
    }
}
