//! QUIC on quinn, which asks who may begin a handshake before anything is made for him.
//!
//! libp2p's own transport, of which this is the counterpart, accepts each first packet at once. That makes a connection, some 75 KB,
//! which stays for three of its timeouts after it was turned away: for 3 s at least while no round trip was measured yet, and for
//! minutes if its peer wants that. At thousands of packets a second this is hundreds of MiB, and nothing above the transport can
//! prevent it.

mod config;
mod connection;
mod listener;
mod places;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::{FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::transport::{DialOpts, ListenerId, PortUse, TransportError, TransportEvent},
    multiaddr::Protocol,
};
use quinn::{ConnectError, Connecting};

use self::{
    config::Configs,
    connection::{Connection, Newcomer, made},
    listener::Listener,
    places::Places,
};
use crate::{Identity, Limits};

/// libp2p's peers are known by their certificates; rustls wants a name.
const SERVER_NAME: &str = "l";

type Made = (PeerId, Connection, Newcomer);

type Making = BoxFuture<'static, io::Result<Made>>;

pub(super) struct Quic {
    configs: Arc<Configs>,
    places: Arc<Places>,
    listeners: Vec<Listener>,
    /// What dials where nothing listens, by family: is it IPv6?
    dialers: BTreeMap<bool, quinn::Endpoint>,
    waker: Option<Waker>,
}

impl Quic {
    pub(super) fn new(identity: &Identity, limits: &Limits) -> Self {
        let places = Places::new(limits.pending_per_ip, limits.pending_incoming);
        Self {
            configs: Arc::new(Configs::new(identity)),
            places: Arc::new(places),
            listeners: Vec::new(),
            dialers: BTreeMap::new(),
            waker: None,
        }
    }

    fn connect(&mut self, remote: SocketAddr, port: PortUse) -> io::Result<Connecting> {
        let client = self.configs.client.clone();
        let connecting = self.endpoint_to(remote.ip(), port)?.connect_with(client.clone(), remote, SERVER_NAME);
        let connecting = match connecting {
            // Its socket has failed. If it was a listener's, that one says so itself.
            Err(ConnectError::EndpointStopping) => {
                self.dialers.remove(&remote.is_ipv6());
                self.endpoint_to(remote.ip(), port)?.connect_with(client, remote, SERVER_NAME)
            }
            other => other,
        };
        connecting.map_err(io::Error::other)
    }

    /// From the port that we listen on where that is possible, so that routers see one address of ours.
    fn endpoint_to(&mut self, remote: IpAddr, port: PortUse) -> io::Result<quinn::Endpoint> {
        let is_ipv6 = remote.is_ipv6();
        if port == PortUse::Reuse {
            let listening = self.listeners.iter().find(|listener| listener.reaches(remote));
            if let Some(known) = listening.map(Listener::endpoint).or(self.dialers.get(&is_ipv6)) {
                return Ok(known.clone());
            }
        }
        let any: IpAddr = if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let endpoint = self.configs.dialer(SocketAddr::new(any, 0))?;
        if port == PortUse::Reuse {
            self.dialers.insert(is_ipv6, endpoint.clone());
        }
        Ok(endpoint)
    }
}

impl Transport for Quic {
    type Output = Made;
    type Error = io::Error;
    type ListenerUpgrade = Making;
    type Dial = Making;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let local = socket_of(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        let listener = Listener::new(id, local, Arc::clone(&self.configs), Arc::clone(&self.places));
        self.listeners.push(listener.map_err(TransportError::Other)?);
        // From now on dials leave from the new port.
        self.dialers.remove(&local.is_ipv6());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let found = self.listeners.iter_mut().find(|listener| listener.id() == id);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        found.map(|listener| listener.close(Ok(()))).is_some()
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Making, TransportError<io::Error>> {
        let remote = socket_of(&address).filter(|remote| remote.port() != 0 && !remote.ip().is_unspecified());
        let remote = remote.ok_or(TransportError::MultiaddrNotSupported(address))?;
        // In a hole punch both sides dial, and both connections may come about: the gate needs no dialler.
        let connecting = self.connect(remote, options.port_use).map_err(TransportError::Other)?;
        Ok(async move { made(connecting.await?, None) }.boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Making, io::Error>> {
        let mut at = 0;
        while let Some(listener) = self.listeners.get_mut(at) {
            match listener.poll(cx) {
                Poll::Ready(Some(event)) => {
                    // The others come first the next time.
                    self.listeners.rotate_left(at + 1);
                    return Poll::Ready(event);
                }
                Poll::Ready(None) => drop(self.listeners.remove(at)),
                Poll::Pending => at += 1,
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Of `/ip4|ip6/…/udp/…/quic-v1`, with the peer's name or without.
fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let (Protocol::Udp(port), Protocol::QuicV1) = (parts.next()?, parts.next()?) else { return None };
    parts.all(|part| matches!(part, Protocol::P2p(_))).then_some(SocketAddr::new(ip, port))
}

fn address_of(socket: SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Udp(socket.port())).with(Protocol::QuicV1)
}

#[cfg(test)]
mod tests;
