//! Substreams that an honest peer opened while its last proof was still on the way.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use libp2p::{
    core::{
        ConnectedPoint, StreamMuxer,
        muxing::{StreamMuxerBox, StreamMuxerEvent, SubstreamBox},
    },
    multiaddr::Protocol,
};

use crate::limits::EARLY_SUBSTREAMS_QUIC;

/// How many substreams may come before M4: none where the transport keeps the order, and a circuit
/// is a stream, whatever it runs over.
pub(super) fn bound(endpoint: &ConnectedPoint) -> usize {
    let address = endpoint.get_remote_address();
    let relayed = endpoint.is_relayed();
    if !relayed && address.iter().any(|part| part == Protocol::QuicV1) { EARLY_SUBSTREAMS_QUIC } else { 0 }
}

/// Hands the early substreams to the swarm before new ones.
pub(super) fn with_early(inner: StreamMuxerBox, waiting: VecDeque<SubstreamBox>) -> StreamMuxerBox {
    if waiting.is_empty() { inner } else { StreamMuxerBox::new(Early { inner, waiting }) }
}

struct Early {
    inner: StreamMuxerBox,
    waiting: VecDeque<SubstreamBox>,
}

impl StreamMuxer for Early {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        match self.waiting.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => Pin::new(&mut self.inner).poll_inbound(cx),
        }
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.inner).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}
