//! `ghoard probe`: whether another machine can be reached, step by step, and whether it reaches this one.
//!
//! The other side is an ordinary daemon, or `ghoard probe --serve`, which also tries the way back.

mod client;
mod serve;
mod words;

use std::net::{IpAddr, SocketAddr};

use crypto::{FleetKeys, MembershipKeys};
use net::{Address, EventStream, Identity, Net};
use task::Tasks;

use crate::{
    cli::Probe,
    config::{Config, ConfigError, World},
    machine::{self, Sharing},
};

/// What a probe calls itself, so that it is known to answer.
const AGENT: &str = concat!("ghoard-probe/", env!("CARGO_PKG_VERSION"));

/// Serves, or examines. Returns whether all is well.
pub(crate) async fn probe(probe: &Probe, config: &Config, world: &World<'_>) -> Result<bool, ProbeError> {
    let keys = match machine::sharing(config, world)? {
        Sharing::On { keys, .. } => keys,
        Sharing::Off { why } => return Err(ProbeError::NoSecret(why)),
    };
    if probe.serve {
        let port = probe.port.unwrap_or(config.listen_port);
        let net = start(config, &keys, SocketAddr::new(config.listen_address, port))?;
        serve::serve(probe, &config.runner_name, net).await;
        return Ok(true);
    }
    let given = probe.multiaddr.as_ref().or(config.remote_multiaddr.as_ref()).ok_or(ProbeError::NoAddress)?;
    let address = given.parse::<Address>().map_err(|cause| ProbeError::Address { text: given.clone(), cause })?;
    let own = config.external_ip();
    let any = if address.ip().is_some_and(|ip| ip.is_ipv6()) { "[::]:0" } else { "0.0.0.0:0" };
    let net = start(config, &keys, any.parse().expect("an address of numbers"))?;
    let report = client::examine(&address, &config.runner_name, own, net).await;
    report.print(probe.json);
    Ok(report.is_well())
}

/// A node of the network that lives for the probe, under a name of its own, over every transport of the settings.
fn start(config: &Config, keys: &FleetKeys, at: SocketAddr) -> Result<(Net, EventStream), ProbeError> {
    let membership = MembershipKeys { current: keys.membership.clone(), next: None };
    let mut net = net::Config::new(Identity::generate(rand::random()), membership, keys.topic.clone());
    net.agent = AGENT.to_owned();
    let family = if at.is_ipv4() { "ip4" } else { "ip6" };
    let listen = format!("/{family}/{}/tcp/{}", at.ip(), at.port());
    net.listen.push(listen.parse().expect("an address of numbers"));
    Ok(Net::start(net, machine::transports(config), Tasks::tokio(), rand::random())?)
}

fn is_usable(ip: IpAddr) -> bool {
    !ip.is_loopback() && !ip.is_unspecified()
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
    #[error("only members answer a probe: {0}")]
    NoSecret(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the probe did not start")]
    Start(#[from] net::StartError),
}

impl ProbeError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoAddress => Some(
                "give the address that `ghoard probe --serve` or `ghoard run` printed on the other machine, or set P2P_REMOTE_MULTIADDR".to_owned(),
            ),
            Self::Address { .. } => Some("an address looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…".to_owned()),
            Self::NoSecret(_) => Some("set the same CACHE_P2P_SHARED_SECRET on both machines".to_owned()),
            Self::Config(error) => error.hint(),
            Self::Start(_) => None,
        }
    }
}
