use serde::{Deserialize, Serialize};

use crate::{FamilyId, KeyId, ScopeId};

/// What is no longer to be served, wherever it is: versions dated up to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tombstone {
    #[serde(rename = "o")]
    pub of: Grave,
    /// In seconds since 1970, by the origin's clock as far as it is known. On a tie the tombstone wins.
    #[serde(rename = "t")]
    pub date_secs: u64,
}

/// What a tombstone names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Grave {
    Everything,
    /// What a write touched.
    Family(FamilyId),
    /// One answer, for whomever.
    Key(KeyId),
    /// All that a refused credential was told.
    Scope(ScopeId),
    /// What the origin denies to one credential.
    Denied(KeyId, ScopeId),
}
