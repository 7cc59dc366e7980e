//! A machine: its power, its ports, and which socket has which addresses.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddrV4},
    task::Waker,
};

use crate::{
    limits::{ACCEPT_BACKLOG_MAX, EPHEMERAL_PORTS, LISTEN_PORT_FIRST},
    nat::Table,
    socket::SocketId,
};

/// A machine of one [`Network`](crate::Network), numbered from zero in the order of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(pub(crate) u32);

impl MachineId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What identifies a connection on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
}

/// A port that takes connections.
pub(crate) struct Listening {
    /// Tells this listener from later ones of the same port.
    pub(crate) id: u64,
    /// Their handshakes are not done.
    pub(crate) half_open: BTreeSet<SocketId>,
    /// They wait for `accept`, which becomes their holder.
    pub(crate) queue: VecDeque<SocketId>,
    pub(crate) waker: Option<Waker>,
}

impl Listening {
    pub(crate) fn is_full(&self) -> bool {
        self.half_open.len() + self.queue.len() >= ACCEPT_BACKLOG_MAX
    }
}

pub(crate) struct Machine {
    pub(crate) ip: Ipv4Addr,
    /// The router in front of it.
    pub(crate) router: Option<MachineId>,
    /// It is a router.
    pub(crate) nat: Option<Table>,
    pub(crate) powered: bool,
    /// Counts power cycles: a handle of an earlier one does nothing.
    pub(crate) boots: u32,
    pub(crate) table: BTreeMap<Pair, SocketId>,
    pub(crate) listeners: BTreeMap<u16, Listening>,
    /// Goes on after a power cycle, so that the peers' half-open connections are seldom met.
    next_port: u16,
}

impl Machine {
    pub(crate) fn new(ip: Ipv4Addr, router: Option<MachineId>, nat: Option<Table>) -> Self {
        Self {
            ip,
            router,
            nat,
            powered: true,
            boots: 0,
            table: BTreeMap::new(),
            listeners: BTreeMap::new(),
            next_port: *EPHEMERAL_PORTS.start(),
        }
    }

    /// Whether a handle made in the power cycle `boots` may still do something.
    pub(crate) fn check(&self, boots: u32) -> io::Result<()> {
        if self.powered && self.boots == boots { Ok(()) } else { Err(ErrorKind::NetworkDown.into()) }
    }

    /// Starts to listen on `port`, or on a free one if it is zero. Returns the port.
    pub(crate) fn listen(&mut self, port: u16, id: u64) -> io::Result<u16> {
        let port = match port {
            0 => (LISTEN_PORT_FIRST..=u16::MAX)
                .find(|port| !self.listeners.contains_key(port))
                .ok_or(ErrorKind::AddrNotAvailable)?,
            taken if self.listeners.contains_key(&taken) => return Err(ErrorKind::AddrInUse.into()),
            free => free,
        };
        let listening = Listening { id, half_open: BTreeSet::new(), queue: VecDeque::new(), waker: None };
        self.listeners.insert(port, listening);
        Ok(port)
    }

    /// The addresses of a new connection to `remote`: from `wish` if that is free, else from the next
    /// ephemeral port.
    pub(crate) fn pair_to(&mut self, remote: SocketAddrV4, wish: Option<u16>) -> io::Result<Pair> {
        let ip = if remote.ip().is_loopback() { *remote.ip() } else { self.ip };
        let pair = |port| Pair { local: SocketAddrV4::new(ip, port), remote };
        let wish = wish.map(pair).filter(|wish| wish.local != remote && !self.table.contains_key(wish));
        if let Some(pair) = wish {
            return Ok(pair);
        }
        for _ in EPHEMERAL_PORTS {
            let port = self.next_port;
            self.next_port = if port == *EPHEMERAL_PORTS.end() { *EPHEMERAL_PORTS.start() } else { port + 1 };
            let pair = pair(port);
            if pair.local != remote && !self.listeners.contains_key(&port) && !self.table.contains_key(&pair) {
                return Ok(pair);
            }
        }
        Err(ErrorKind::AddrNotAvailable.into())
    }

    /// Frees the addresses of this socket, unless they are already another's.
    pub(crate) fn remove(&mut self, pair: &Pair, id: SocketId) {
        if self.table.get(pair) == Some(&id) {
            self.table.remove(pair);
        }
    }
}
