//! A CONNECT proxy that plays GitHub's hosts, for clients that insist on going straight to them.
//!
//! Give the client `HTTPS_PROXY=`[`Proxy::url`] and a file with [`Proxy::ca_pem`] as
//! `SSL_CERT_FILE`. The CA lives in memory, is made anew for each proxy and signs these names only.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use task::Tasks;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Hub, Options, Server,
    serve::{ANY_PORT, connection, listen},
};

/// The hosts that the proxy plays; every other is refused with 502.
pub const HOSTS: [&str; 8] = [
    "api.github.com",
    "github.com",
    "uploads.github.com",
    "codeload.github.com",
    "raw.githubusercontent.com",
    "objects.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "productionresultssa7.blob.core.windows.net",
];

/// Bytes of a CONNECT request, at most.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Why no proxy was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not make the test certificates")]
    Certificate(#[from] rcgen::Error),
    #[error("the TLS library refused the test certificates")]
    Config(#[from] rustls::Error),
    #[error("could not listen on 127.0.0.1")]
    Listen(#[from] io::Error),
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    pub addr: SocketAddr,
    /// The CA that signed the hosts' certificate.
    pub ca_pem: String,
    server: Server,
}

impl Proxy {
    /// For `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// See [`Server::stop`].
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Starts a proxy on a port of 127.0.0.1 that the system chooses, with `hub` behind every host.
///
/// # Errors
/// [`StartError`] names the step.
pub async fn serve(tasks: &Tasks, hub: Arc<Mutex<Hub>>, options: Options) -> Result<Proxy, StartError> {
    let (config, ca_pem) = certify()?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = listen(tasks, ANY_PORT, move |stream| {
        let (hub, acceptor) = (Arc::clone(&hub), acceptor.clone());
        async move {
            // A failed handshake is the client's to report.
            let _ = tunnel(stream, &acceptor, hub, options).await;
        }
    })
    .await?;
    Ok(Proxy { addr: server.addr, ca_pem, server })
}

fn certify() -> Result<(ServerConfig, String), StartError> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    ca.distinguished_name.push(DnType::CommonName, "fakehub test CA");
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut leaf = CertificateParams::new(HOSTS.map(str::to_owned).to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, HOSTS[0]);
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, ca_pem))
}

async fn tunnel(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    hub: Arc<Mutex<Hub>>,
    options: Options,
) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let known = target.strip_suffix(":443").is_some_and(|host| HOSTS.contains(&host.to_ascii_lowercase().as_str()));
    if !known {
        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(refusal).await;
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let stream = acceptor.accept(stream).await?;
    connection(stream, hub, options).await;
    Ok(())
}

/// Reads up to the empty line. Byte by byte, since what follows belongs to TLS.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}
