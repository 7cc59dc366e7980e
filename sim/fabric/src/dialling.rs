//! A connection on its way to being one.

use std::{
    io,
    net::SocketAddrV4,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{machine::MachineId, network::Network, socket::SocketId, stream::Stream};

/// The future of a dial; see [`Network::dial`]. It does nothing before its first poll, and a drop
/// gives the dial up.
#[derive(Debug)]
#[must_use = "nothing is sent before the first poll"]
pub struct Dialling {
    network: Network,
    machine: MachineId,
    boots: u32,
    remote: SocketAddrV4,
    from_port: Option<u16>,
    socket: Option<SocketId>,
}

impl Dialling {
    pub(crate) fn new(network: Network, machine: MachineId, boots: u32, remote: SocketAddrV4) -> Self {
        Self { network, machine, boots, remote, from_port: None, socket: None }
    }

    /// Dials from this port of the machine if it has no connection to the remote yet, else from an
    /// ephemeral one. The port may be listened on.
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = Some(port);
        self
    }
}

impl Future for Dialling {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let connected = this.network.with(|state| {
            let id = match this.socket {
                Some(id) => id,
                None => state.connect(this.machine, this.boots, this.remote, this.from_port)?,
            };
            this.socket = Some(id);
            state.poll_connected(id, cx).map_ok(|pair| (id, pair))
        });
        let (id, pair) = std::task::ready!(connected)?;
        this.socket = None;
        Poll::Ready(Ok(Stream::new(this.network.clone(), id, pair)))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if let Some(id) = self.socket {
            self.network.with(|state| state.release(id));
        }
    }
}
