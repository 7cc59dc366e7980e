//! A port that takes connections, as its holder sees it.

use std::{
    io,
    net::SocketAddrV4,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{listening::ListenerKey, network::Network, stream::Stream};

/// A port that takes connections, of all addresses of its machine. A drop closes it and resets the
/// connections that were not accepted.
#[derive(Debug)]
pub struct Listener {
    network: Network,
    key: ListenerKey,
}

impl Listener {
    pub(crate) fn new(network: Network, key: ListenerKey) -> Self {
        Self { network, key }
    }

    /// The machine's own address, and the port.
    pub fn local(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.network.ip(self.key.machine), self.key.port)
    }

    /// The next connection whose handshake is done.
    ///
    /// # Errors
    /// Of the result: `NetworkDown` if the machine has lost its power, now and for ever.
    pub fn accept(&mut self) -> Accept<'_> {
        Accept(self)
    }

    /// As [`Listener::accept`].
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let (id, pair) = ready!(self.network.with(|state| state.poll_accept(self.key, cx)))?;
        Poll::Ready(Ok(Stream::new(self.network.clone(), id, pair)))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.network.with(|state| state.unlisten(self.key));
    }
}

/// The future of [`Listener::accept`].
#[derive(Debug)]
pub struct Accept<'a>(&'a mut Listener);

impl Future for Accept<'_> {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_accept(cx)
    }
}
