use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Names a membership key in the clear without telling anything of it: enough to say "your secret
/// is another one" instead of "your proof is wrong".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(pub [u8; 2]);

/// Which side of the handshake a proof comes from, so that no proof can be sent back as its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Initiator,
    Responder,
}

/// What both sides saw: the two authenticated peer ids, in bytes, and a nonce of each.
#[derive(Clone, Copy, Debug)]
pub struct Transcript<'a> {
    pub initiator: &'a [u8],
    pub responder: &'a [u8],
    pub nonce_initiator: &'a [u8; 32],
    pub nonce_responder: &'a [u8; 32],
}

/// The key that proves membership of a fleet, derived from its shared secret.
#[derive(Clone)]
pub struct MembershipKey {
    name: KeyName,
    mac: Hmac<Sha256>,
}

impl MembershipKey {
    pub(crate) fn new(name: KeyName, key: &[u8; 32]) -> Self {
        Self { name, mac: Hmac::new_from_slice(key).expect("HMAC takes a key of any length") }
    }

    pub fn name(&self) -> KeyName {
        self.name
    }

    /// Returns the proof that `role` sends.
    pub fn prove(&self, role: Role, transcript: &Transcript<'_>) -> [u8; 32] {
        self.mac(role, transcript).finalize().into_bytes().into()
    }

    /// Whether `proof` came from a holder of this key in `role`, in constant time.
    pub fn verify(&self, role: Role, transcript: &Transcript<'_>, proof: &[u8; 32]) -> bool {
        self.mac(role, transcript).verify_slice(proof).is_ok()
    }

    fn mac(&self, role: Role, transcript: &Transcript<'_>) -> Hmac<Sha256> {
        let role: &[u8] = match role {
            Role::Initiator => b"initiator",
            Role::Responder => b"responder",
        };
        let mut mac = self.mac.clone();
        for part in [
            b"ghoard/1 membership",
            role,
            transcript.initiator,
            transcript.responder,
            transcript.nonce_initiator,
            transcript.nonce_responder,
        ] {
            crate::update_framed(&mut mac, part);
        }
        mac
    }
}

/// The keys a node accepts: one, or two during a rotation. The first is preferred.
#[derive(Clone)]
pub struct MembershipKeys {
    pub current: MembershipKey,
    pub next: Option<MembershipKey>,
}

impl MembershipKeys {
    /// The names to offer. With one key, its name is sent twice, so messages have one size.
    pub fn names(&self) -> [KeyName; 2] {
        [self.current.name, self.next.as_ref().unwrap_or(&self.current).name]
    }

    /// Returns the key that both sides have, chosen alike on both: the smallest common name.
    pub fn common(&self, theirs: [KeyName; 2]) -> Option<&MembershipKey> {
        let ours = [Some(&self.current), self.next.as_ref()];
        ours.into_iter().flatten().filter(|key| theirs.contains(&key.name)).min_by_key(|key| key.name)
    }
}
