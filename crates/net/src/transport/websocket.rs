use std::fmt;

use libp2p::{Transport, core::transport::Boxed, websocket};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{RawIo, boxed, tcp};
use crate::{StartError, limits::WEBSOCKET_FRAME_BYTES_MAX};

/// WebSocket, for networks that let nothing else out. It dials `/ws` and `/tls/ws`, and listens on
/// `/ws`; on `/tls/ws` only with a certificate.
#[derive(Clone, Debug, Default)]
pub struct WebSocket {
    pub tls: Option<Tls>,
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
        config(self).map(drop)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

pub(super) fn transport(settings: WebSocket) -> Result<Boxed<Box<dyn RawIo>>, StartError> {
    let mut transport = websocket::Config::new(tcp());
    transport.set_max_data_size(WEBSOCKET_FRAME_BYTES_MAX);
    // A stranger's redirect would make us connect to wherever it likes.
    transport.set_max_redirects(0);
    if let Some(tls) = settings.tls {
        transport.set_tls_config(config(&tls).map_err(StartError::Tls)?);
    }
    Ok(transport.map(|io, _| boxed(io)).boxed())
}

fn config(tls: &Tls) -> Result<websocket::tls::Config, String> {
    let certificates = CertificateDer::pem_slice_iter(&tls.certificates_pem)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| format!("the certificate file is not PEM: {cause}"))?;
    if certificates.is_empty() {
        return Err("there is no certificate in the certificate file".to_owned());
    }
    let key =
        PrivateKeyDer::from_pem_slice(&tls.key_pem).map_err(|cause| format!("no key in the key file: {cause}"))?;
    // libp2p panics on a key that it cannot tell the kind of.
    PrivateKeyDer::try_from(key.secret_der()).map_err(|why| format!("no key in the key file: {why}"))?;
    let key = websocket::tls::PrivateKey::new(key.secret_der().to_vec());
    let chain = certificates.iter().cloned().map(websocket::tls::Certificate::new);
    let mut builder = websocket::tls::Config::builder();
    builder.server(key, chain).map_err(|cause| format!("key and certificate do not fit: {cause}"))?;
    for certificate in certificates {
        builder
            .add_trust(&websocket::tls::Certificate::new(certificate))
            .map_err(|cause| format!("the certificate cannot be trusted: {cause}"))?;
    }
    Ok(builder.finish())
}
