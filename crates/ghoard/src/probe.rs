//! `ghoard probe`: whether another machine can be reached, step by step, and whether it reaches this one.
//!
//! The other side is an ordinary daemon, or `ghoard probe --serve`, which also tries the way back.

mod client;
mod serve;
mod words;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use crypto::{FleetKeys, MembershipKeys};
use http::Method;
use net::{Address, Carrier, EventStream, Identity, Net};
use serde_json::Value;
use task::Tasks;
use tokio::time::timeout;

use self::serve::Server;
use crate::{
    admin_client,
    cli::Probe,
    config::{Config, ConfigError, World},
    machine::{self, Sharing, ports},
};

/// For the daemon of this machine to say where it listens.
const DAEMON_TIME: Duration = Duration::from_secs(2);

/// What a probe calls itself, so that it is known to answer.
const AGENT: &str = concat!("ghoard-probe/", env!("CARGO_PKG_VERSION"));

/// Serves, or examines. Returns whether all is well.
pub(crate) async fn probe(probe: &Probe, config: &Config, world: &World<'_>) -> Result<bool, ProbeError> {
    if !probe.serve && (probe.port.is_some() || probe.advertise_ip.is_some() || probe.exit_after_one) {
        return Err(ProbeError::ServeOnly);
    }
    let keys = match machine::sharing(config, world)? {
        Sharing::On { keys, .. } => keys,
        Sharing::Off { why } => return Err(ProbeError::NoSecret { why, is_switched_off: !config.enable_p2p }),
    };
    if probe.serve {
        let mut wanted = config.clone();
        wanted.listen_port = probe.port.unwrap_or(config.listen_port);
        let listen = ports::listen(&wanted);
        if listen.is_empty() {
            return Err(ProbeError::NoPort);
        }
        if let Some(ip) = probe.advertise_ip.filter(|ip| serve::is_of_another_family(*ip, &listen)) {
            return Err(ProbeError::Family { ip, at: config.listen_address });
        }
        let (net, events) = start(config, &keys, listen.clone())?;
        Server::new(probe, &config.runner_name, listen, net).run(events).await?;
        return Ok(true);
    }
    let given = probe.multiaddr.as_ref().or(config.remote_multiaddr.as_ref()).ok_or(ProbeError::NoAddress)?;
    let address = given.parse::<Address>().map_err(|cause| ProbeError::Address { text: given.clone(), cause })?;
    let (listen, port) = way_back(config, address.ip().is_some_and(|ip| ip.is_ipv6())).await;
    let report = client::examine(&address, config, port, start(config, &keys, listen)?).await;
    report.print(probe.json);
    Ok(report.is_well())
}

/// Where to listen, and the port at which the other side is to try the way back: the one that members use. If the
/// daemon has it, the daemon is what the other side finds there.
async fn way_back(config: &Config, is_ipv6: bool) -> (Vec<Address>, Option<u16>) {
    let of_daemon = timeout(DAEMON_TIME, admin_client::ask(config, Method::GET, "/peers", None, None)).await;
    if let Ok(Ok(answer)) = of_daemon {
        let listening = answer["listening"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let tcp = listening.filter_map(|text| text.parse::<Address>().ok()).find(|at| at.carrier() == Carrier::Tcp);
        if let Some(port) = tcp.and_then(|at| at.port()) {
            return (Vec::new(), Some(port));
        }
    }
    if !config.transports.contains(&Carrier::Tcp) {
        return (Vec::new(), None);
    }
    let (family, any) =
        if is_ipv6 { ("ip6", IpAddr::from(Ipv6Addr::UNSPECIFIED)) } else { ("ip4", Ipv4Addr::UNSPECIFIED.into()) };
    let wanted = config.listen_port;
    let port = if ports::try_port(any, wanted, Carrier::Tcp).is_ok() { wanted } else { 0 };
    (vec![format!("/{family}/{any}/tcp/{port}").parse().expect("an address of numbers")], None)
}

/// A node of the network that lives for the probe, under a name of its own, over every transport of the settings.
fn start(config: &Config, keys: &FleetKeys, listen: Vec<Address>) -> Result<(Net, EventStream), ProbeError> {
    let membership = MembershipKeys { current: keys.membership.clone(), next: None };
    let mut net = net::Config::new(Identity::generate(rand::random()), membership, keys.topic.clone());
    net.agent = AGENT.to_owned();
    net.listen = listen;
    Net::start(net, ports::transports(config), Tasks::tokio(), rand::random())
        .map_err(|cause| ProbeError::Start(machine::StartFailure::of(cause, config)))
}

/// Link-local addresses need the name of a network card beside them.
fn is_usable(ip: IpAddr) -> bool {
    let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    !ip.is_loopback() && !ip.is_unspecified() && !is_link_local
}

/// Why nothing was probed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("there is nothing to probe")]
    NoAddress,
    #[error("{text} is no address to probe")]
    Address {
        text: String,
        #[source]
        cause: net::AddressError,
    },
    #[error("only members answer a probe: {why}")]
    NoSecret { why: String, is_switched_off: bool },
    #[error("--port, --advertise-ip and --exit-after-one are for --serve")]
    ServeOnly,
    #[error("nobody reaches this machine at {ip}: it listens on {at} only")]
    Family { ip: IpAddr, at: IpAddr },
    #[error("with transports = ws and no websocket_port there is nothing to listen on")]
    NoPort,
    #[error("cannot listen anywhere; the last was {0}: {1}")]
    Deaf(Address, String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(machine::StartFailure),
}

impl ProbeError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoAddress => Some(
                "give the address that `ghoard probe --serve` or `ghoard run` printed on the other machine, or set P2P_REMOTE_MULTIADDR".to_owned(),
            ),
            Self::Address { .. } => Some("an address looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…".to_owned()),
            Self::NoSecret { is_switched_off: true, .. } => Some("unset GHOARD_ENABLE_P2P (enable_p2p)".to_owned()),
            Self::NoSecret { .. } => Some("set the same CACHE_P2P_SHARED_SECRET on both machines".to_owned()),
            Self::ServeOnly => Some("add --serve, to await probes; else leave them out".to_owned()),
            Self::Family { .. } => Some("set GHOARD_LISTEN_ADDRESS to `::` or 0.0.0.0, or advertise another address".to_owned()),
            Self::NoPort => Some("set GHOARD_WEBSOCKET_PORT, or GHOARD_TRANSPORTS=tcp,quic,ws".to_owned()),
            Self::Deaf(..) => Some("set GHOARD_LISTEN_ADDRESS to an address of this machine, and --port to a free one".to_owned()),
            Self::Config(error) => error.hint(),
            Self::Start(error) => error.hint(),
        }
    }
}
