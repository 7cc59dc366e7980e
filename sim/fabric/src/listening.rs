//! Ports that take connections.

use std::{
    io,
    task::{Context, Poll},
};

use crate::{
    machine::{MachineId, Pair},
    socket::SocketId,
    state::State,
    tcp::Connection,
};

/// Which listener: the port may be another's by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenerKey {
    pub(crate) machine: MachineId,
    pub(crate) port: u16,
    pub(crate) id: u64,
}

impl State {
    pub(crate) fn listen(&mut self, machine: MachineId, boots: u32, port: u16) -> io::Result<ListenerKey> {
        let SocketId(id) = self.next_socket();
        let on = &mut self.machines[machine.index()];
        on.check(boots)?;
        Ok(ListenerKey { machine, port: on.listen(port, id)?, id })
    }

    /// The next connection whose handshake is done; the caller becomes its holder.
    pub(crate) fn poll_accept(&mut self, key: ListenerKey, cx: &Context<'_>) -> Poll<io::Result<(SocketId, Pair)>> {
        let listeners = &mut self.machines[key.machine.index()].listeners;
        let Some(listening) = listeners.get_mut(&key.port).filter(|listening| listening.id == key.id) else {
            return Poll::Ready(Err(io::ErrorKind::NetworkDown.into()));
        };
        let Some(id) = listening.queue.pop_front() else {
            self.wakes.park(&mut listening.waker, cx);
            return Poll::Pending;
        };
        let pair = self.sockets[&id].pair;
        Poll::Ready(Ok((id, pair)))
    }

    /// Closes the listener; what it has not given out is reset.
    pub(crate) fn unlisten(&mut self, key: ListenerKey) {
        let listeners = &mut self.machines[key.machine.index()].listeners;
        if listeners.get(&key.port).is_none_or(|listening| listening.id != key.id) {
            return;
        }
        let Some(mut listening) = listeners.remove(&key.port) else { return };
        self.wakes.forget(&mut listening.waker);
        for id in listening.half_open.into_iter().chain(listening.queue) {
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.owned = false;
                socket.connection.abort();
            }
            self.settle(id);
        }
    }

    /// A SYN that belongs to no connection. Returns whether a listener took it or dropped it.
    pub(crate) fn take_syn(&mut self, machine: MachineId, pair: Pair, seq: u64) -> bool {
        let Some(listening) = self.machines[machine.index()].listeners.get(&pair.local.port()) else {
            return false;
        };
        if listening.is_full() {
            return true;
        }
        let id = self.next_socket();
        let connection = Connection::answer(id.isn(), seq, self.now);
        self.add_socket(id, machine, pair, connection, Some(pair.local.port()));
        true
    }
}
