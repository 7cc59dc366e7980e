use std::{io, sync::Arc};

use either::Either;
use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{
            Boxed,
            timeout::{TransportTimeout, TransportTimeoutError},
        },
        upgrade::Version,
    },
    noise, tcp, yamux,
};

use crate::{Address, Identity, Limits, gate::Gate, limits::MUXER_STREAMS_MAX};

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
        Self { inner: raw.map(|io, _| Box::new(io) as Box<dyn RawIo>).boxed(), probe: |_| Ok(()) }
    }

    /// What finds out whether somebody else listens on an address.
    pub(crate) fn probe(&self) -> fn(&Address) -> io::Result<()> {
        self.probe
    }
}

/// TCP of the tokio runtime, without Nagle's delay.
pub fn tcp_transport() -> RawTransport {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    RawTransport { probe: probe_port, ..RawTransport::new(tcp) }
}

/// libp2p listens with `SO_REUSEPORT`, so that it can dial from the same port. A second daemon on
/// the machine would so get every other connection of the first, and nobody an error.
fn probe_port(address: &Address) -> io::Result<()> {
    match (address.ip(), address.port()) {
        (Some(ip), Some(port @ 1..)) => std::net::TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Encryption, multiplexing and the gate over `raw`.
pub(crate) fn gated(
    raw: RawTransport,
    identity: &Identity,
    gate: Arc<Gate>,
    limits: &Limits,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(MUXER_STREAMS_MAX);
    // A relay client's transport goes before `raw`, under the same upgrade.
    let streams =
        raw.inner.upgrade(Version::V1Lazy).authenticate(noise::Config::new(identity.pair())?).multiplex(muxer).boxed();
    // QUIC, which is encrypted and multiplexed already, joins here with `or_transport`.
    let connections = TransportTimeout::new(streams, limits.transport_time).map_err(|error| match error {
        TransportTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
        TransportTimeoutError::TimerError(cause) | TransportTimeoutError::Other(cause) => cause,
    });
    Ok(connections
        .and_then(move |(peer, muxer), endpoint| gate.admit(peer, muxer, endpoint))
        .map_err(|error| match error {
            Either::Left(cause) => cause,
            Either::Right(refused) => io::Error::other(refused),
        })
        .boxed())
}
