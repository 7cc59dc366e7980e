//! Where members are awaited, and over what.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
    path::Path,
};

use net::{Address, Carrier, Tls, Transports, WebSocket};
use node::External;

use crate::{config::Config, output};

/// Ports tried above the one that cannot be had, as the reference does.
const PORTS_TRIED: u16 = 20;

/// Where TLS files are wrong.
pub(crate) const TLS_CURE: &str = "both in PEM; the certificate comes first in its file, those that vouch for it after it, and the key must be that certificate's own";

/// Where members are awaited: at the wanted port, or at another one that can be had, over each transport and each
/// family of addresses.
pub(crate) fn listen(config: &Config) -> Vec<Address> {
    let ips = ips(config.listen_address);
    let carriers = [Carrier::Tcp, Carrier::Quic].into_iter().filter(|one| config.transports.contains(one));
    let carriers: Vec<Carrier> = carriers.collect();
    let port = if carriers.is_empty() { 0 } else { port(config, &ips, &carriers) };
    let places = carriers.iter().map(|carrier| match carrier {
        Carrier::Quic => format!("udp/{port}/quic-v1"),
        _ => format!("tcp/{port}"),
    });
    let tls = if config.tls_files.is_some() { "/tls" } else { "" };
    let websocket = config.websocket_port.map(|port| format!("tcp/{port}{tls}/ws"));
    let places: Vec<_> = places.chain(websocket).collect();
    let listen = ips.iter().flat_map(|ip| places.iter().map(move |place| format!("/{}/{ip}/{place}", family(ip))));
    listen.filter_map(|text| text.parse().ok()).collect()
}

/// The wanted port, or another one, and then says so and why.
fn port(config: &Config, ips: &[IpAddr], carriers: &[Carrier]) -> u16 {
    let wanted = config.listen_port;
    let can_be_had = |port: &u16| ips.iter().all(|ip| carriers.iter().all(|one| try_port(*ip, *port, *one).is_ok()));
    let tried = ips.iter().flat_map(|ip| carriers.iter().map(|one| try_port(*ip, wanted, *one)));
    let Some(cause) = tried.filter_map(Result::err).next() else { return wanted };
    let (why, cure) = no_port(config, wanted, &cause);
    if cause.kind() == ErrorKind::AddrNotAvailable {
        // No other port helps; each of them is tried, and the status tells.
        output::warning(&format!("{why}; no member can connect to this machine"));
        output::hint(&cure);
        return wanted;
    }
    let next = wanted.saturating_add(1)..=wanted.saturating_add(PORTS_TRIED);
    let any = (0..PORTS_TRIED).filter_map(|_| Some(TcpListener::bind((ips[0], 0)).ok()?.local_addr().ok()?.port()));
    let port = next.chain(any).find(can_be_had).unwrap_or(0);
    output::warning(&format!("{why}; port {port} is used and advertised"));
    output::hint(&cure);
    port
}

/// Whether one could listen there.
pub(crate) fn try_port(ip: IpAddr, port: u16, carrier: Carrier) -> io::Result<()> {
    match carrier {
        Carrier::Quic => UdpSocket::bind((ip, port)).map(drop),
        Carrier::Tcp | Carrier::WebSocket => TcpListener::bind((ip, port)).map(drop),
    }
}

/// Why `port` cannot be had, and what to try.
pub(crate) fn no_port(config: &Config, port: u16, cause: &io::Error) -> (String, String) {
    let ip = config.listen_address;
    match cause.kind() {
        ErrorKind::AddrInUse => (
            format!("listen_port {port} is taken"),
            format!("end the other program (ss -lntup 'sport = :{port}'), or set CACHE_LISTEN_PORT"),
        ),
        ErrorKind::AddrNotAvailable => (
            format!("listen_address {ip} is no address of this machine"),
            "set GHOARD_LISTEN_ADDRESS to one of this machine's (`ip address` shows them), or leave it out".to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            format!("this user may not listen on port {port}"),
            "set CACHE_LISTEN_PORT to one from 1024 up, or allow it: sudo setcap cap_net_bind_service=+ep \"$(command -v ghoard)\"".to_owned(),
        ),
        _ => (format!("cannot listen on {ip}, port {port}: {cause}"), "set GHOARD_LISTEN_ADDRESS or CACHE_LISTEN_PORT".to_owned()),
    }
}

/// Whether it is an address of this machine, or stands for all of them.
pub(crate) fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
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
    Transports {
        raw: has(Carrier::Tcp).then(net::tcp_transport),
        quic: has(Carrier::Quic),
        websocket: dials(config, Carrier::WebSocket)
            .then(|| WebSocket { tls: tls(config), trusted_pem: trusted(config) }),
    }
}

/// Whether this machine dials others over it.
pub(crate) fn dials(config: &Config, carrier: Carrier) -> bool {
    config.transports.contains(&carrier) || (carrier == Carrier::WebSocket && config.websocket_port.is_some())
}

/// What to say of an address that this machine dials nobody by.
pub(crate) fn not_dialled(config: &Config, carrier: Carrier) -> (String, String) {
    let here: Vec<&str> = config.transports.iter().map(|one| one.label()).collect();
    let all: Vec<&str> = here.iter().copied().chain([carrier.label()]).collect();
    (
        format!("this machine does not dial over {} (its transports: {})", carrier.label(), here.join(",")),
        format!("set GHOARD_TRANSPORTS={} on this machine, for the daemon too", all.join(",")),
    )
}

/// Certificates that are trusted besides the usual ones. A file that cannot be read has been an error before.
fn trusted(config: &Config) -> Vec<u8> {
    config.extra_ca.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
}

fn tls(config: &Config) -> Option<Tls> {
    match read_tls(config)? {
        Ok(tls) => Some(tls),
        Err((why, cure)) => {
            output::warning(&why);
            output::hint(&cure);
            None
        }
    }
}

/// Certificate and key, if they are set; else what is wrong with them, and what to try.
pub(crate) fn read_tls(config: &Config) -> Option<Result<Tls, (String, String)>> {
    let (certificate, key) = config.tls_files.as_ref()?;
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            let why = format!("no TLS for websocket_port: cannot read {}: {error}", path.display());
            (why, "point tls_cert_file and tls_key_file at files that this user can read".to_owned())
        })
    };
    Some((|| Ok(Tls { certificates_pem: read(certificate)?, key_pem: read(key)? }))())
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
