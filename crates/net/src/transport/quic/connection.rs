use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    PeerId,
    core::muxing::{StreamMuxer, StreamMuxerEvent},
};
use quinn::{ConnectionError, RecvStream, SendStream, VarInt};
use rustls_pki_types::CertificateDer;

use super::{Made, places::Place};
use crate::limits::{MUXER_STREAMS_MAX, QUIC_CONNECTION_BYTES_MAX};

/// A connection whose streams are QUIC's own.
pub(crate) struct Connection {
    inner: quinn::Connection,
    incoming: Option<Opening>,
    outgoing: Option<Opening>,
    closing: Option<BoxFuture<'static, ConnectionError>>,
}

type Opening = BoxFuture<'static, Result<(SendStream, RecvStream), ConnectionError>>;

impl Connection {
    fn new(inner: quinn::Connection) -> Self {
        Self { inner, incoming: None, outgoing: None, closing: None }
    }
}

/// A connection whose peer has proved nothing yet: it may send little, and takes a place if it came to us.
pub(crate) struct Newcomer {
    inner: quinn::Connection,
    place: Option<Place>,
}

impl Newcomer {
    /// Its peer is somebody to be heard: it may send what a member may.
    pub(crate) fn let_in(self) {
        let streams = u32::try_from(MUXER_STREAMS_MAX).expect("some hundreds");
        self.inner.set_receive_window(QUIC_CONNECTION_BYTES_MAX.into());
        self.inner.set_max_concurrent_bi_streams(streams.into());
        if let Some(place) = self.place {
            place.give_back();
        }
    }
}

/// After the handshake.
pub(super) fn made(inner: quinn::Connection, place: Option<Place>) -> io::Result<Made> {
    let newcomer = Newcomer { inner: inner.clone(), place };
    Ok((peer_of(&inner)?, Connection::new(inner), newcomer))
}

/// Who is at the other end, by the certificate that it has proved to hold.
fn peer_of(connection: &quinn::Connection) -> io::Result<PeerId> {
    let identity = connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'_>>>().ok());
    let certificate = identity.as_ref().and_then(|certificates| certificates.first());
    let certificate = certificate.ok_or_else(|| io::Error::other("a peer without a certificate"))?;
    Ok(libp2p_tls::certificate::parse(certificate).map_err(io::Error::other)?.peer_id())
}

impl StreamMuxer for Connection {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let this = self.get_mut();
        let incoming = this.incoming.get_or_insert_with(|| {
            let connection = this.inner.clone();
            async move { connection.accept_bi().await }.boxed()
        });
        let stream = ready!(incoming.poll_unpin(cx));
        // Also after an error: who asks again gets another one.
        this.incoming = None;
        Poll::Ready(Ok(Stream::new(stream?)))
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let this = self.get_mut();
        let outgoing = this.outgoing.get_or_insert_with(|| {
            let connection = this.inner.clone();
            async move { connection.open_bi().await }.boxed()
        });
        let stream = ready!(outgoing.poll_unpin(cx));
        this.outgoing = None;
        Poll::Ready(Ok(Stream::new(stream?)))
    }

    /// Nothing happens to it: its address is the same until its end, and the end shows in its streams.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let closing = this.closing.get_or_insert_with(|| {
            this.inner.close(VarInt::from_u32(0), &[]);
            let connection = this.inner.clone();
            async move { connection.closed().await }.boxed()
        });
        let why = ready!(closing.poll_unpin(cx));
        this.closing = None;
        Poll::Ready(if why == ConnectionError::LocallyClosed { Ok(()) } else { Err(why.into()) })
    }
}

/// Both halves of a stream.
pub(crate) struct Stream {
    send: SendStream,
    receive: RecvStream,
    /// Whether our half has ended, and how.
    ended: Option<Result<(), io::ErrorKind>>,
}

impl Stream {
    fn new((send, receive): (SendStream, RecvStream)) -> Self {
        Self { send, receive, ended: None }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    /// May be called again, and says the same; quinn's own does not.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(ended) = self.ended {
            return Poll::Ready(ended.map_err(Into::into));
        }
        let ended = ready!(AsyncWrite::poll_close(Pin::new(&mut self.send), cx));
        self.ended = Some(ended.as_ref().map_err(io::Error::kind).copied());
        Poll::Ready(ended)
    }
}
