//! The network as a libp2p transport of byte streams.

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddrV4},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, PortUse, TransportError, TransportEvent},
    multiaddr::Protocol,
};

use crate::{dialling::Dialling, listener::Listener, machine::MachineId, network::Network, stream::Stream};

type Event = TransportEvent<Ready<io::Result<Stream>>, io::Error>;

/// TCP over IPv4 for one process of one machine, in place of libp2p's own.
///
/// It takes `/ip4/<address>/tcp/<port>`, with `/p2p/<peer>` behind it on a dial, and leaves any other
/// address to another transport. A drop closes its listeners; streams and dials live on.
#[derive(Debug)]
pub struct FabricTransport {
    network: Network,
    machine: MachineId,
    boots: u32,
    listeners: VecDeque<Listening>,
    events: VecDeque<Event>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Listening {
    id: ListenerId,
    listener: Listener,
    /// The address that was announced; the machine may have another one by now.
    told: SocketAddrV4,
}

impl FabricTransport {
    pub(crate) fn new(network: Network, machine: MachineId, boots: u32) -> Self {
        Self { network, machine, boots, listeners: VecDeque::new(), events: VecDeque::new(), waker: None }
    }

    fn listen(&self, address: SocketAddrV4) -> io::Result<Listener> {
        let own = self.network.ip(self.machine);
        if *address.ip() != Ipv4Addr::UNSPECIFIED && *address.ip() != own {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        self.network.listen_in(self.machine, self.boots, address.port())
    }

    fn push(&mut self, event: Event) {
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Transport for FabricTransport {
    type Output = Stream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Stream>>;
    type Dial = Dialling;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let Some((address, false)) = parse(&addr) else { return Err(TransportError::MultiaddrNotSupported(addr)) };
        let listener = self.listen(address).map_err(TransportError::Other)?;
        let told = listener.local();
        self.listeners.push_back(Listening { id, listener, told });
        self.push(TransportEvent::NewAddress { listener_id: id, listen_addr: multiaddr(told) });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let Some(at) = self.listeners.iter().position(|own| own.id == id) else { return false };
        self.listeners.remove(at);
        self.push(TransportEvent::ListenerClosed { listener_id: id, reason: Ok(()) });
        true
    }

    /// With [`PortUse::Reuse`], from the port of the first listener, as long as that pair of addresses
    /// has no other connection.
    fn dial(&mut self, addr: Multiaddr, opts: DialOpts) -> Result<Dialling, TransportError<io::Error>> {
        let target = parse(&addr).filter(|(to, _)| to.port() != 0 && !to.ip().is_unspecified());
        let Some((remote, _)) = target else { return Err(TransportError::MultiaddrNotSupported(addr)) };
        let dialling = Dialling::new(self.network.clone(), self.machine, self.boots, remote);
        Ok(match (opts.port_use, self.listeners.front()) {
            (PortUse::Reuse, Some(own)) => dialling.from_port(own.told.port()),
            _ => dialling,
        })
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        for at in 0..self.listeners.len() {
            let Listening { id, listener, told } = &mut self.listeners[at];
            let listener_id = *id;
            let now = listener.local();
            let old = std::mem::replace(told, now);
            if now != old {
                self.events.push_back(TransportEvent::NewAddress { listener_id, listen_addr: multiaddr(now) });
                return Poll::Ready(TransportEvent::AddressExpired { listener_id, listen_addr: multiaddr(old) });
            }
            match listener.poll_accept(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(stream)) => {
                    let (local_addr, send_back_addr) = (multiaddr(stream.local()), multiaddr(stream.remote()));
                    let upgrade = ready(Ok(stream));
                    return Poll::Ready(TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr });
                }
                Poll::Ready(Err(cause)) => {
                    self.listeners.remove(at);
                    return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason: Err(cause) });
                }
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The address and whether a peer follows it; nothing if it is not of IPv4 and TCP alone.
fn parse(addr: &Multiaddr) -> Option<(SocketAddrV4, bool)> {
    let mut parts = addr.iter();
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else { return None };
    match (parts.next(), parts.next()) {
        (None, _) => Some((SocketAddrV4::new(ip, port), false)),
        (Some(Protocol::P2p(_)), None) => Some((SocketAddrV4::new(ip, port), true)),
        _ => None,
    }
}

fn multiaddr(address: SocketAddrV4) -> Multiaddr {
    Multiaddr::empty().with(Protocol::Ip4(*address.ip())).with(Protocol::Tcp(address.port()))
}
