use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What names a body: SHA-256 of its plain form.
///
/// Shown as a CIDv1 (codec raw, multihash sha2-256, multibase base32 in lower case), the form that
/// other content-addressed systems read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// CID version 1, codec `raw`, hash function sha2-256, 32 bytes of hash.
const CID_PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];

/// A text that is not a CIDv1 of a raw sha2-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a base32 CIDv1 of a raw sha2-256 digest")]
pub struct ParseDigestError;

impl Digest {
    pub fn of(plain: &[u8]) -> Self {
        Self(Sha256::digest(plain).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cid = [&CID_PREFIX[..], &self.0].concat();
        write!(f, "b{}", BASE32_NOPAD.encode(&cid).to_ascii_lowercase())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let base32 = text.strip_prefix('b').ok_or(ParseDigestError)?.to_ascii_uppercase();
        let cid = BASE32_NOPAD.decode(base32.as_bytes()).map_err(|_| ParseDigestError)?;
        let hash = cid.strip_prefix(&CID_PREFIX).ok_or(ParseDigestError)?;
        Ok(Self(hash.try_into().map_err(|_| ParseDigestError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shown_as_the_cid_that_others_compute() {
        // The well-known CID of the empty byte string as a raw block.
        let empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn other_cids_are_refused() {
        for text in ["", "b", "bafk", "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA", "b!!"] {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError), "{text}");
        }
    }
}
