//! Where members are awaited, and over what.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

use net::{Address, Carrier, Tls, Transports, WebSocket};
use node::External;

use crate::{config::Config, output};

/// Ports tried above the one that is taken, as the reference does.
const PORTS_TRIED: u16 = 20;

/// The wanted port, or the next free one above it, over each transport and each family of addresses.
pub(super) fn listen(config: &Config) -> Vec<Address> {
    let ips = ips(config.listen_address);
    let has = |carrier| config.transports.contains(&carrier);
    let is_free = |port: &u16| {
        let free = |ip: &IpAddr| {
            (!has(Carrier::Tcp) || TcpListener::bind((*ip, *port)).is_ok())
                && (!has(Carrier::Quic) || UdpSocket::bind((*ip, *port)).is_ok())
        };
        ips.iter().all(free)
    };
    let wanted = config.listen_port;
    let port = (wanted..=wanted.saturating_add(PORTS_TRIED)).find(is_free).unwrap_or(0);
    if port != wanted {
        output::warning(&format!("listen_port {wanted} is taken; another port is used and advertised"));
        output::hint("stop the other program, or set CACHE_LISTEN_PORT");
    }
    let tcp = has(Carrier::Tcp).then(|| format!("tcp/{port}"));
    let quic = has(Carrier::Quic).then(|| format!("udp/{port}/quic-v1"));
    let tls = if config.tls_files.is_some() { "/tls" } else { "" };
    let websocket = config.websocket_port.map(|port| format!("tcp/{port}{tls}/ws"));
    let places: Vec<_> = [tcp, quic, websocket].into_iter().flatten().collect();
    let listen = ips.iter().flat_map(|ip| places.iter().map(move |place| format!("/{}/{ip}/{place}", family(ip))));
    listen.filter_map(|text| text.parse().ok()).collect()
}

/// The addresses under which others reach what is listened on, as the operator says.
pub(super) fn external(external: &External, listen: &[Address]) -> Vec<Address> {
    match external {
        External::Address(address) => vec![address.clone()],
        // A port that the system is yet to pick is not known here.
        External::Ip(ip) => listen
            .iter()
            .filter(|address| address.port() != Some(0))
            .filter(|address| address.ip().is_some_and(|own| own.is_ipv4() == ip.is_ipv4()))
            .map(|address| address.resolved(*ip))
            .collect(),
    }
}

pub(crate) fn transports(config: &Config) -> Transports {
    let has = |carrier| config.transports.contains(&carrier);
    let websocket = has(Carrier::WebSocket) || config.websocket_port.is_some();
    Transports {
        raw: has(Carrier::Tcp).then(net::tcp_transport),
        quic: has(Carrier::Quic),
        websocket: websocket.then(|| WebSocket { tls: tls(config), trusted_pem: trusted(config) }),
    }
}

/// Certificates that are trusted besides the usual ones. A file that cannot be read has been an error before.
fn trusted(config: &Config) -> Vec<u8> {
    config.extra_ca.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
}

fn tls(config: &Config) -> Option<Tls> {
    let (certificate, key) = config.tls_files.as_ref()?;
    let read = |path: &std::path::Path| match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            output::warning(&format!("no TLS for websocket_port: cannot read {}: {error}", path.display()));
            output::hint("point tls_cert_file and tls_key_file at files that this user can read");
            None
        }
    };
    Some(Tls { certificates_pem: read(certificate)?, key_pem: read(key)? })
}

/// All of IPv4 and IPv6, if either is meant; a machine without IPv6 has less.
fn ips(wanted: IpAddr) -> Vec<IpAddr> {
    if !wanted.is_unspecified() {
        return vec![wanted];
    }
    let has_ipv6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    let ipv6 = has_ipv6.then_some(IpAddr::from(Ipv6Addr::UNSPECIFIED));
    [Some(IpAddr::from(Ipv4Addr::UNSPECIFIED)), ipv6].into_iter().flatten().collect()
}

fn family(ip: &IpAddr) -> &'static str {
    if ip.is_ipv4() { "ip4" } else { "ip6" }
}
