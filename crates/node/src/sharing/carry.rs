use std::ops::Range;

use bytes::Bytes;
use crypto::{FleetKeys, OpenError, SegmentOpener, SegmentSealer, is_unsealed};
use wire::{DecodeError, EncodeError, Message, PullReply, PullRequest, limits};

/// What sealed messages are bound to, so that one kind cannot be replayed as another.
const BOUND_MESSAGE: &[u8] = b"ghoard/1 message";
const BOUND_REQUEST: &[u8] = b"ghoard/1 pull request";
const BOUND_REPLY: &[u8] = b"ghoard/1 pull reply";
const BOUND_BODY: &[u8] = b"ghoard/1 body";

/// Seals what leaves this machine and opens what arrives.
pub struct Carrier<'a> {
    keys: &'a FleetKeys,
}

/// Why bytes of a member are no message.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Both are members, with different settings of `seal`: nobody lies.
    #[error("sealing is {} there", if *there { "on" } else { "off" })]
    OtherSealing { there: bool },
    #[error("a body or a part of it has {found} bytes where {expected} were announced")]
    Length { expected: u64, found: u64 },
}

impl<'a> Carrier<'a> {
    pub fn new(keys: &'a FleetKeys) -> Self {
        Self { keys }
    }

    pub fn seal(&self, message: &Message) -> Result<Bytes, EncodeError> {
        Ok(self.keys.sealing.seal(rand::random(), BOUND_MESSAGE, &message.encode()?).into())
    }

    pub fn open(&self, sealed: &[u8]) -> Result<Message, BadMessage> {
        Ok(Message::decode(&self.unseal(BOUND_MESSAGE, sealed)?)?)
    }

    pub fn seal_request(&self, request: &PullRequest) -> Result<Bytes, EncodeError> {
        Ok(self.keys.sealing.seal(rand::random(), BOUND_REQUEST, &request.encode()?).into())
    }

    pub fn open_request(&self, sealed: &[u8]) -> Result<PullRequest, BadMessage> {
        Ok(PullRequest::decode(&self.unseal(BOUND_REQUEST, sealed)?)?)
    }

    /// The first frame of a reply; with it comes the prefix of the segments' nonces.
    pub fn seal_reply(&self, request: &PullRequest, reply: &PullReply) -> Result<(Bytes, [u8; 19]), EncodeError> {
        let prefix: [u8; 19] = rand::random();
        let mut plain = prefix.to_vec();
        plain.extend(reply.encode()?);
        Ok((self.keys.sealing.seal(rand::random(), &bound(BOUND_REPLY, request), &plain).into(), prefix))
    }

    pub fn open_reply(&self, request: &PullRequest, sealed: &[u8]) -> Result<(PullReply, [u8; 19]), BadMessage> {
        let plain = self.unseal(&bound(BOUND_REPLY, request), sealed)?;
        let (prefix, reply) = plain.split_first_chunk().ok_or(OpenError)?;
        Ok((PullReply::decode(reply)?, *prefix))
    }

    fn unseal(&self, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, BadMessage> {
        let sealing = &self.keys.sealing;
        if is_unsealed(sealed) != sealing.is_off() {
            return Err(BadMessage::OtherSealing { there: sealing.is_off() });
        }
        Ok(sealing.open(bound, sealed)?)
    }

    /// Seals the segments of a body whose numbers are in `numbers`.
    pub fn segments(&self, request: &PullRequest, prefix: [u8; 19], encoded: &[u8], numbers: Range<u32>) -> Vec<Bytes> {
        let bound = bound(BOUND_BODY, request);
        let mut sealer = SegmentSealer::new(&self.keys.sealing, prefix, &bound).starting_at(numbers.start);
        let seal = |number: u32| {
            let from = (number as usize * limits::SEGMENT_BYTES).min(encoded.len());
            let to = (from + limits::SEGMENT_BYTES).min(encoded.len());
            sealer.seal(&encoded[from..to], to == encoded.len()).into()
        };
        numbers.map(seal).collect()
    }
}

/// How many segments a body of `encoded_bytes` has. An empty one has one, which is empty.
pub fn segments_of(encoded_bytes: u64) -> u32 {
    u32::try_from(encoded_bytes.div_ceil(limits::SEGMENT_BYTES as u64).max(1)).unwrap_or(u32::MAX)
}

/// Opens the segments of a pulled body, never beyond what was announced.
pub struct Opening {
    opener: SegmentOpener,
    expected: u64,
    opened: u64,
}

impl Opening {
    /// `encoded_bytes_max` is what the record allows; a reply over it is refused before memory is taken.
    pub fn new(
        keys: &FleetKeys,
        request: &PullRequest,
        prefix: [u8; 19],
        (expected, from_segment): (u64, u32),
        encoded_bytes_max: u64,
    ) -> Result<Self, BadMessage> {
        let opened = u64::from(from_segment) * limits::SEGMENT_BYTES as u64;
        if expected > encoded_bytes_max || opened > 0 && opened >= expected {
            return Err(BadMessage::Length { expected: encoded_bytes_max, found: expected });
        }
        let opener = SegmentOpener::new(keys.sealing.clone(), prefix, bound(BOUND_BODY, request));
        Ok(Self { opener: opener.starting_at(from_segment), expected, opened })
    }

    /// Returns the next segment, opened in its place. There are [`segments_of`] the length that is expected.
    pub fn open(&mut self, sealed: Vec<u8>) -> Result<Vec<u8>, BadMessage> {
        let left = self.expected - self.opened;
        let length = left.min(limits::SEGMENT_BYTES as u64);
        let is_last = length == left;
        let segment = self.opener.open(sealed, is_last)?;
        if segment.len() as u64 != length {
            return Err(BadMessage::Length { expected: length, found: segment.len() as u64 });
        }
        self.opened += length;
        Ok(segment)
    }
}

/// A newer or older ghoard: nobody's fault.
pub fn is_from_another_version(error: &DecodeError) -> bool {
    matches!(error, DecodeError::UnknownVersion(_) | DecodeError::UnknownKind(_))
}

fn bound(kind: &[u8], request: &PullRequest) -> Vec<u8> {
    [kind, &request.key.0, &request.scope.0, &request.digest.0].concat()
}

#[cfg(test)]
mod tests {
    use wire::{Digest, Form, KeyId, ScopeId};

    use super::*;

    fn keys() -> FleetKeys {
        FleetKeys::derive(&crypto::Secret::generate([1; 32]))
    }

    fn request() -> PullRequest {
        PullRequest { key: KeyId([1; 16]), scope: ScopeId([2; 16]), digest: Digest([3; 32]), from_segment: 0 }
    }

    #[test]
    fn bodies_of_all_sizes_arrive_whole_and_from_any_segment_on() {
        let (keys, request) = (keys(), request());
        let carrier = Carrier::new(&keys);
        for len in [0, 1, limits::SEGMENT_BYTES, limits::SEGMENT_BYTES + 1, 3 * limits::SEGMENT_BYTES] {
            let encoded: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let count = segments_of(len as u64);
            for from_segment in 0..count {
                let reply = PullReply::Found { form: Form::Identity, encoded_bytes: len as u64, from_segment };
                let (head, prefix) = carrier.seal_reply(&request, &reply).unwrap();
                assert_eq!(carrier.open_reply(&request, &head).unwrap(), (reply, prefix));

                let mut opening =
                    Opening::new(&keys, &request, prefix, (len as u64, from_segment), len as u64).unwrap();
                let mut body = Vec::new();
                for segment in carrier.segments(&request, prefix, &encoded, from_segment..count) {
                    body.extend(opening.open(segment.into()).unwrap());
                }
                assert_eq!(body, encoded[from_segment as usize * limits::SEGMENT_BYTES..]);
            }
        }
    }

    #[test]
    fn a_reply_that_promises_more_than_the_record_allows_is_refused_before_it_is_read() {
        let (keys, request) = (keys(), request());
        for found in [(u64::MAX, 0), (1000, 1), (1000, u32::MAX)] {
            let endless = Opening::new(&keys, &request, [0; 19], found, 1000);
            assert!(matches!(endless.err(), Some(BadMessage::Length { .. })));
        }
    }

    #[test]
    fn a_short_segment_before_the_last_is_refused() {
        let (keys, request) = (keys(), request());
        let bound = bound(BOUND_BODY, &request);
        let mut sealer = SegmentSealer::new(&keys.sealing, [0; 19], &bound);
        let mut opening = Opening::new(&keys, &request, [0; 19], (200_000, 0), 200_000).unwrap();
        assert!(matches!(opening.open(sealer.seal(&[7; 1024], false)), Err(BadMessage::Length { .. })));
    }

    #[test]
    fn what_leaves_the_machine_does_not_show_what_is_in_it() {
        let (keys, request) = (keys(), request());
        let carrier = Carrier::new(&keys);
        let mut sealed = carrier.segments(&request, [0; 19], &[7; 1000], 0..1).concat();
        sealed.extend(carrier.seal_request(&request).unwrap());
        for plain in [&[7; 16][..], &request.key.0, &request.scope.0, &request.digest.0] {
            assert!(!sealed.windows(plain.len()).any(|window| window == plain));
        }
    }

    #[test]
    fn a_message_of_one_kind_is_not_one_of_another() {
        let keys = keys();
        let carrier = Carrier::new(&keys);
        let request = carrier.seal_request(&request()).unwrap();
        assert!(matches!(carrier.open(&request), Err(BadMessage::Open(_))));
    }
}
