use std::{io, net::UdpSocket, sync::Arc};

use either::Either;
use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{
            Boxed, OptionalTransport,
            timeout::{TransportTimeout, TransportTimeoutError},
        },
        upgrade::Version,
    },
    noise, relay, tcp, yamux,
};

pub(crate) use self::entrance::Full;
pub use self::websocket::{Tls, WebSocket};
use self::{entrance::Entrance, quic::Quic};
use crate::{Address, Carrier, GateError, Identity, Limits, StartError, gate::Gate, limits::MUXER_STREAMS_MAX};

mod entrance;
mod quic;
mod renamed;
mod websocket;

/// A plain, ordered byte stream between two machines.
pub trait RawIo: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> RawIo for T {}

/// What carries the bytes: TCP in production, the simulator's fabric in a simulated world.
///
/// Encryption, multiplexing and the gate are laid over it alike.
pub struct RawTransport {
    inner: Boxed<Box<dyn RawIo>>,
    probe: fn(&Address) -> io::Result<()>,
}

impl RawTransport {
    /// Wraps a libp2p transport of byte streams. It must answer `MultiaddrNotSupported` to what is
    /// not its own, and take a trailing `/p2p/<peer>` on a dial.
    pub fn new<T>(raw: T) -> Self
    where
        T: Transport + Send + Unpin + 'static,
        T::Output: RawIo + 'static,
        T::Error: Send + Sync,
        T::Dial: Send,
        T::ListenerUpgrade: Send,
    {
        Self { inner: raw.map(|io, _| boxed(io)).boxed(), probe: |_| Ok(()) }
    }
}

/// All that a node has to reach others with; circuits come on top with [`crate::Reach`].
///
/// A [`RawTransport`] by itself is one, without QUIC and WebSocket, as the simulator needs it.
pub struct Transports {
    /// `None`: QUIC or WebSocket only.
    pub raw: Option<RawTransport>,
    pub quic: bool,
    pub websocket: Option<WebSocket>,
}

impl From<RawTransport> for Transports {
    fn from(raw: RawTransport) -> Self {
        Self { raw: Some(raw), quic: false, websocket: None }
    }
}

impl Transports {
    /// What finds out whether somebody else listens on an address.
    pub(crate) fn probe(&self) -> fn(&Address) -> io::Result<()> {
        self.raw.as_ref().map_or(probe_port, |raw| raw.probe)
    }
}

/// TCP of the tokio runtime, without Nagle's delay.
pub fn tcp_transport() -> RawTransport {
    RawTransport { probe: probe_port, ..RawTransport::new(tcp()) }
}

fn tcp() -> tcp::tokio::Transport {
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
}

fn boxed(io: impl RawIo + 'static) -> Box<dyn RawIo> {
    Box::new(io)
}

/// libp2p listens with `SO_REUSEPORT`, so that it can dial from the same port. A second daemon on
/// the machine would so get every other connection of the first, and nobody an error.
fn probe_port(address: &Address) -> io::Result<()> {
    match (address.ip(), address.port()) {
        (Some(ip), Some(port @ 1..)) if address.carrier() == Carrier::Quic => UdpSocket::bind((ip, port)).map(drop),
        (Some(ip), Some(port @ 1..)) => std::net::TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Encryption, multiplexing and the gate over `transports`, and over circuits if there is a `relay`.
pub(crate) fn gated(
    transports: Transports,
    relay: Option<relay::client::Transport>,
    identity: &Identity,
    gate: Arc<Gate>,
    limits: &Limits,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, StartError> {
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(MUXER_STREAMS_MAX);
    let noise = noise::Config::new(identity.pair()).map_err(|cause| StartError::Noise(cause.to_string()))?;
    let websocket = transports.websocket.as_ref().map(websocket::transport).transpose()?;
    // Circuits first: the others would take the way to the relay for the whole address.
    let streams = optional(relay.map(|relay| relay.map(|io, _| boxed(io)).boxed()))
        .or_transport(optional(transports.raw.map(|raw| raw.inner)))
        .map(|io, _| io.into_inner())
        .or_transport(optional(websocket))
        .map(|io, _| io.into_inner())
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(muxer)
        .boxed();
    let quic = transports.quic.then(|| Quic::new(identity, limits));
    let connections = streams
        .map(|(peer, muxer), _| (peer, muxer, None))
        .or_transport(optional(quic.map(|quic| {
            quic.map(|(peer, muxer, newcomer), _| (peer, StreamMuxerBox::new(muxer), Some(newcomer))).boxed()
        })))
        .map(|connection, _| connection.into_inner())
        .boxed();
    let connections = TransportTimeout::new(connections, limits.transport_time).map_err(|error| match error {
        TransportTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
        TransportTimeoutError::TimerError(cause) | TransportTimeoutError::Other(cause) => cause,
    });
    let admitted = connections
        .and_then(move |(peer, muxer, newcomer), endpoint| async move {
            let admitted = gate.admit(peer, muxer, endpoint).await?;
            if let Some(newcomer) = newcomer {
                newcomer.let_in();
            }
            Ok::<_, GateError>(admitted)
        })
        .map_err(|error| match error {
            Either::Left(cause) => cause,
            Either::Right(refused) => io::Error::other(refused),
        })
        .boxed();
    Ok(Entrance::new(admitted, limits).boxed())
}

fn optional<T>(transport: Option<T>) -> OptionalTransport<T> {
    transport.map_or_else(OptionalTransport::none, OptionalTransport::some)
}
