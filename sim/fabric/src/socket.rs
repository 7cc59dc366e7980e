//! A connection and what the rest of the world knows of it, and what its holder can do with it.

use std::{
    io::{self, ErrorKind},
    net::SocketAddrV4,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    limits::SEQUENCE_BITS,
    machine::{MachineId, Pair},
    state::State,
    tcp::Connection,
};

/// Never used twice in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u64);

impl SocketId {
    /// The first sequence number of this socket.
    pub(crate) fn isn(self) -> u64 {
        self.0 << SEQUENCE_BITS
    }
}

/// Kept as long as somebody holds it or it has something to send. Its addresses are its own only
/// until the connection is over.
pub(crate) struct Socket {
    pub(crate) machine: MachineId,
    pub(crate) pair: Pair,
    pub(crate) connection: Connection,
    /// A handle or an accept queue has it.
    pub(crate) owned: bool,
    /// The listener that it came to, until its handshake is done.
    pub(crate) origin: Option<u16>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Its event in the world's queue.
    pub(crate) timer: Option<(Duration, u64)>,
}

/// The calls of a socket's holder. Its socket is there until [`State::release`].
impl State {
    /// Sends the SYN of a new connection.
    pub(crate) fn connect(
        &mut self,
        machine: MachineId,
        boots: u32,
        remote: SocketAddrV4,
        wish: Option<u16>,
    ) -> io::Result<SocketId> {
        let on = &mut self.machines[machine.index()];
        on.check(boots)?;
        let pair = on.pair_to(remote, wish)?;
        let id = self.next_socket();
        let connection = Connection::dial(id.isn(), self.now);
        self.add_socket(id, machine, pair, connection, None);
        Ok(id)
    }

    /// Both ends' addresses once the handshake is done.
    pub(crate) fn poll_connected(&mut self, id: SocketId, cx: &Context<'_>) -> Poll<io::Result<Pair>> {
        let socket = owned(&mut self.sockets, id);
        match socket.connection.connected() {
            Poll::Pending => self.wakes.park(&mut socket.writer, cx),
            Poll::Ready(done) => return Poll::Ready(done.map(|()| socket.pair).map_err(io::Error::from)),
        }
        Poll::Pending
    }

    pub(crate) fn poll_read(&mut self, id: SocketId, buf: &mut [u8], cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let socket = owned(&mut self.sockets, id);
        let read = socket.connection.read(buf);
        self.finish_call(id, read, cx, |socket| &mut socket.reader)
    }

    pub(crate) fn poll_write(&mut self, id: SocketId, bytes: &[u8], cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let socket = owned(&mut self.sockets, id);
        let written = socket.connection.write(bytes, self.now);
        self.finish_call(id, written, cx, |socket| &mut socket.writer)
    }

    fn finish_call(
        &mut self,
        id: SocketId,
        outcome: Poll<Result<usize, ErrorKind>>,
        cx: &Context<'_>,
        slot: impl Fn(&mut Socket) -> &mut Option<Waker>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(done) = outcome else {
            self.wakes.park(slot(owned(&mut self.sockets, id)), cx);
            return Poll::Pending;
        };
        self.settle(id);
        Poll::Ready(done.map_err(io::Error::from))
    }

    pub(crate) fn close(&mut self, id: SocketId) -> io::Result<()> {
        let closed = owned(&mut self.sockets, id).connection.close(self.now);
        self.settle(id);
        closed.map_err(io::Error::from)
    }

    /// The holder is gone.
    pub(crate) fn release(&mut self, id: SocketId) {
        let socket = owned(&mut self.sockets, id);
        socket.owned = false;
        self.wakes.forget(&mut socket.reader);
        self.wakes.forget(&mut socket.writer);
        socket.connection.release(self.now);
        self.settle(id);
    }
}

fn owned(sockets: &mut std::collections::BTreeMap<SocketId, Socket>, id: SocketId) -> &mut Socket {
    sockets.get_mut(&id).expect("a socket stays as long as its holder")
}
