use std::fmt;

use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey},
};
use wire::Peer;

/// The key pair (Ed25519) that a machine is known by. Keep it stable: it *is* the [`Peer`].
#[derive(Clone)]
pub struct Identity(Keypair);

impl Identity {
    /// The identity of 32 secret random bytes; the same bytes always give the same peer.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Keypair::ed25519_from_bytes(seed).expect("any 32 bytes are an Ed25519 secret"))
    }

    /// As [`Identity::from_seed`], for a seed that was just drawn.
    pub fn generate(seed: [u8; 32]) -> Self {
        Self::from_seed(seed)
    }

    /// Reads what [`Identity::to_protobuf`] wrote.
    ///
    /// # Errors
    /// [`IdentityError`] if the bytes are not an Ed25519 key pair.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, IdentityError> {
        let pair = Keypair::from_protobuf_encoding(bytes).map_err(|cause| IdentityError(cause.to_string()))?;
        Ok(Self(pair))
    }

    /// The secret key in libp2p's own encoding: what other libp2p programs read.
    pub fn to_protobuf(&self) -> Vec<u8> {
        self.0.to_protobuf_encoding().expect("an Ed25519 key pair has an encoding")
    }

    pub fn peer(&self) -> Peer {
        peer_of(self.0.public().to_peer_id())
    }

    /// Signs `bytes`; [`signed_by`] tells others that it was this peer.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(bytes).expect("an Ed25519 key signs anything");
        signature.try_into().expect("an Ed25519 signature has 64 bytes")
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(crate) fn pair(&self) -> &Keypair {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.peer())
    }
}

/// Whether `signature` over `bytes` is by `peer`, whose name holds its public key. Never of a peer with
/// another kind of key: ghoard makes none.
pub fn signed_by(peer: &Peer, bytes: &[u8], signature: &[u8; 64]) -> bool {
    const IDENTITY_HASH: u64 = 0;
    let key = id_of(peer).filter(|id| id.as_ref().code() == IDENTITY_HASH);
    let key = key.and_then(|id| PublicKey::try_decode_protobuf(id.as_ref().digest()).ok());
    key.is_some_and(|key| key.verify(bytes, signature))
}

/// These bytes are no key pair that ghoard can use.
#[derive(Debug, thiserror::Error)]
#[error("not an Ed25519 key pair: {0}")]
pub struct IdentityError(String);

pub(crate) fn peer_of(id: PeerId) -> Peer {
    Peer::new(id.to_base58())
}

/// `None` if `peer` did not come from libp2p.
pub(crate) fn id_of(peer: &Peer) -> Option<PeerId> {
    peer.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_peer() {
        let identity = Identity::from_seed([3; 32]);
        let read = Identity::from_protobuf(&identity.to_protobuf()).unwrap();
        assert_eq!(identity.peer(), read.peer());
        assert_ne!(identity.peer(), Identity::from_seed([4; 32]).peer());
        assert_eq!(id_of(&identity.peer()), Some(identity.peer_id()));
    }

    #[test]
    fn a_signature_is_of_one_peer_over_one_text() {
        let (one, other) = (Identity::from_seed([3; 32]), Identity::from_seed([4; 32]));
        let signature = one.sign(b"text");
        assert!(signed_by(&one.peer(), b"text", &signature));
        assert!(!signed_by(&other.peer(), b"text", &signature));
        assert!(!signed_by(&one.peer(), b"test", &signature));
        let hashed = Peer::new("QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN");
        assert!(!signed_by(&hashed, b"text", &signature), "its name does not hold its key");
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Identity::from_protobuf(b"hello").is_err());
    }
}
