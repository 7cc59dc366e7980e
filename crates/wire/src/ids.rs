use std::{fmt, sync::Arc};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::limits;

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "serde_bytes")] pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), HEXLOWER.encode(&self.0[..4]))
            }
        }
    };
}

opaque_id! {
    /// A keyed hash of a cache key. Whoever lacks the hash key learns nothing of the URL.
    KeyId
}
opaque_id! {
    /// A keyed hash of what one write makes doubtful: usually a repository.
    FamilyId
}
opaque_id! {
    /// A keyed hash of one whole credential, or of "anonymous". Two tokens of one user are two scopes.
    ScopeId
}

/// A machine of the fleet, by its libp2p peer id in base58.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(Arc<str>);

impl Peer {
    pub fn new(base58: impl Into<Arc<str>>) -> Self {
        Self(base58.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Peer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Peer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        if text.len() > limits::PEER_CHARS_MAX {
            return Err(serde::de::Error::custom("a peer's name is too long"));
        }
        Ok(Self::new(text))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
