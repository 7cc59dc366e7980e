use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::{Body, BodyError, Digest, Form};

/// A body that is unpacked and hashed while it arrives, part by part.
///
/// What has arrived is not given out before all of it is here and has the right digest.
pub struct Unpacking {
    form: Form,
    encoded: Vec<u8>,
    bytes_max: u64,
    hash: Sha256,
    /// Nothing in identity form, whose plain form is what has arrived.
    gzip: Option<MultiGzDecoder<Bounded>>,
}

impl Unpacking {
    /// Of a body of `encoded_bytes`, as far as is said, and of at most `bytes_max` in its plain form: the
    /// caller has checked both, since room for them is made.
    pub fn new(form: Form, encoded_bytes: usize, bytes_max: u64) -> Self {
        let gzip = (form == Form::Gzip).then(|| MultiGzDecoder::new(Bounded::new(bytes_max)));
        Self { form, encoded: Vec::with_capacity(encoded_bytes), bytes_max, hash: Sha256::new(), gzip }
    }

    /// Bytes that have arrived.
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }

    /// # Errors
    /// [`BodyError::TooLong`] or [`BodyError::Gzip`]: this is not the body, and nothing more is taken.
    pub fn push(&mut self, part: &[u8]) -> Result<(), BodyError> {
        self.encoded.extend_from_slice(part);
        let Some(gzip) = &mut self.gzip else {
            if self.encoded.len() as u64 > self.bytes_max {
                return Err(BodyError::TooLong { bytes_max: self.bytes_max });
            }
            self.hash.update(part);
            return Ok(());
        };
        let hashed = gzip.get_ref().plain.len();
        let written = gzip.write_all(part).and_then(|()| gzip.flush());
        written.map_err(|cause| gzip.get_ref().trouble(cause))?;
        self.hash.update(&gzip.get_ref().plain[hashed..]);
        Ok(())
    }

    /// Returns the body and its plain form.
    ///
    /// # Errors
    /// [`BodyError::Digest`] if it is another one than `expected`; the others if it is not whole.
    pub fn finish(self, expected: Digest) -> Result<(Body, Bytes), BodyError> {
        let Self { form, encoded, mut hash, gzip, .. } = self;
        let encoded = Bytes::from(encoded);
        let plain = match gzip {
            None => encoded.clone(),
            Some(mut gzip) => {
                let hashed = gzip.get_ref().plain.len();
                gzip.try_finish().map_err(|cause| gzip.get_ref().trouble(cause))?;
                let plain = std::mem::take(&mut gzip.get_mut().plain);
                hash.update(&plain[hashed..]);
                plain.into()
            }
        };
        let found = Digest(hash.finalize().into());
        if found == expected || canary::sings(canary::Bug::SkipsTheDigest) {
            Ok((Body { form, encoded }, plain))
        } else {
            Err(BodyError::Digest { expected, found })
        }
    }
}

/// Unpacks all of a body at once.
pub(crate) fn gunzip(encoded: &[u8], bytes_max: u64) -> Result<Bytes, BodyError> {
    let mut gzip = MultiGzDecoder::new(Bounded::new(bytes_max));
    let unpacked = gzip.write_all(encoded).and_then(|()| gzip.try_finish());
    unpacked.map_err(|cause| gzip.get_ref().trouble(cause))?;
    Ok(std::mem::take(&mut gzip.get_mut().plain).into())
}

/// Takes what comes out of a decoder, up to a limit.
struct Bounded {
    plain: Vec<u8>,
    bytes_max: u64,
    is_over: bool,
}

impl Bounded {
    fn new(bytes_max: u64) -> Self {
        let room = usize::try_from(bytes_max.min(crate::limits::BODY_BYTES_MAX)).unwrap_or_default();
        Self { plain: Vec::with_capacity(room), bytes_max, is_over: false }
    }

    fn trouble(&self, cause: io::Error) -> BodyError {
        if self.is_over { BodyError::TooLong { bytes_max: self.bytes_max } } else { BodyError::Gzip(cause) }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.plain.len() + bytes.len()) as u64 > self.bytes_max {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.plain.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<Bytes> {
        let noise = (0..300_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect::<Vec<_>>();
        vec![Bytes::new(), "short".into(), noise.into(), vec![b'a'; 3 << 20].into()]
    }

    fn pack(plain: &Bytes, form: Form) -> Body {
        match form {
            Form::Identity => Body { form, encoded: plain.clone() },
            Form::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(5));
                encoder.write_all(plain).unwrap();
                Body { form, encoded: encoder.finish().unwrap().into() }
            }
        }
    }

    fn unpack(body: &Body, part_bytes: usize, plain_bytes: u64, digest: Digest) -> Result<(Body, Bytes), BodyError> {
        let mut unpacking = Unpacking::new(body.form, body.encoded.len(), plain_bytes);
        body.encoded.chunks(part_bytes).try_for_each(|part| unpacking.push(part))?;
        unpacking.finish(digest)
    }

    #[test]
    fn a_body_in_parts_is_the_body_in_either_form() {
        for plain in texts() {
            for form in [Form::Identity, Form::Gzip] {
                let body = pack(&plain, form);
                for part_bytes in [1000, 64 << 10, 16 << 20] {
                    let (whole, found) = unpack(&body, part_bytes, plain.len() as u64, Digest::of(&plain)).unwrap();
                    assert!(whole == body && found == plain, "{form:?} {part_bytes}");
                }
                assert_eq!(body.plain(plain.len() as u64).unwrap(), plain);
            }
        }
    }

    #[test]
    fn neither_another_body_nor_half_of_one_nor_more_than_was_said_is_given_out() {
        for form in [Form::Identity, Form::Gzip] {
            let plain = Bytes::from(vec![b'a'; 3 << 20]);
            let (body, bytes, digest) = (pack(&plain, form), plain.len() as u64, Digest::of(&plain));
            assert!(matches!(unpack(&body, 1000, bytes, Digest::of(b"x")), Err(BodyError::Digest { .. })));
            assert!(matches!(unpack(&body, 1000, bytes - 1, digest), Err(BodyError::TooLong { .. })));
            let half = Body { form, encoded: body.encoded.slice(..body.encoded.len() / 2) };
            assert!(unpack(&half, 1000, bytes, digest).is_err());
        }
        let junk = Body { form: Form::Gzip, encoded: vec![7; 5000].into() };
        assert!(matches!(unpack(&junk, 1000, 5000, Digest::of(b"x")), Err(BodyError::Gzip(_))));
    }

    #[test]
    fn a_bomb_is_found_where_it_passes_the_limit() {
        let bomb = pack(&vec![0; 10 << 20].into(), Form::Gzip);
        let mut unpacking = Unpacking::new(Form::Gzip, bomb.encoded.len(), 1000);
        assert!(matches!(unpacking.push(&bomb.encoded), Err(BodyError::TooLong { bytes_max: 1000 })));
        assert_eq!(unpacking.gzip.unwrap().get_ref().plain.capacity(), 1000, "no more memory is taken");
    }
}
