//! The configuration: what was typed ([`RawConfig`]) and what it means ([`Config`]).

mod error;
mod mesh;
mod nearest;
mod raw;
mod resolve;
mod settings;
pub(crate) mod show;
#[cfg(test)]
mod tests;
mod value;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use github::Pattern;
use net::{Carrier, RelayServer};
use node::{Mode, Share};
use wire::Role;

pub(crate) use crypto::Secret;
pub(crate) use error::{ConfigError, Source};
pub(crate) use mesh::MeshSecret;
pub(crate) use raw::{RawConfig, World};
pub(crate) use settings::{Kind, SETTINGS};
pub(crate) use value::{ExternalAddress, LogFormat, MoreOrigin, Rules};

/// The kernel's limit for the path of a unix socket, its closing zero byte left out.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// What the settings mean. Every field is a setting of the same name, unless it says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) enable_p2p: bool,
    /// `enable_p2p` is true because somebody typed it.
    pub(crate) p2p_explicit: bool,
    pub(crate) listen_port: u16,
    pub(crate) listen_address: IpAddr,
    /// Never empty.
    pub(crate) transports: Vec<Carrier>,
    pub(crate) websocket_port: Option<u16>,
    /// Certificates and key; both or none are set.
    pub(crate) tls_files: Option<(PathBuf, PathBuf)>,
    /// [`RelayServer::On`] on an anchor, unless it is typed.
    pub(crate) relay: RelayServer,
    pub(crate) hole_punching: bool,
    pub(crate) upnp: bool,
    /// As typed, each once; not validated.
    pub(crate) bootstrap_peers: Vec<String>,
    /// Peer ids.
    pub(crate) blocked_peers: Vec<String>,
    /// `None`: the origin's own max-age counts.
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) proof_window: Duration,
    pub(crate) stale_for: Duration,
    pub(crate) share: Share,
    pub(crate) never_cache: Vec<Pattern>,
    pub(crate) never_share: Vec<Pattern>,
    pub(crate) mode: Mode,
    pub(crate) cache_dir: PathBuf,
    shared_secret: Option<Secret>,
    shared_secret_file: Option<(PathBuf, Source)>,
    /// The token for requests of the daemon's own, if one is set, and where it comes from.
    pub(crate) github_token: Option<(Secret, Source)>,
    /// `owner/repo`.
    pub(crate) github_repository: Option<String>,
    /// The same, unless it is there only because Actions sets it in every job: that asks for nothing.
    pub(crate) issue_registry: Option<String>,
    /// Name and port.
    pub(crate) dns_name: Option<(String, u16)>,
    /// Switched on, and there is a network where it could do something.
    pub(crate) mdns: bool,
    pub(crate) peer_exchange: bool,
    pub(crate) kademlia: bool,
    /// None unless they are switched on.
    pub(crate) public_bootstrap_peers: Vec<String>,
    pub(crate) runner_name: String,
    pub(crate) role: Role,
    /// Whether what goes to the members is sealed.
    pub(crate) seal: bool,
    pub(crate) external_address: Option<ExternalAddress>,
    pub(crate) remote_multiaddr: Option<String>,
    /// Folders of the file registry, to try in turn; none if it is off.
    pub(crate) p2p_registry_dirs: Vec<PathBuf>,
    /// `Some(true)`: advertise loopback only; `Some(false)`: never.
    pub(crate) force_localhost: Option<bool>,
    pub(crate) door_address: SocketAddr,
    /// At most [`SOCKET_PATH_BYTES_MAX`] long.
    pub(crate) door_socket: PathBuf,
    pub(crate) admin_address: SocketAddr,
    /// May be longer than [`SOCKET_PATH_BYTES_MAX`] if nobody typed it.
    pub(crate) admin_socket: PathBuf,
    pub(crate) rules: Rules,
    /// Without a slash at the end.
    pub(crate) origin: String,
    /// None has the name of another, or of `origin`.
    pub(crate) more_origins: Vec<MoreOrigin>,
    pub(crate) origin_timeout: Duration,
    /// Not read yet.
    pub(crate) extra_ca: Option<PathBuf>,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
    /// A filter of `tracing-subscriber`; not validated.
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    shown: Vec<Shown>,
}

/// One setting as `ghoard config` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    /// `None` if it is not set and has no default; a secret is `(set)`.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
}

impl Config {
    /// Gives a meaning to what was typed.
    ///
    /// # Errors
    /// The first [`ConfigError`], in the order of the table.
    pub(crate) fn resolve(raw: &RawConfig, world: &World<'_>) -> Result<Self, ConfigError> {
        resolve::resolve(raw, world)
    }

    /// The address under which this machine is known outside, if the operator told it.
    pub(crate) fn external_ip(&self) -> Option<IpAddr> {
        match self.external_address.as_ref()? {
            ExternalAddress::Ip(ip) => Some(*ip),
            ExternalAddress::Multiaddr(text) => text.parse::<net::Address>().ok()?.ip(),
        }
    }

    /// Every setting, in the order of the table.
    pub(crate) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// Whether somebody typed this setting, wherever.
    pub(crate) fn is_typed(&self, name: &str) -> bool {
        self.shown.iter().any(|shown| shown.name == name && !matches!(shown.source, Source::Default(_)))
    }
}
