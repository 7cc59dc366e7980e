use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wire::{FamilyId, KeyId, ScopeId};

use crate::{derive, update_framed};

/// The keyed hashes that stand for cache keys, families and credentials.
///
/// A fleet derives one set from its secret, for the wire. Each store has another of its own, for
/// the disk: changing the secret loses nothing there, and a stolen disk answers no guesses made on
/// the wire.
#[derive(Clone)]
pub struct IdKeys {
    key: Hmac<Sha256>,
    family: Hmac<Sha256>,
    scope: Hmac<Sha256>,
}

impl IdKeys {
    pub fn derive(root: &[u8; 32]) -> Self {
        let mac = |purpose| {
            let key: [u8; 32] = derive(root, purpose);
            Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")
        };
        Self { key: mac("ghoard/1 key id"), family: mac("ghoard/1 family id"), scope: mac("ghoard/1 scope id") }
    }

    /// `canonical` is the whole cache key in its canonical text.
    pub fn key_id(&self, canonical: &[u8]) -> KeyId {
        KeyId(hash(&self.key, canonical))
    }

    pub fn family_id(&self, family: &str) -> FamilyId {
        FamilyId(hash(&self.family, family.as_bytes()))
    }

    /// `credential` is the whole credential as it is sent to the origin; `None` is anonymous.
    pub fn scope_id(&self, credential: Option<&[u8]>) -> ScopeId {
        let mut mac = self.scope.clone();
        match credential {
            None => mac.update(b"anonymous"),
            Some(credential) => update_framed(&mut mac, credential),
        }
        ScopeId(truncated(mac))
    }
}

fn hash(mac: &Hmac<Sha256>, input: &[u8]) -> [u8; 16] {
    let mut mac = mac.clone();
    mac.update(input);
    truncated(mac)
}

fn truncated(mac: Hmac<Sha256>) -> [u8; 16] {
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    full[..16].try_into().expect("16 of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_root_by_purpose_and_by_input() {
        let (a, b) = (IdKeys::derive(&[1; 32]), IdKeys::derive(&[2; 32]));
        assert_ne!(a.key_id(b"k"), b.key_id(b"k"));
        assert_ne!(a.key_id(b"k").0, a.family_id("k").0);
        assert_ne!(a.key_id(b"k"), a.key_id(b"l"));
        assert_eq!(a.key_id(b"k"), IdKeys::derive(&[1; 32]).key_id(b"k"));
    }

    #[test]
    fn no_credential_is_not_the_credential_that_says_anonymous() {
        let ids = IdKeys::derive(&[1; 32]);
        assert_ne!(ids.scope_id(None), ids.scope_id(Some(b"anonymous")));
        assert_ne!(ids.scope_id(None), ids.scope_id(Some(b"")));
    }
}
