use std::fmt;

use libp2p::{Multiaddr, Transport, core::transport::Boxed, multiaddr::Protocol, websocket};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{RawIo, boxed, renamed::Renamed, tcp};
use crate::{StartError, limits::WEBSOCKET_FRAME_BYTES_MAX};

/// WebSocket, for networks that let nothing else out. It dials `/ws` and `/tls/ws`, and listens on
/// `/ws`; on `/tls/ws` only with a certificate.
#[derive(Clone, Debug, Default)]
pub struct WebSocket {
    pub tls: Option<Tls>,
    /// Certificates in PEM that are trusted on dials besides the usual ones: of a proxy with an authority of its own.
    pub trusted_pem: Vec<u8>,
}

/// The TLS around a WebSocket. It hides what passes from the network's owner, no more: members prove
/// themselves inside, as on every transport.
#[derive(Clone)]
pub struct Tls {
    /// A certificate and those that vouch for it, in PEM. Trusted on dials too, so that a fleet may
    /// have a certificate of its own making.
    pub certificates_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
}

impl Tls {
    /// Whether certificate and key can be used together.
    ///
    /// # Errors
    /// In words what is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        serve(&mut websocket::tls::Config::builder(), self)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

pub(super) fn transport(settings: &WebSocket) -> Result<Boxed<Box<dyn RawIo>>, StartError> {
    let mut transport = websocket::Config::new(Renamed::new(tcp(), without_name));
    transport.set_max_data_size(WEBSOCKET_FRAME_BYTES_MAX);
    // A stranger's redirect would make us connect to wherever it likes.
    transport.set_max_redirects(0);
    transport.set_tls_config(config(settings).map_err(StartError::Tls)?);
    Ok(Renamed::new(transport.map(|io, _| boxed(io)), with_name).boxed())
}

/// `/ip4/192.0.2.7/tcp/443/tls/sni/cache.example/ws` with the name behind the IP address. There libp2p takes
/// it for the host of the request as well as for the name in the certificate: a proxy looks at both.
fn with_name(address: &Multiaddr) -> Multiaddr {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    let [ip, tcp, Protocol::Tls, Protocol::Sni(name), rest @ ..] = parts.as_slice() else { return address.clone() };
    let start = [ip.clone(), Protocol::Dns(name.clone()), tcp.clone(), Protocol::Tls];
    start.into_iter().chain(rest.iter().cloned()).collect()
}

/// What TCP needs of it.
fn without_name(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::Dns(_))).collect()
}

fn config(settings: &WebSocket) -> Result<websocket::tls::Config, String> {
    let mut builder = websocket::tls::Config::builder();
    if let Some(tls) = &settings.tls {
        serve(&mut builder, tls)?;
    }
    let trusted = certificates(&settings.trusted_pem);
    trust(&mut builder, trusted.map_err(|why| format!("what is to be trusted is not PEM: {why}"))?)?;
    Ok(builder.finish())
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates = certificates.map(|certificate| certificate.map(|der| der.to_vec()));
    certificates.collect::<Result<Vec<_>, _>>().map_err(|cause| cause.to_string())
}

fn trust(builder: &mut websocket::tls::Builder, certificates: Vec<Vec<u8>>) -> Result<(), String> {
    for certificate in certificates {
        builder
            .add_trust(&websocket::tls::Certificate::new(certificate))
            .map_err(|cause| format!("the certificate cannot be trusted: {cause}"))?;
    }
    Ok(())
}

fn serve(builder: &mut websocket::tls::Builder, tls: &Tls) -> Result<(), String> {
    let certificates =
        certificates(&tls.certificates_pem).map_err(|why| format!("the certificate file is not PEM: {why}"))?;
    if certificates.is_empty() {
        return Err("there is no certificate in the certificate file".to_owned());
    }
    let key =
        PrivateKeyDer::from_pem_slice(&tls.key_pem).map_err(|cause| format!("no key in the key file: {cause}"))?;
    // libp2p panics on a key that it cannot tell the kind of.
    PrivateKeyDer::try_from(key.secret_der()).map_err(|why| format!("no key in the key file: {why}"))?;
    let key = websocket::tls::PrivateKey::new(key.secret_der().to_vec());
    let chain = certificates.iter().cloned().map(websocket::tls::Certificate::new);
    builder.server(key, chain).map_err(|cause| format!("key and certificate do not fit: {cause}"))?;
    trust(builder, certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_name_is_where_libp2p_looks_for_it() {
        let table = [
            ("/ip4/192.0.2.7/tcp/443/tls/sni/a.example/ws", "/ip4/192.0.2.7/dns/a.example/tcp/443/tls/ws"),
            ("/ip6/2001:db8::7/tcp/443/tls/sni/a.example/ws", "/ip6/2001:db8::7/dns/a.example/tcp/443/tls/ws"),
            ("/ip4/192.0.2.7/tcp/443/tls/ws", "/ip4/192.0.2.7/tcp/443/tls/ws"),
            ("/ip4/192.0.2.7/tcp/80/ws", "/ip4/192.0.2.7/tcp/80/ws"),
        ];
        for (address, expected) in table {
            assert_eq!(with_name(&address.parse().unwrap()).to_string(), expected);
        }
        let inner: Multiaddr = "/ip4/192.0.2.7/dns/a.example/tcp/443".parse().unwrap();
        assert_eq!(without_name(&inner).to_string(), "/ip4/192.0.2.7/tcp/443");
    }
}
