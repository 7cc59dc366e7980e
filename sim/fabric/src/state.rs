//! The world: machines, links, sockets, and the queue of what happens next.

use std::{collections::BTreeMap, mem, net::Ipv4Addr, time::Duration};

use crate::{
    limits::LOOPBACK_LATENCY,
    link::{Fate, Link, Links, Passage},
    machine::{Machine, MachineId, Pair},
    nat::{Nat, Table},
    network::{Tap, Totals},
    packet::{Packet, Segment},
    rng::SplitMix64,
    route::{Route, route},
    socket::{Socket, SocketId},
    tcp::Connection,
    wakes::Wakes,
};

/// What [`Network::set_tap`](crate::Network::set_tap) takes.
pub(crate) type TapFn = Box<dyn FnMut(Tap<'_>) + Send>;

enum Event {
    Arrival { to: MachineId, packet: Packet },
    Timer(SocketId),
}

/// What a router draws is apart from what its links draw.
const NAT_STREAM: u64 = 0x6e61_7400;

pub(crate) struct State {
    seed: u64,
    pub(crate) now: Duration,
    /// By time, then in the order of their making.
    events: BTreeMap<(Duration, u64), Event>,
    next_event: u64,
    pub(crate) machines: Vec<Machine>,
    addresses: BTreeMap<Ipv4Addr, MachineId>,
    pub(crate) links: Links,
    pub(crate) sockets: BTreeMap<SocketId, Socket>,
    next_socket: u64,
    pub(crate) wakes: Wakes,
    pub(crate) tap: Option<TapFn>,
    pub(crate) totals: Totals,
}

impl State {
    pub(crate) fn new(seed: u64, default_link: Link) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            events: BTreeMap::new(),
            next_event: 0,
            machines: Vec::new(),
            addresses: BTreeMap::new(),
            links: Links::new(seed, default_link),
            sockets: BTreeMap::new(),
            next_socket: 0,
            wakes: Wakes::default(),
            tap: None,
            totals: Totals::default(),
        }
    }

    pub(crate) fn add_machine(&mut self, ip: Ipv4Addr, router: Option<MachineId>, nat: Option<Nat>) -> MachineId {
        let id = MachineId(u32::try_from(self.machines.len()).expect("fewer machines than IPv4 addresses"));
        assert!(!ip.is_loopback() && !ip.is_unspecified(), "{ip} is no machine's own address");
        assert!(self.addresses.insert(ip, id).is_none(), "two machines have the address {ip}");
        let nat = nat.map(|nat| Table::new(nat, ip, SplitMix64::new(self.seed, &[NAT_STREAM, id.0.into()])));
        self.machines.push(Machine::new(ip, router, nat));
        if let Some(router) = router {
            let router = &mut self.machines[router.index()];
            router.nat.as_mut().expect("what is in front of a machine is a router").add_machine(ip);
        }
        id
    }

    /// The machine is at `ip` from now on. Its connections stay with the old address, and wait in vain.
    pub(crate) fn readdress(&mut self, id: MachineId, ip: Ipv4Addr) {
        let machine = &mut self.machines[id.index()];
        let old = mem::replace(&mut machine.ip, ip);
        if old == ip {
            return;
        }
        self.addresses.remove(&old);
        assert!(self.addresses.insert(ip, id).is_none(), "two machines have the address {ip}");
        if let Some(nat) = &mut machine.nat {
            nat.readdress(ip);
        }
        for listening in machine.listeners.values_mut() {
            self.wakes.wake(&mut listening.waker);
        }
    }

    pub(crate) fn next_event(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn advance(&mut self, now: Duration) {
        while let Some(first) = self.events.first_entry().filter(|first| first.key().0 <= now) {
            let ((at, _), event) = first.remove_entry();
            self.now = self.now.max(at);
            match event {
                Event::Arrival { to, packet } => self.arrive(to, packet),
                Event::Timer(id) => self.ring(id),
            }
        }
        self.now = self.now.max(now);
    }

    fn schedule(&mut self, at: Duration, event: Event) -> (Duration, u64) {
        let key = (at, self.next_event);
        self.next_event += 1;
        self.events.insert(key, event);
        key
    }

    fn arrive(&mut self, to: MachineId, packet: Packet) {
        let machine = &mut self.machines[to.index()];
        if !machine.powered {
            return;
        }
        if let Some(nat) = &mut machine.nat {
            let inner = nat.inward(packet.src, packet.dst.port(), self.now);
            if let Some((inner, to)) = inner.and_then(|inner| Some((inner, *self.addresses.get(inner.ip())?))) {
                self.arrive(to, Packet { dst: inner, ..packet });
            }
            return;
        }
        let pair = Pair { local: packet.dst, remote: packet.src };
        if let Some(id) = machine.table.get(&pair).copied() {
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.connection.handle(packet.segment, self.now);
            }
            self.settle(id);
            return;
        }
        if let Segment::Syn { seq } = packet.segment
            && self.take_syn(to, pair, seq)
        {
            return;
        }
        if let Some(refusal) = packet.refusal() {
            self.send(to, refusal);
        }
    }

    fn ring(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.timer = None;
            socket.connection.timeout(self.now);
        }
        self.settle(id);
    }

    /// Puts a packet on its link.
    pub(crate) fn send(&mut self, from: MachineId, mut packet: Packet) {
        let (to, passage) = match route(&self.addresses, &mut self.machines, from, &mut packet, self.now) {
            Route::Loopback => (from, Passage::Arrives(self.now + LOOPBACK_LATENCY)),
            Route::Link(to) => (to, self.links.line(from, to).put(&packet, self.now)),
            Route::Nowhere => {
                self.totals.count(&packet, Fate::Lost);
                return;
            }
        };
        let fate = match passage {
            Passage::Held => return,
            Passage::Never(fate) => fate,
            Passage::Arrives(_) => Fate::Sent,
        };
        self.totals.count(&packet, fate);
        if let Some(tap) = &mut self.tap {
            tap(Tap { at: self.now, from, to, packet: &packet, fate });
        }
        if let Passage::Arrives(at) = passage {
            self.schedule(at, Event::Arrival { to, packet });
        }
    }

    /// The number for a new socket or listener.
    pub(crate) fn next_socket(&mut self) -> SocketId {
        self.next_socket += 1;
        SocketId(self.next_socket)
    }

    pub(crate) fn add_socket(
        &mut self,
        id: SocketId,
        machine: MachineId,
        pair: Pair,
        connection: Connection,
        origin: Option<u16>,
    ) {
        let on = &mut self.machines[machine.index()];
        on.table.insert(pair, id);
        if let Some(listening) = origin.and_then(|port| on.listeners.get_mut(&port)) {
            listening.half_open.insert(id);
        }
        let owned = origin.is_none();
        let socket = Socket { machine, pair, connection, owned, origin, reader: None, writer: None, timer: None };
        self.sockets.insert(id, socket);
        self.settle(id);
    }

    /// Carries out what the last call or segment has changed: segments go out, waiting tasks wake,
    /// the timer moves, and what is over leaves the table.
    pub(crate) fn settle(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let machine = &mut self.machines[socket.machine.index()];
        let (from, pair) = (socket.machine, socket.pair);

        if let Some(port) = socket.origin
            && socket.connection.connected().is_ready()
        {
            socket.origin = None;
            if let Some(listening) = machine.listeners.get_mut(&port)
                && listening.half_open.remove(&id)
                && !socket.connection.is_over()
            {
                listening.queue.push_back(id);
                socket.owned = true;
                self.wakes.wake(&mut listening.waker);
            }
        }
        if socket.connection.is_readable() {
            self.wakes.wake(&mut socket.reader);
        }
        if socket.connection.is_writable() {
            self.wakes.wake(&mut socket.writer);
        }
        let (segments, resent) = socket.connection.take_out();
        self.totals.retransmissions += resent;

        let (timer, deadline) = (socket.timer, socket.connection.deadline());
        if socket.connection.is_over() {
            machine.remove(&pair, id);
            if !socket.owned {
                self.sockets.remove(&id);
            }
        }
        if timer.map(|(at, _)| at) != deadline {
            timer.map(|key| self.events.remove(&key));
            let timer = deadline.map(|at| self.schedule(at, Event::Timer(id)));
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.timer = timer;
            }
        }
        for segment in segments {
            self.send(from, Packet { src: pair.local, dst: pair.remote, segment });
        }
    }

    /// All that ran on the machine is gone, and nobody is told.
    pub(crate) fn power_off(&mut self, id: MachineId) {
        let machine = &mut self.machines[id.index()];
        if !machine.powered {
            return;
        }
        machine.powered = false;
        if let Some(nat) = &mut machine.nat {
            nat.clear();
        }
        machine.boots += 1;
        let mut gone: Vec<_> = machine.table.values().copied().collect();
        for mut listening in mem::take(&mut machine.listeners).into_values() {
            self.wakes.wake(&mut listening.waker);
            for id in listening.queue {
                self.sockets.get_mut(&id).expect("a queue holds its sockets").owned = false;
                gone.push(id);
            }
        }
        for id in gone {
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.connection.vanish();
            }
            self.settle(id);
        }
    }
}

#[cfg(test)]
mod tests;
