//! Whether a port can be reached, and if not, on whose side the cause lies.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use net::{Address, Carrier};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Longer than a SYN that is sent once more.
const PATIENCE: Duration = Duration::from_secs(4);

/// After this a datagram is taken for lost.
const RESEND_TIME: Duration = Duration::from_millis(700);

/// Shorter first packets are not answered (RFC 9000, section 14.1).
const FIRST_PACKET_BYTES: usize = 1200;

/// What a firewall is told to let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) fn of(carrier: Carrier) -> Self {
        if carrier == Carrier::Quic { Self::Udp } else { Self::Tcp }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) protocol: Protocol,
    pub(crate) at: SocketAddr,
}

impl Door {
    /// `None` of a name.
    pub(crate) fn of(address: &Address) -> Option<Self> {
        let at = SocketAddr::new(address.ip()?, address.port()?);
        Some(Self { protocol: Protocol::of(address.carrier()), at })
    }
}

/// What came of knocking at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Open(Duration),
    /// The machine is there, and nothing listens.
    Refused,
    /// Nothing came back.
    Silent,
    NoRoute,
    Failed(String),
}

/// Knocks, and leaves at once: with a connection over TCP; over UDP with a QUIC packet of a version that nobody speaks,
/// to which a QUIC server answers with those that it does, and keeps nothing (RFC 9000, section 6).
pub(crate) async fn knock(door: Door) -> Reach {
    let start = Instant::now();
    let knocked = async {
        match door.protocol {
            Protocol::Tcp => TcpStream::connect(door.at).await.map(drop),
            Protocol::Udp => ask_for_versions(door.at).await,
        }
    };
    match timeout(PATIENCE, knocked).await {
        Ok(Ok(())) => Reach::Open(start.elapsed()),
        Ok(Err(cause)) => match cause.kind() {
            ErrorKind::ConnectionRefused => Reach::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Reach::NoRoute,
            ErrorKind::TimedOut => Reach::Silent,
            _ => Reach::Failed(cause.to_string()),
        },
        Err(_) => Reach::Silent,
    }
}

/// The socket is connected, so that it hears of a port that nobody listens on.
async fn ask_for_versions(at: SocketAddr) -> io::Result<()> {
    let any: IpAddr = if at.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(at).await?;
    let mut packet = [0; FIRST_PACKET_BYTES];
    // A long header, and a version that is reserved to be unknown.
    packet[..5].copy_from_slice(&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a]);
    // Two connection ids of eight bytes; the answer bears them the other way round.
    let (theirs, ours): ([u8; 8], [u8; 8]) = (rand::random(), rand::random());
    for (from, id) in [(5, theirs), (14, ours)] {
        packet[from] = 8;
        packet[from + 1..from + 9].copy_from_slice(&id);
    }
    let mut answer = [0; FIRST_PACKET_BYTES];
    loop {
        socket.send(&packet).await?;
        if let Ok(received) = timeout(RESEND_TIME, socket.recv(&mut answer)).await {
            let answer = &answer[..received?];
            if answer.len() > 14 && answer[0] & 0x80 != 0 && answer[1..5] == [0; 4] && answer[6..14] == ours {
                return Ok(());
            }
        }
    }
}

impl Reach {
    /// What happened, and what to try; `None` if the port is open. `own` is the address under which this
    /// machine itself is known outside.
    pub(crate) fn trouble(&self, door: Door, own: Option<IpAddr>) -> Option<(String, String)> {
        let Door { protocol, at: to } = door;
        let port = to.port();
        let open_port = || {
            format!(
                "on that machine: {}; behind NAT also forward the port, or let both know a machine with role anchor",
                firewall_lines(&[(port, protocol)]).join("; ")
            )
        };
        Some(match self {
            Self::Open(_) => return None,
            Self::Refused | Self::Silent | Self::NoRoute if own == Some(to.ip()) => (
                format!("{to} cannot be reached, and {} is this site's own address outside", to.ip()),
                "the router does not send it back in (no hairpin): use the other machine's LAN address, or mDNS"
                    .to_owned(),
            ),
            Self::Refused => {
                let name = protocol.label().to_uppercase();
                (
                    format!("{to} refuses: the machine is there, and nothing listens on {name} port {port}"),
                    format!("start ghoard there; its start lines name the port if {port} was taken"),
                )
            }
            Self::Silent if protocol == Protocol::Udp => (
                format!(
                    "{to} does not answer over UDP: nothing of QUIC listens there, or a firewall or router on the way drops it"
                ),
                format!("is ghoard started there, with quic in its transports? Then, {}", open_port()),
            ),
            Self::Silent => (format!("{to} does not answer: a firewall or router on the way drops it"), open_port()),
            Self::NoRoute => (
                format!("there is no route to {to}"),
                if is_private(to.ip()) {
                    "the address is private: it holds in its own network only; set EXTERNAL_IP there, or let both know a machine with role anchor".to_owned()
                } else {
                    "is this machine's own network up? `ip route get` tells more".to_owned()
                },
            ),
            Self::Failed(why) => (format!("{to}: {why}"), "is the address right?".to_owned()),
        })
    }
}

/// What opens the ports, for the firewalls that are usual.
pub(crate) fn firewall_lines(ports: &[(u16, Protocol)]) -> [String; 2] {
    let each = |line: &dyn Fn(u16, &str) -> String, between: &str| {
        ports.iter().map(|(port, protocol)| line(*port, protocol.label())).collect::<Vec<_>>().join(between)
    };
    [
        each(&|port, protocol| format!("sudo ufw allow {port}/{protocol}"), " && "),
        format!(
            "sudo firewall-cmd --permanent {} && sudo firewall-cmd --reload",
            each(&|port, protocol| format!("--add-port={port}/{protocol}"), " ")
        ),
    ]
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_refused_and_an_open_one_is_open() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let door = Door { protocol: Protocol::Tcp, at: listener.local_addr().unwrap() };
        assert!(matches!(knock(door).await, Reach::Open(_)));
        drop(listener);
        let closed = knock(door).await;
        assert_eq!(closed, Reach::Refused);
        assert!(closed.trouble(door, None).unwrap().0.contains("nothing listens on TCP port"));
    }

    #[tokio::test]
    async fn over_udp_nobody_and_a_stranger_are_told_apart() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let door = Door { protocol: Protocol::Udp, at: socket.local_addr().unwrap() };
        let silent = knock(door).await;
        assert_eq!(silent, Reach::Silent);
        let (what, cure) = silent.trouble(door, None).unwrap();
        assert!(what.contains("nothing of QUIC listens there, or a firewall"), "{what}");
        assert!(cure.contains(&format!("ufw allow {}/udp", door.at.port())) && !cure.contains("/tcp"), "{cure}");
        drop(socket);
        let closed = knock(door).await;
        assert_eq!(closed, Reach::Refused);
        assert!(closed.trouble(door, None).unwrap().0.contains("nothing listens on UDP port"));
    }

    #[test]
    fn each_kind_of_trouble_has_its_own_cure() {
        let to = |ip: &str| Door { protocol: Protocol::Tcp, at: SocketAddr::new(ip.parse().unwrap(), 9100) };
        let cure = |reach: Reach, at: &str, own: Option<&str>| {
            reach.trouble(to(at), own.map(|own| own.parse().unwrap())).unwrap().1
        };
        assert!(cure(Reach::Silent, "203.0.113.5", None).contains("ufw allow 9100/tcp"));
        assert!(cure(Reach::Silent, "203.0.113.5", Some("203.0.113.5")).contains("hairpin"));
        assert!(cure(Reach::NoRoute, "192.168.3.4", None).contains("private"));
        assert!(cure(Reach::NoRoute, "203.0.113.5", None).contains("ip route"));
        assert_eq!(Reach::Open(Duration::ZERO).trouble(to("203.0.113.5"), None), None);
    }
}
