//! The world as its driver sees it: time, faults and counts.

use std::{
    fmt, io, mem,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    dialling::Dialling,
    link::{Fate, Link},
    listener::Listener,
    machine::MachineId,
    nat::Nat,
    packet::{Packet, Segment},
    state::State,
    transport::FabricTransport,
};

/// Machines, the links between them, and the time. Clones are the same world.
///
/// A [`MachineId`] of another world is a mistake, and panics if there is no such machine here.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

/// What was put on links since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All packets, lost ones too.
    pub packets: u64,
    /// Their size, with headers.
    pub bytes: u64,
    /// SYNs and segments that went out again.
    pub retransmissions: u64,
    pub resets: u64,
    /// By loss, partition, full queues, or an address that no machine has. What arrives at a machine
    /// without power is not counted, nor what a router does not let in.
    pub lost: u64,
}

impl Totals {
    pub(crate) fn count(&mut self, packet: &Packet, fate: Fate) {
        self.packets += 1;
        self.bytes += packet.size();
        self.resets += u64::from(matches!(packet.segment, Segment::Rst { .. }));
        self.lost += u64::from(fate != Fate::Sent);
    }
}

/// A packet that was put on a link, or on its own machine's loopback.
#[derive(Clone, Copy, Debug)]
pub struct Tap<'a> {
    pub at: Duration,
    pub from: MachineId,
    pub to: MachineId,
    pub packet: &'a Packet,
    pub fate: Fate,
}

impl Network {
    /// An empty world at time zero. Links that are not set otherwise are `default_link`.
    pub fn new(seed: u64, default_link: Link) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, default_link))))
    }

    /// Adds a machine with its power on.
    ///
    /// # Panics
    /// If another machine has the address, or if it is a loopback address or 0.0.0.0.
    pub fn add_machine(&self, ip: Ipv4Addr) -> MachineId {
        self.with(|state| state.add_machine(ip, None, None))
    }

    /// Adds a router with its power on. Its links are those of the machines behind it: what one of them
    /// sends crosses the link from it to whom it is for, and what is for it crosses the link to the router.
    ///
    /// # Panics
    /// As [`Network::add_machine`].
    pub fn add_router(&self, ip: Ipv4Addr, nat: Nat) -> MachineId {
        self.with(|state| state.add_machine(ip, None, Some(nat)))
    }

    /// Adds a machine behind a router. Others behind it reach it at this address, everybody else through
    /// the router alone.
    ///
    /// # Panics
    /// As [`Network::add_machine`], or if `router` is none.
    pub fn add_machine_behind(&self, router: MachineId, ip: Ipv4Addr) -> MachineId {
        self.with(|state| state.add_machine(ip, Some(router), None))
    }

    /// Lets everything happen that is due at `now` or before, in its order; then it is `now`, unless
    /// it is later already.
    ///
    /// Tasks run after the whole step, so a driver that wants exact times steps to each
    /// [`Network::next_event`] and lets the tasks run in between.
    pub fn advance(&self, now: Duration) {
        self.with(|state| state.advance(now));
    }

    /// When the next thing happens. Ask again after tasks have run.
    pub fn next_event(&self) -> Option<Duration> {
        self.with(|state| state.next_event())
    }

    /// The time since the world began.
    pub fn now(&self) -> Duration {
        self.with(|state| state.now)
    }

    /// Changes one direction, for packets put on it from now on.
    pub fn set_link(&self, from: MachineId, to: MachineId, link: Link) {
        self.with(|state| state.links.line(from, to).link = link);
    }

    /// How one direction behaves; partitions and holds are apart from it.
    pub fn link(&self, from: MachineId, to: MachineId) -> Link {
        self.with(|state| state.links.get(from, to))
    }

    /// Cuts or heals one direction. Packets put on a cut link vanish; those on their way arrive.
    pub fn block(&self, from: MachineId, to: MachineId, blocked: bool) {
        self.with(|state| state.links.line(from, to).blocked = blocked);
    }

    /// Stops or releases one direction. Packets wait on a held link, up to
    /// [`HELD_PACKETS_MAX`](crate::limits::HELD_PACKETS_MAX), and leave at the release in their order.
    pub fn hold(&self, from: MachineId, to: MachineId, held: bool) {
        self.with(|state| {
            for packet in state.links.line(from, to).hold(held) {
                state.send(from, packet);
            }
        });
    }

    /// Takes the power away. Peers are told nothing; handles on the machine fail, and send nothing
    /// when they are dropped. Call it before the machine's tasks are ended.
    pub fn power_off(&self, machine: MachineId) {
        self.with(|state| state.power_off(machine));
    }

    /// Gives the power back, to a machine that knows of no connection: it resets the old ones when
    /// they send.
    pub fn power_on(&self, machine: MachineId) {
        self.with(|state| state.machines[machine.index()].powered = true);
    }

    /// Gives the machine another address. Nobody is told: what knew the old one sends into nothing, and so
    /// do the machine's own connections. Listeners take what comes to the new one. A router forgets its
    /// mappings.
    ///
    /// # Panics
    /// If another machine has the address.
    pub fn readdress(&self, machine: MachineId, ip: Ipv4Addr) {
        self.with(|state| state.readdress(machine, ip));
    }

    /// TCP for one process on the machine. Take a new one after each power cycle.
    pub fn transport(&self, machine: MachineId) -> FabricTransport {
        FabricTransport::new(self.clone(), machine, self.boots(machine))
    }

    /// Connects from an ephemeral port, beginning at the first poll.
    ///
    /// # Errors
    /// Of the result: `ConnectionRefused` if nobody listens there, `TimedOut` after 127 s of silence,
    /// `AddrNotAvailable` without a free port, `NetworkDown` without power.
    pub fn dial(&self, machine: MachineId, remote: SocketAddrV4) -> Dialling {
        Dialling::new(self.clone(), machine, self.boots(machine), remote)
    }

    /// Takes connections at a port of the machine, or at a free one if `port` is zero.
    ///
    /// # Errors
    /// `AddrInUse` if the port has a listener, `NetworkDown` without power.
    pub fn listen(&self, machine: MachineId, port: u16) -> io::Result<Listener> {
        self.listen_in(machine, self.boots(machine), port)
    }

    pub(crate) fn listen_in(&self, machine: MachineId, boots: u32, port: u16) -> io::Result<Listener> {
        let key = self.with(|state| state.listen(machine, boots, port))?;
        Ok(Listener::new(self.clone(), key))
    }

    /// How many connections the machine keeps, half-open ones and those still closing included.
    pub fn connections(&self, machine: MachineId) -> usize {
        self.with(|state| state.machines[machine.index()].table.len())
    }

    /// The machine's own address.
    pub fn ip(&self, machine: MachineId) -> Ipv4Addr {
        self.with(|state| state.machines[machine.index()].ip)
    }

    /// Counts since the world began.
    pub fn totals(&self) -> Totals {
        self.with(|state| state.totals)
    }

    /// Shows each packet to `tap` when it is put on a link; held packets when they are released. It
    /// replaces an earlier one. It must not call the network: it runs under its lock.
    pub fn set_tap(&self, tap: Box<dyn FnMut(Tap<'_>) + Send>) {
        let old = self.with(|state| state.tap.replace(tap));
        drop(old);
    }

    fn boots(&self, machine: MachineId) -> u32 {
        self.with(|state| state.machines[machine.index()].boots)
    }

    /// Runs `act` under the lock, and what it has woken without.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        // A tap that panics leaves the state as it was between two packets; drops that follow need it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let wakes = mem::take(&mut state.wakes);
        drop(state);
        wakes.run();
        result
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}
