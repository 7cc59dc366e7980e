use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::{
    ClientConfig, Endpoint, EndpointConfig, NoneTokenStore, ServerConfig, TransportConfig, ValidationTokenConfig,
    VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    Identity,
    limits::{
        EARLY_SUBSTREAMS_QUIC, QUIC_IDLE_TIME, QUIC_INCOMING_ALL_BYTES_MAX, QUIC_INCOMING_BYTES_MAX, QUIC_INCOMING_MAX,
        QUIC_NEWCOMER_BYTES_MAX, QUIC_STREAM_BYTES_MAX,
    },
};

/// What libp2p has every peer send at least so often.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// What libp2p derives the key of stateless resets by, so that a peer hears at once of a restart.
const RESET_KEY: &[u8] = b"libp2p quic stateless reset key";
/// RFC 9000.
const VERSION: u32 = 1;

pub(super) struct Configs {
    pub(super) client: ClientConfig,
    server: ServerConfig,
    endpoint: EndpointConfig,
}

impl Configs {
    /// As libp2p specifies: TLS with both sides' certificates, bidirectional streams only, no datagrams.
    pub(super) fn new(identity: &Identity) -> Self {
        let made = "each identity can sign a certificate, and TLS 1.3 is there";
        let client = libp2p_tls::make_client_config(identity.pair(), None).expect(made);
        let server = libp2p_tls::make_server_config(identity.pair()).expect(made);
        let transport = Arc::new(transport());
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).expect(made)));
        // All peers have the one name by which tokens are kept: they would be told to others.
        client.transport_config(Arc::clone(&transport)).token_store(Arc::new(NoneTokenStore));
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server).expect(made)));
        server.transport_config(transport).migration(false);
        server.max_incoming(QUIC_INCOMING_MAX);
        server.incoming_buffer_size(QUIC_INCOMING_BYTES_MAX).incoming_buffer_size_total(QUIC_INCOMING_ALL_BYTES_MAX);
        // A token for the next connection is for whoever is no member, too, and to remember those that were used takes up to 10 MiB.
        let mut tokens = ValidationTokenConfig::default();
        server.validation_token_config(tokens.sent(0).clone());
        let secret = identity.pair().derive_secret(RESET_KEY).expect("the key is an Ed25519 one");
        let mut endpoint = EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret)));
        endpoint.supported_versions(vec![VERSION]);
        Self { client, server, endpoint }
    }

    /// For one connection that comes to us, and no other: it lives as long as that one does.
    pub(super) fn for_one(&self) -> Arc<ServerConfig> {
        Arc::new(self.server.clone())
    }

    /// What listens here, and dials from here.
    pub(super) fn listener(&self, here: SocketAddr) -> io::Result<Endpoint> {
        self.open(here, Some(self.server.clone()))
    }

    /// What only dials.
    pub(super) fn dialer(&self, from: SocketAddr) -> io::Result<Endpoint> {
        self.open(from, None)
    }

    fn open(&self, at: SocketAddr, server: Option<ServerConfig>) -> io::Result<Endpoint> {
        Endpoint::new(self.endpoint.clone(), server, bind(at)?, Arc::new(quinn::TokioRuntime))
    }
}

/// For one family only: on one port there is a socket of each.
fn bind(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    Ok(socket.into())
}

/// Of a connection whose peer has proved nothing yet.
fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    let streams = u32::try_from(EARLY_SUBSTREAMS_QUIC).expect("a few");
    config
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
        .max_idle_timeout(Some(QUIC_IDLE_TIME.try_into().expect("half a minute")))
        .allow_spin(false)
        .stream_receive_window(QUIC_STREAM_BYTES_MAX.into())
        .receive_window(QUIC_NEWCOMER_BYTES_MAX.into());
    config
}
