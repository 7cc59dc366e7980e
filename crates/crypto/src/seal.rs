use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, AeadInOut, Payload},
};
use sha2::{Digest, Sha256};

/// Bytes that sealing adds to a message: the nonce before it and the tag behind it.
pub const SEALING_OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const PREFIX_BYTES: usize = 19;

/// Stands in the place of the nonce before what is not sealed.
const NOT_SEALED: [u8; NONCE_BYTES] = *b"ghoard/1 NOT SEALED     ";

/// Seals what leaves the machine: XChaCha20-Poly1305.
///
/// An operator can switch that off ([`SealingKey::switched_off`]): the same layout then has a mark in
/// the place of the nonce, the plain bytes, and the beginning of a SHA-256 over what a seal would bind.
/// That shows damage and mistakes, and keeps nothing secret.
#[derive(Clone)]
pub struct SealingKey {
    cipher: XChaCha20Poly1305,
    is_off: bool,
}

/// Whether these bytes come from a member that has switched its sealing off.
pub fn is_unsealed(bytes: &[u8]) -> bool {
    bytes.starts_with(&NOT_SEALED)
}

/// Sealed bytes that were not sealed under this key, or not for this purpose, or were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sealed by a member for this purpose")]
pub struct OpenError;

impl SealingKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()), is_off: false }
    }

    /// Seals nothing, and opens only what is not sealed.
    #[must_use]
    pub fn switched_off(self) -> Self {
        Self { is_off: true, ..self }
    }

    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// Seals one message. `bound` is not sent: the reader must know it too, or opening fails.
    ///
    /// `nonce` must come from a good random source; its 24 bytes never repeat by chance.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], bound: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = if self.is_off { NOT_SEALED } else { nonce };
        let mut sealed = Vec::with_capacity(plain.len() + SEALING_OVERHEAD);
        sealed.extend_from_slice(&nonce);
        if self.is_off {
            sealed.extend(self.encrypt(&nonce, bound, plain));
            return sealed;
        }
        // In its place behind the nonce: a long message is copied once.
        sealed.extend_from_slice(plain);
        let tag = self.cipher.encrypt_inout_detached(&nonce.into(), bound, (&mut sealed[NONCE_BYTES..]).into());
        sealed.extend_from_slice(&tag.expect("the message is far below 256 GB"));
        sealed
    }

    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
        if self.is_off && *nonce != NOT_SEALED {
            return Err(OpenError);
        }
        self.decrypt(nonce, bound, sealed)
    }

    fn encrypt(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], msg: &[u8]) -> Vec<u8> {
        if self.is_off {
            return [msg, &checksum(nonce, aad, msg)].concat();
        }
        self.cipher.encrypt(&XNonce::from(*nonce), Payload { msg, aad }).expect("the message is far below 256 GB")
    }

    fn decrypt(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, OpenError> {
        if self.is_off {
            let (plain, sum) = msg.split_last_chunk::<TAG_BYTES>().ok_or(OpenError)?;
            return if *sum == checksum(nonce, aad, plain) { Ok(plain.to_vec()) } else { Err(OpenError) };
        }
        self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad }).map_err(|_| OpenError)
    }

    /// What is sealed becomes what is plain, in its place; nothing is left of it that does not open.
    fn decrypt_in_place(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], bytes: &mut Vec<u8>) -> Result<(), OpenError> {
        if self.is_off {
            *bytes = self.decrypt(nonce, aad, bytes)?;
            return Ok(());
        }
        self.cipher.decrypt_in_place(&XNonce::from(*nonce), aad, bytes).map_err(|_| {
            bytes.clear();
            OpenError
        })
    }
}

/// What stands in the place of the seal's tag where nothing is sealed.
fn checksum(nonce: &[u8; NONCE_BYTES], aad: &[u8], plain: &[u8]) -> [u8; TAG_BYTES] {
    let sum = Sha256::new().chain_update(nonce).chain_update((aad.len() as u64).to_be_bytes());
    let sum: [u8; 32] = sum.chain_update(aad).chain_update(plain).finalize().into();
    *sum.first_chunk().expect("a digest is longer than a tag")
}

/// Seals a body segment by segment, so that neither side needs all of it at once.
///
/// The construction is STREAM: each nonce is the stream's random prefix, the segment's number and
/// whether it is the last, so segments cannot be reordered, dropped or cut off unseen.
pub struct SegmentSealer<'a> {
    key: &'a SealingKey,
    bound: &'a [u8],
    nonces: Nonces,
}

impl<'a> SegmentSealer<'a> {
    /// `prefix` must come from a good random source; it is sent before the first segment.
    pub fn new(key: &'a SealingKey, prefix: [u8; PREFIX_BYTES], bound: &'a [u8]) -> Self {
        Self { key, bound, nonces: Nonces { prefix, number: 0 } }
    }

    /// The same, from segment `number` on: what is before it is not sent, or was sealed apart.
    #[must_use]
    pub fn starting_at(mut self, number: u32) -> Self {
        self.nonces.number = number;
        self
    }

    pub fn seal(&mut self, segment: &[u8], last: bool) -> Vec<u8> {
        self.key.encrypt(&self.nonces.next(last), self.bound, segment)
    }
}

/// Opens what a [`SegmentSealer`] sealed.
pub struct SegmentOpener {
    key: SealingKey,
    bound: Vec<u8>,
    nonces: Nonces,
}

impl SegmentOpener {
    pub fn new(key: SealingKey, prefix: [u8; PREFIX_BYTES], bound: Vec<u8>) -> Self {
        Self { key, bound, nonces: Nonces { prefix, number: 0 } }
    }

    /// The same, for a stream that begins with segment `number`.
    #[must_use]
    pub fn starting_at(mut self, number: u32) -> Self {
        self.nonces.number = number;
        self
    }

    /// Opens a segment in its place.
    pub fn open(&mut self, mut sealed: Vec<u8>, last: bool) -> Result<Vec<u8>, OpenError> {
        self.key.decrypt_in_place(&self.nonces.next(last), &self.bound, &mut sealed)?;
        Ok(sealed)
    }
}

struct Nonces {
    prefix: [u8; PREFIX_BYTES],
    number: u32,
}

impl Nonces {
    fn next(&mut self, last: bool) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        nonce[PREFIX_BYTES..NONCE_BYTES - 1].copy_from_slice(&self.number.to_be_bytes());
        nonce[NONCE_BYTES - 1] = u8::from(last);
        self.number = self.number.checked_add(1).expect("a body has far fewer than 2^32 segments");
        nonce
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SealingKey {
        SealingKey::new(&[3; 32])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(
            plain in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, flip in 1u8..,
        ) {
            let sealed = key().seal([5; 24], b"bound", &plain);
            prop_assert_eq!(key().open(b"bound", &sealed), Ok(plain));
            prop_assert_eq!(key().open(b"other", &sealed), Err(OpenError));
            prop_assert_eq!(SealingKey::new(&[4; 32]).open(b"bound", &sealed), Err(OpenError));

            let mut changed = sealed.clone();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            prop_assert_eq!(key().open(b"bound", &changed), Err(OpenError));
            prop_assert_eq!(key().open(b"bound", &sealed[..at]), Err(OpenError));
        }
    }

    #[test]
    fn what_is_not_sealed_is_plain_and_marked_and_opens_nowhere_else() {
        let (on, off) = (key(), key().switched_off());
        let open_text = off.seal([5; 24], b"bound", b"a plain text");
        assert!(is_unsealed(&open_text) && open_text.windows(12).any(|text| text == b"a plain text"));
        assert_eq!(open_text.len(), b"a plain text".len() + SEALING_OVERHEAD);
        assert_eq!(off.open(b"bound", &open_text).unwrap(), b"a plain text");
        assert_eq!(off.open(b"other", &open_text), Err(OpenError));
        assert_eq!(on.open(b"bound", &open_text), Err(OpenError));
        let sealed = on.seal([5; 24], b"bound", b"a plain text");
        assert!(!is_unsealed(&sealed));
        assert_eq!(off.open(b"bound", &sealed), Err(OpenError));
        let mut damaged = open_text;
        damaged[30] ^= 1;
        assert_eq!(off.open(b"bound", &damaged), Err(OpenError));
    }

    #[test]
    fn segments_open_in_their_order_only() {
        [key(), key().switched_off()].iter().for_each(segments_of_this_key_open_in_their_order_only);
    }

    fn segments_of_this_key_open_in_their_order_only(key: &SealingKey) {
        let mut sealer = SegmentSealer::new(key, [1; 19], b"body");
        let sealed = [sealer.seal(b"one", false), sealer.seal(b"two", true)];

        let mut opener = SegmentOpener::new(key.clone(), [1; 19], b"body".to_vec());
        assert_eq!(opener.open(sealed[0].clone(), false).unwrap(), b"one");
        assert_eq!(opener.open(sealed[1].clone(), true).unwrap(), b"two");

        let opener = || SegmentOpener::new(key.clone(), [1; 19], b"body".to_vec());
        let open = |sealed: &[u8], last| opener().open(sealed.to_vec(), last);
        assert_eq!(open(&sealed[1], true), Err(OpenError), "the first one is missing");
        assert_eq!(open(&sealed[0], true), Err(OpenError), "the rest is cut off");
        let rest = |number| opener().starting_at(number).open(sealed[1].clone(), true);
        assert_eq!((rest(1), rest(2)), (Ok(b"two".to_vec()), Err(OpenError)), "who begins later knows where");
    }
}
