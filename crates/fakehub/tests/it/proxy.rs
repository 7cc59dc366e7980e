use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream, pki_types::pem::PemObject as _};

use crate::Stage;

/// Opens a tunnel to `target` and returns the proxy's answer with the stream.
fn connect(proxy: &fakehub::tls::Proxy, target: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(proxy.addr).unwrap();
    write!(stream, "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    (String::from_utf8(head).unwrap(), stream)
}

#[test]
fn each_host_is_played_under_the_ca_with_http_1_only() {
    let stage = Stage::new();
    let proxy = stage.proxy();
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(proxy.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);

    for host in fakehub::tls::HOSTS {
        let (head, mut tcp) = connect(&proxy, &format!("{host}:443"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut client = ClientConnection::new(Arc::clone(&config), host.try_into().unwrap()).unwrap();
        let mut tls = Stream::new(&mut client, &mut tcp);
        write!(tls, "GET /meta HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut told = Vec::new();
        let _ = tls.read_to_end(&mut told);
        let status = if host.ends_with("github.com") && !host.starts_with("codeload") { "200 OK" } else { "4" };
        let told = String::from_utf8_lossy(&told);
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {told}");
        assert_eq!(client.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    assert_eq!(stage.hub().counts().path("/meta").requests, 8);
}

#[test]
fn other_hosts_ports_and_methods_are_refused() {
    let stage = Stage::new();
    let proxy = stage.proxy();
    for target in ["example.com:443", "api.github.com:80", "api.github.com"] {
        let (head, _) = connect(&proxy, target);
        assert!(head.starts_with("HTTP/1.1 502 "), "{target}: {head}");
    }
    let told = crate::exchange(proxy.addr, "GET http://api.github.com/meta HTTP/1.1", "");
    assert!(told.starts_with("HTTP/1.1 502 "), "{told}");
}
