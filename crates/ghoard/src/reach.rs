//! Whether a TCP port can be reached, and if not, on whose side the cause lies.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::timeout};

/// Longer than a SYN that is sent once more.
const PATIENCE: Duration = Duration::from_secs(4);

/// What came of a TCP connection to a port.
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

/// Connects, and closes at once.
pub(crate) async fn tcp(to: SocketAddr) -> Reach {
    let start = Instant::now();
    match timeout(PATIENCE, TcpStream::connect(to)).await {
        Ok(Ok(_)) => Reach::Open(start.elapsed()),
        Ok(Err(cause)) => match cause.kind() {
            ErrorKind::ConnectionRefused => Reach::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Reach::NoRoute,
            ErrorKind::TimedOut => Reach::Silent,
            _ => Reach::Failed(cause.to_string()),
        },
        Err(_) => Reach::Silent,
    }
}

impl Reach {
    /// What happened, and what to try; `None` if the port is open. `own` is the address under which this
    /// machine itself is known outside.
    pub(crate) fn trouble(&self, to: SocketAddr, own: Option<IpAddr>) -> Option<(String, String)> {
        let port = to.port();
        Some(match self {
            Self::Open(_) => return None,
            Self::Refused | Self::Silent | Self::NoRoute if own == Some(to.ip()) => (
                format!("{to} cannot be reached, and {} is this site's own address outside", to.ip()),
                "the router does not send it back in (no hairpin): use the other machine's LAN address, or mDNS"
                    .to_owned(),
            ),
            Self::Refused => (
                format!("{to} refuses: the machine is there, and nothing listens on TCP port {port}"),
                format!("start ghoard there; its start lines name the port if {port} was taken"),
            ),
            Self::Silent => (
                format!("{to} does not answer: a firewall or router on the way drops it"),
                format!(
                    "on that machine: {}; behind NAT also forward the port, or let both know a machine with role anchor",
                    firewall_lines(port).join("; ")
                ),
            ),
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

/// What opens the port, for the firewalls that are usual. QUIC needs the UDP port of the same number.
pub(crate) fn firewall_lines(port: u16) -> [String; 2] {
    [
        format!("sudo ufw allow {port}/tcp && sudo ufw allow {port}/udp"),
        format!(
            "sudo firewall-cmd --permanent --add-port={port}/tcp --add-port={port}/udp && sudo firewall-cmd --reload"
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
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_refused_and_an_open_one_is_open() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        assert!(matches!(tcp(to).await, Reach::Open(_)));
        drop(listener);
        let closed = tcp(to).await;
        assert_eq!(closed, Reach::Refused);
        assert!(closed.trouble(to, None).unwrap().0.contains("nothing listens"));
    }

    #[test]
    fn each_kind_of_trouble_has_its_own_cure() {
        let to = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 9100);
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
