//! What crosses a link.

use std::{net::SocketAddrV4, time::Duration};

use bytes::Bytes;

use crate::limits::HEADER_BYTES;

/// One packet. A NAT box may rewrite its addresses, nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub src: SocketAddrV4,
    pub dst: SocketAddrV4,
    pub segment: Segment,
}

/// A TCP segment. Numbers count bytes, and a FIN as one more; `upto` is the next number that the
/// sender of the segment expects, `window` how many bytes from there it has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Syn {
        seq: u64,
    },
    SynAck {
        seq: u64,
        upto: u64,
    },
    /// With neither bytes nor FIN it asks for the window. `sent_at` is its time stamp (RFC 7323).
    Data {
        seq: u64,
        bytes: Bytes,
        fin: bool,
        sent_at: Duration,
        upto: u64,
        window: u64,
    },
    /// `echo` is the time stamp of the segment that it answers; a window update answers none.
    Ack {
        upto: u64,
        window: u64,
        echo: Option<Duration>,
    },
    /// Believed if `seq` is in the receiver's window, or, before there is one, if `upto` answers its SYN.
    Rst {
        seq: u64,
        upto: u64,
    },
}

impl Packet {
    /// The bytes of the stream that it carries.
    pub fn payload(&self) -> &[u8] {
        match &self.segment {
            Segment::Data { bytes, .. } => bytes,
            _ => &[],
        }
    }

    /// Its size on a link, headers included.
    pub fn size(&self) -> u64 {
        HEADER_BYTES + self.payload().len() as u64
    }

    /// What a machine without such a connection answers; a reset is not answered.
    pub(crate) fn refusal(&self) -> Option<Self> {
        let segment = match self.segment {
            Segment::Syn { seq } => Segment::Rst { seq: 0, upto: seq + 1 },
            Segment::SynAck { upto, .. } | Segment::Data { upto, .. } | Segment::Ack { upto, .. } => {
                Segment::Rst { seq: upto, upto: 0 }
            }
            Segment::Rst { .. } => return None,
        };
        Some(Self { src: self.dst, dst: self.src, segment })
    }
}
