//! The four messages. Each has one size, so there is nothing to parse and nothing to allocate.

use crypto::KeyName;

use super::GateError;

const MAGIC: [u8; 4] = *b"ghd1";

pub(super) const HELLO_BYTES: usize = 4 + ANSWER_BYTES;
pub(super) const ANSWER_BYTES: usize = 4 + 32;
pub(super) const PROOF_BYTES: usize = 32;

/// What each side says of itself: the names of its keys, and a fresh nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) names: [KeyName; 2],
    pub(super) nonce: [u8; 32],
}

impl Greeting {
    /// M1.
    pub(super) fn to_hello(self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..].copy_from_slice(&self.to_answer());
        bytes
    }

    pub(super) fn from_hello(bytes: &[u8; HELLO_BYTES]) -> Result<Self, GateError> {
        let (magic, rest) = bytes.split_first_chunk::<4>().expect("M1 begins with the magic");
        if *magic != MAGIC {
            return Err(GateError::BadMagic);
        }
        Ok(Self::from_answer(rest.try_into().expect("M1 is the magic and a greeting")))
    }

    /// M2.
    pub(super) fn to_answer(self) -> [u8; ANSWER_BYTES] {
        let mut bytes = [0; ANSWER_BYTES];
        bytes[..2].copy_from_slice(&self.names[0].0);
        bytes[2..4].copy_from_slice(&self.names[1].0);
        bytes[4..].copy_from_slice(&self.nonce);
        bytes
    }

    pub(super) fn from_answer(bytes: &[u8; ANSWER_BYTES]) -> Self {
        let names = [KeyName([bytes[0], bytes[1]]), KeyName([bytes[2], bytes[3]])];
        let mut nonce = [0; 32];
        nonce.copy_from_slice(&bytes[4..]);
        Self { names, nonce }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        let mut nonce = [0; 32];
        for (at, byte) in nonce.iter_mut().enumerate() {
            *byte = at as u8;
        }
        Greeting { names: [KeyName([0xa1, 0xa2]), KeyName([0xb1, 0xb2])], nonce }
    }

    #[test]
    fn a_greeting_survives_both_messages() {
        assert_eq!(Greeting::from_hello(&greeting().to_hello()), Ok(greeting()));
        assert_eq!(Greeting::from_answer(&greeting().to_answer()), greeting());
    }

    #[test]
    fn the_bytes_are_these() {
        let hello = greeting().to_hello();
        assert_eq!(hello[..9], *b"ghd1\xa1\xa2\xb1\xb2\x00");
        assert_eq!(hello[39], 31);
        assert_eq!((HELLO_BYTES, ANSWER_BYTES, PROOF_BYTES), (40, 36, 32));
    }

    #[test]
    fn any_other_magic_is_refused() {
        for at in 0..4 {
            let mut hello = greeting().to_hello();
            hello[at] ^= 1;
            assert_eq!(Greeting::from_hello(&hello), Err(GateError::BadMagic));
        }
    }
}
