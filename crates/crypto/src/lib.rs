//! Secrets, the keys derived from them, sealing, and proofs.
//!
//! Pure: no IO, no clock, and randomness is handed in by the caller. What each key is for, and how
//! it is derived, is written in `docs/PROTOCOL.md`; the vectors there are checked by this crate's
//! tests.
//!
//! ```
//! let secret = crypto::Secret::generate([7; 32]);
//! let fleet = crypto::FleetKeys::derive(&secret);
//! let sealed = fleet.sealing.seal([1; 24], b"what it is bound to", b"an announce");
//! assert_eq!(fleet.sealing.open(b"what it is bound to", &sealed)?, b"an announce");
//! # Ok::<(), crypto::OpenError>(())
//! ```

mod fleet_keys;
mod ids;
mod membership;
mod seal;
mod secret;
mod tag;
#[cfg(test)]
mod vectors;

pub use fleet_keys::FleetKeys;
pub use ids::IdKeys;
pub use membership::{KeyName, MembershipKey, MembershipKeys, Role, Transcript};
pub use seal::{OpenError, SEALING_OVERHEAD, SealingKey, SegmentOpener, SegmentSealer, is_unsealed};
pub use secret::{Secret, SecretKind};
pub use tag::TagKey;

use hkdf::Hkdf;
use sha2::Sha256;

/// Feeds `part` with its length before it, so that no two lists of parts hash alike.
fn update_framed(mac: &mut impl hmac::Mac, part: &[u8]) {
    mac.update(&(part.len() as u64).to_be_bytes());
    mac.update(part);
}

/// Derives a key for one purpose from input of full strength. HKDF-SHA-256, no salt.
fn derive<const N: usize>(input: &[u8], purpose: &str) -> [u8; N] {
    let mut key = [0; N];
    Hkdf::<Sha256>::new(None, input).expand(purpose.as_bytes(), &mut key).expect("N is far below 255 hash lengths");
    key
}
