//! Who speaks QUIC by himself, and so can do what libp2p's own peers would not.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use libp2p::{PeerId, identity::Keypair};
use quinn::{
    ClientConfig, ConnectError, Connection, Endpoint, Side,
    crypto::{ClientConfig as CryptoConfig, Session, rustls::QuicClientConfig},
};
use quinn_proto::transport_parameters::TransportParameters;
use tokio::time::timeout;

use crate::Failure;

/// The gate's first message: its magic, then what the answer consists of as well (PROTOCOL.md).
const MAGIC_BYTES: usize = 4;
const HELLO_BYTES: usize = 40;
/// More than the node lets a stranger open, and write.
const STREAMS: usize = 16;
static JUNK: [u8; 1 << 20] = [0xa5; 1 << 20];
/// How long it waits for more to be taken, and before it has been cut: longer than the gate.
const PATIENCE: Duration = Duration::from_secs(7);

pub(crate) struct QuicStranger {
    endpoint: Endpoint,
    config: ClientConfig,
}

impl QuicStranger {
    /// Its name makes `node` speak first. If it `lingers`, its connections take long to be forgotten.
    pub(crate) fn new(node: PeerId, lingers: bool) -> Result<Self, Failure> {
        let pair = loop {
            let pair = Keypair::generate_ed25519();
            if pair.public().to_peer_id().to_bytes() > node.to_bytes() {
                break pair;
            }
        };
        let tls = Arc::new(QuicClientConfig::try_from(libp2p_tls::make_client_config(&pair, None)?)?);
        let config = if lingers { ClientConfig::new(Arc::new(Slow(tls))) } else { ClientConfig::new(tls) };
        Ok(Self { endpoint: Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?, config })
    }

    /// Comes, and leaves at once.
    pub(crate) async fn come_and_go(&self, at: SocketAddr) -> Result<(), Failure> {
        self.endpoint.connect_with(self.config.clone(), at, "l")?.await?.close(0_u32.into(), &[]);
        Ok(())
    }

    /// Answers the gate as a member would, and while the node waits for the proof writes all that it may into streams.
    pub(crate) async fn write_early(&self, at: SocketAddr) -> Result<(), Failure> {
        let connection = self.endpoint.connect_with(self.config.clone(), at, "l")?.await?;
        let (mut send, mut receive) = connection.accept_bi().await?;
        let mut hello = [0; HELLO_BYTES];
        receive.read_exact(&mut hello).await?;
        send.write_all(&hello[MAGIC_BYTES..]).await?;
        receive.read_exact(&mut [0; 32]).await?;
        let streams = (0..STREAMS).map(|_| fill(&connection));
        // Until it is cut, or nothing more is taken.
        let _ = timeout(PATIENCE, futures::future::join_all(streams)).await;
        Ok(())
    }
}

async fn fill(connection: &Connection) -> Result<(), Failure> {
    let (mut send, _receive) = connection.open_bi().await?;
    send.write_all(&JUNK).await?;
    connection.closed().await;
    Ok(())
}

/// Says of itself that it acknowledges as late as the protocol allows, for which a connection that has ended is kept.
struct Slow(Arc<QuicClientConfig>);

impl CryptoConfig for Slow {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let mut bytes = Vec::new();
        params.write(&mut bytes);
        // max_ack_delay, in two bytes, 2^14 - 1 ms (RFC 9000, 18.2 and 16).
        bytes.extend([0x0b, 2, 0x7f, 0xff]);
        let params = TransportParameters::read(Side::Server, &mut &bytes[..]);
        let params = params.map_err(|_| ConnectError::InvalidServerName(server_name.to_owned()))?;
        Arc::clone(&self.0).start_session(version, server_name, &params)
    }
}
