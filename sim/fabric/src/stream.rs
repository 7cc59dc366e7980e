//! One end of a connection, as its holder sees it.

use std::{
    io,
    net::SocketAddrV4,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};

use crate::{machine::Pair, network::Network, socket::SocketId};

/// An established connection.
///
/// Closing sends a FIN after what was written and returns at once. Dropping does so too and delivers
/// the rest in the background; if something had arrived and was not read, it resets the connection.
///
/// # Errors
/// Of reads and writes: `ConnectionReset` by the peer, `TimedOut` after about 16 minutes without an
/// answer, `NetworkDown` if this machine has lost its power. A write after a close: `BrokenPipe`.
#[derive(Debug)]
pub struct Stream {
    network: Network,
    id: SocketId,
    pair: Pair,
}

impl Stream {
    /// Takes over the holding of `id`.
    pub(crate) fn new(network: Network, id: SocketId, pair: Pair) -> Self {
        Self { network, id, pair }
    }

    pub fn local(&self) -> SocketAddrV4 {
        self.pair.local
    }

    pub fn remote(&self) -> SocketAddrV4 {
        self.pair.remote
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.network.with(|state| state.poll_read(self.id, buf, cx))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.network.with(|state| state.poll_write(self.id, bytes, cx))
    }

    /// What was written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.network.with(|state| state.close(self.id)))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.network.with(|state| state.release(self.id));
    }
}
