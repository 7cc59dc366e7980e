use bytes::Bytes;
use crypto::{FleetKeys, OpenError, SegmentOpener, SegmentSealer, is_unsealed};
use wire::{Body, DecodeError, EncodeError, Form, Message, PullReply, PullRequest, limits};

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
    #[error("a body has {found} bytes where {expected} were announced")]
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

    /// Seals a body, segment by segment.
    pub fn segments(&self, request: &PullRequest, prefix: [u8; 19], encoded: &[u8]) -> Vec<Bytes> {
        let bound = bound(BOUND_BODY, request);
        let mut sealer = SegmentSealer::new(&self.keys.sealing, prefix, &bound);
        let count = encoded.len().div_ceil(limits::SEGMENT_BYTES).max(1);
        let mut segments: Vec<&[u8]> = encoded.chunks(limits::SEGMENT_BYTES).collect();
        segments.resize(count, &[]);
        segments.iter().enumerate().map(|(n, segment)| sealer.seal(segment, n + 1 == count).into()).collect()
    }
}

/// Puts a pulled body together again, never beyond what was announced.
pub struct Assembly<'a> {
    opener: SegmentOpener<'a>,
    form: Form,
    expected: u64,
    encoded: Vec<u8>,
}

/// What segments of one pull are bound to. Lives as long as its assembly.
pub fn bound_body(request: &PullRequest) -> Vec<u8> {
    bound(BOUND_BODY, request)
}

impl<'a> Assembly<'a> {
    /// `encoded_bytes_max` is what the record allows; a reply over it is refused before allocation.
    pub fn new(
        keys: &'a FleetKeys,
        bound: &'a [u8],
        prefix: [u8; 19],
        (form, expected): (Form, u64),
        encoded_bytes_max: u64,
    ) -> Result<Self, BadMessage> {
        if expected > encoded_bytes_max {
            return Err(BadMessage::Length { expected: encoded_bytes_max, found: expected });
        }
        let opener = SegmentOpener::new(&keys.sealing, prefix, bound);
        let encoded = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
        Ok(Self { opener, form, expected, encoded })
    }

    /// Adds a segment; returns the body with the last one.
    pub fn add(&mut self, sealed: &[u8]) -> Result<Option<Body>, BadMessage> {
        let left = self.expected - self.encoded.len() as u64;
        let last = left <= limits::SEGMENT_BYTES as u64;
        let segment = self.opener.open(sealed, last)?;
        self.encoded.extend_from_slice(&segment);
        let found = self.encoded.len() as u64;
        if found > self.expected || last && found != self.expected {
            return Err(BadMessage::Length { expected: self.expected, found });
        }
        Ok(last.then(|| Body { form: self.form, encoded: std::mem::take(&mut self.encoded).into() }))
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
    use wire::{Digest, KeyId, ScopeId};

    use super::*;

    fn keys() -> FleetKeys {
        FleetKeys::derive(&crypto::Secret::generate([1; 32]))
    }

    fn request() -> PullRequest {
        PullRequest { key: KeyId([1; 16]), scope: ScopeId([2; 16]), digest: Digest([3; 32]) }
    }

    #[test]
    fn bodies_of_all_sizes_arrive_whole() {
        let (keys, request) = (keys(), request());
        let carrier = Carrier::new(&keys);
        for len in [0, 1, limits::SEGMENT_BYTES, limits::SEGMENT_BYTES + 1, 3 * limits::SEGMENT_BYTES] {
            let encoded = vec![7; len];
            let reply = PullReply::Found { form: Form::Identity, encoded_bytes: len as u64 };
            let (head, prefix) = carrier.seal_reply(&request, &reply).unwrap();
            assert_eq!(carrier.open_reply(&request, &head).unwrap(), (reply, prefix));

            let bound = bound_body(&request);
            let mut assembly = Assembly::new(&keys, &bound, prefix, (Form::Identity, len as u64), len as u64).unwrap();
            let mut body = None;
            for segment in carrier.segments(&request, prefix, &encoded) {
                assert!(body.is_none(), "nothing follows the last segment");
                body = assembly.add(&segment).unwrap();
            }
            assert_eq!(body.unwrap().encoded, encoded);
        }
    }

    #[test]
    fn a_reply_that_promises_more_than_the_record_allows_is_refused_before_it_is_read() {
        let (keys, bound) = (keys(), bound_body(&request()));
        let endless = Assembly::new(&keys, &bound, [0; 19], (Form::Identity, u64::MAX), 1000);
        assert!(matches!(endless.err(), Some(BadMessage::Length { .. })));
    }

    #[test]
    fn what_leaves_the_machine_does_not_show_what_is_in_it() {
        let (keys, request) = (keys(), request());
        let carrier = Carrier::new(&keys);
        let mut sealed = carrier.segments(&request, [0; 19], &[7; 1000]).concat();
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
