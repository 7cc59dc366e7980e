use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::{IdKeys, KeyName, MembershipKey, SealingKey, Secret, derive};

/// Every key that a fleet's members share, derived from its one secret.
#[derive(Clone)]
pub struct FleetKeys {
    /// Proves membership inside the connection upgrade.
    pub membership: MembershipKey,
    /// Names keys, families and scopes, so that the wire shows no URL.
    pub ids: IdKeys,
    /// Seals announces and bodies.
    pub sealing: SealingKey,
    /// Names the gossip topic: fleets that meet by accident do not mix.
    pub topic: String,
    /// Fills the place of a credential where there is none: the smoke test's entries.
    pub smoke: [u8; 32],
}

/// Fixed, because every member must arrive at the same key from the secret alone.
const PASSPHRASE_SALT: &[u8] = b"ghoard/1 shared secret";
const PASSPHRASE_MEMORY_KIB: u32 = 64 * 1024;
const PASSPHRASE_PASSES: u32 = 3;
const PASSPHRASE_LANES: u32 = 1;

impl FleetKeys {
    /// A generated secret goes through HKDF alone. Anything else may be guessable and is stretched
    /// first: Argon2id, 64 MiB, 3 passes, 1 lane; about 0.1 s, once per start.
    pub fn derive(secret: &Secret) -> Self {
        let root = secret.generated_bits().unwrap_or_else(|| stretch(secret));
        let name = KeyName(derive(&root[..], "ghoard/1 membership name"));
        let topic: [u8; 16] = derive(&root[..], "ghoard/1 topic");
        Self {
            membership: MembershipKey::new(name, &derive(&root[..], "ghoard/1 membership key")),
            ids: IdKeys::derive(&root),
            sealing: SealingKey::new(&derive(&root[..], "ghoard/1 sealing key")),
            topic: format!("ghoard/1/{}", data_encoding::HEXLOWER.encode(&topic)),
            smoke: derive(&root[..], "ghoard/1 smoke"),
        }
    }
}

fn stretch(secret: &Secret) -> Zeroizing<[u8; 32]> {
    let params = Params::new(PASSPHRASE_MEMORY_KIB, PASSPHRASE_PASSES, PASSPHRASE_LANES, Some(32))
        .expect("the constants are inside Argon2's ranges");
    let mut root = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret.reveal().as_bytes(), PASSPHRASE_SALT, &mut root[..])
        .expect("salt and output lengths are inside Argon2's ranges");
    root
}
