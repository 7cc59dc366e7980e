use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
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

/// How much of a long body is packed to see how well the rest would be.
const PROBE_BYTES: usize = 64 << 10;

/// Whether a packed form is worth it: it saves a third. What can hardly be packed takes the longest to
/// unpack, 7 ms for each MiB of base64, which is longer than what it saves takes on a wire of 1 Gbit/s.
fn saves(packed: &[u8], plain: &[u8]) -> bool {
    packed.len() <= plain.len() / 3 * 2
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::new(5));
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

impl Body {
    /// Keeps `plain` in the form that costs less.
    pub fn from_plain(plain: Bytes) -> Self {
        let identity = Self { form: Form::Identity, encoded: plain };
        let plain = &identity.encoded;
        // Its beginning says whether the rest is worth the time.
        let (beginning, is_worth_it) = (&plain[..plain.len().min(PROBE_BYTES)], plain.len() >= GZIP_BYTES_MIN);
        if !is_worth_it || plain.len() > PROBE_BYTES && !gzip(beginning).is_some_and(|zip| saves(&zip, beginning)) {
            return identity;
        }
        match gzip(plain) {
            Some(zip) if saves(&zip, plain) => Self { form: Form::Gzip, encoded: zip.into() },
            _ => identity,
        }
    }

    /// The same for a body that came packed; `plain` is its plain form.
    #[must_use]
    pub fn or_plain(self, plain: &Bytes) -> Self {
        match self.form {
            Form::Gzip if saves(&self.encoded, plain) => self,
            _ => Self { form: Form::Identity, encoded: plain.clone() },
        }
    }

    /// Returns the plain form, allocating at most `bytes_max` for it.
    pub fn plain(&self, bytes_max: u64) -> Result<Bytes, BodyError> {
        match self.form {
            Form::Identity if self.encoded.len() as u64 > bytes_max => Err(BodyError::TooLong { bytes_max }),
            Form::Identity => Ok(self.encoded.clone()),
            Form::Gzip => crate::unpack::gunzip(&self.encoded, bytes_max),
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
    fn what_can_hardly_be_packed_is_kept_plain_however_it_came() {
        // Six bits of each byte are noise, as in base64.
        let step = |seed: &mut u64| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*seed >> 58) as u8)
        };
        let noise: Bytes = (0..200_000).scan(1, |seed, _| step(seed)).collect::<Vec<u8>>().into();
        assert_eq!(Body::from_plain(noise.clone()).form, Form::Identity);
        let packed = Body { form: Form::Gzip, encoded: gzip(&noise).unwrap().into() };
        assert!(packed.encoded.len() < noise.len());
        assert_eq!(packed.or_plain(&noise), Body { form: Form::Identity, encoded: noise });
        let list = Bytes::from(vec![b'a'; 100_000]);
        let packed = Body::from_plain(list.clone());
        assert_eq!(packed.clone().or_plain(&list), packed);
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
