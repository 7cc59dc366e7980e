use std::io::{Read, Write};

use bytes::Bytes;
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::Digest;

/// The form in which a body is kept and carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    Identity,
    Gzip,
}

/// A body as it is kept on disk and carried between peers.
///
/// Its digest is always that of the plain form, so one body has one name whatever its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    #[serde(rename = "f")]
    pub form: Form,
    #[serde(rename = "e")]
    pub encoded: Bytes,
}

/// Why a body cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("body is longer than {bytes_max} bytes")]
    TooLong { bytes_max: u64 },
    #[error("body is not valid gzip")]
    Gzip(#[source] std::io::Error),
    #[error("body has digest {found}, not {expected}")]
    Digest { expected: Digest, found: Digest },
}

/// Below this, gzip saves less than it costs.
const GZIP_BYTES_MIN: usize = 860;

impl Body {
    /// Keeps `plain` in the form that is smaller.
    pub fn from_plain(plain: Bytes) -> Self {
        if plain.len() >= GZIP_BYTES_MIN {
            let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::new(5));
            if encoder.write_all(&plain).is_ok()
                && let Ok(encoded) = encoder.finish()
                && encoded.len() < plain.len()
            {
                return Self { form: Form::Gzip, encoded: encoded.into() };
            }
        }
        Self { form: Form::Identity, encoded: plain }
    }

    /// Returns the plain form, allocating at most `bytes_max` for it.
    pub fn plain(&self, bytes_max: u64) -> Result<Bytes, BodyError> {
        let too_long = BodyError::TooLong { bytes_max };
        match self.form {
            Form::Identity if self.encoded.len() as u64 > bytes_max => Err(too_long),
            Form::Identity => Ok(self.encoded.clone()),
            Form::Gzip => {
                let mut plain = Vec::new();
                let mut decoder = MultiGzDecoder::new(&self.encoded[..]).take(bytes_max + 1);
                decoder.read_to_end(&mut plain).map_err(BodyError::Gzip)?;
                if plain.len() as u64 > bytes_max { Err(too_long) } else { Ok(plain.into()) }
            }
        }
    }

    /// Returns the plain form if it is exactly `plain_bytes` long and has digest `expected`.
    pub fn verified(&self, expected: Digest, plain_bytes: u64) -> Result<Bytes, BodyError> {
        let plain = self.plain(plain_bytes)?;
        let found = Digest::of(&plain);
        if found == expected || canary::sings(canary::Bug::SkipsTheDigest) {
            Ok(plain)
        } else {
            Err(BodyError::Digest { expected, found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_and_keeps_its_digest_in_either_form() {
        for plain in [Bytes::new(), Bytes::from_static(b"short"), Bytes::from(vec![b'a'; 100_000])] {
            let body = Body::from_plain(plain.clone());
            assert_eq!(body.verified(Digest::of(&plain), plain.len() as u64).unwrap(), plain);
        }
        assert_eq!(Body::from_plain(vec![b'a'; 100_000].into()).form, Form::Gzip);
    }

    #[test]
    fn a_gzip_bomb_is_cut_at_the_limit() {
        let body = Body::from_plain(vec![0; 10 << 20].into());
        assert!(body.encoded.len() < 64 << 10);
        assert!(matches!(body.plain(1000), Err(BodyError::TooLong { bytes_max: 1000 })));
    }

    #[test]
    fn another_body_is_refused() {
        let body = Body::from_plain("one".into());
        assert!(matches!(body.verified(Digest::of(b"two"), 3), Err(BodyError::Digest { .. })));
        assert!(matches!(body.verified(Digest::of(b"one"), 2), Err(BodyError::TooLong { .. })));
    }
}
