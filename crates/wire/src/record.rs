use std::fmt;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::{Digest, FamilyId, Millis, limits};

/// Which answer this is: GitHub's own `Date`, then the body. Ordered by GitHub's clock, so that no
/// machine's wrong clock can make an old answer win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// `Date` of the origin's 200 or 304, in seconds since 1970.
    #[serde(rename = "t")]
    pub date_secs: u64,
    #[serde(rename = "d")]
    pub digest: Digest,
}

/// One kept header: name in lower case, value as it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Header {
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "v")]
    pub value: Bytes,
}

/// What one credential was told about one key: everything but the body, which is kept by digest.
///
/// Two clocks, never mixed. `fresh_until` belongs to the version: how long the origin lets anyone
/// reuse it. `proved_until` belongs to this credential: how long ago GitHub itself last answered it.
/// Serving needs both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(rename = "f")]
    pub family: FamilyId,
    #[serde(rename = "v")]
    pub version: Version,
    #[serde(rename = "s")]
    pub status: u16,
    #[serde(rename = "h")]
    pub headers: Vec<Header>,
    /// Length of the plain body.
    #[serde(rename = "n")]
    pub body_bytes: u64,
    /// When the origin last gave or confirmed it.
    #[serde(rename = "at")]
    pub validated_at: Millis,
    #[serde(rename = "fu")]
    pub fresh_until: Millis,
    #[serde(rename = "pu")]
    pub proved_until: Millis,
    /// Until when it may be served, marked stale, while the origin cannot answer.
    #[serde(rename = "su")]
    pub stale_until: Millis,
}

impl Record {
    /// Whether it may be served unmarked.
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.fresh_until && now < self.proved_until
    }

    /// Whether it may be served marked stale, during a limit or an outage.
    pub fn may_be_stale(&self, now: Millis) -> bool {
        now < self.stale_until
    }

    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|h| h.name == name).map(|h| &h.value[..])
    }

    /// Whether all parts are inside the limits for what a peer may send.
    pub fn is_within_limits(&self) -> bool {
        self.body_bytes <= limits::BODY_BYTES_MAX
            && self.headers.len() <= limits::HEADERS_MAX
            && self.headers.iter().map(|h| h.name.len() + h.value.len()).sum::<usize>() <= limits::HEADERS_BYTES_MAX
            && (100..600).contains(&self.status)
    }
}

/// Proof that a record was made by someone who holds the credential: an HMAC under a key that is
/// derived from it. No member can forge what another credential "was told".
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", HEXLOWER.encode(&self.0[..4]))
    }
}
