//! From the settings to the parts of a node: store, identity, keys and ports.

pub(crate) mod finding;
pub(crate) mod ports;

use std::{path::PathBuf, sync::Arc};

use crypto::{FleetKeys, Secret, SecretKind};
use github::Policy;
use net::{Identity, Reach};
use node::{About, DiallerConfig, Discovery, Env, Exclusions, External, FleetConfig, Node};
use store::{CacheDir, DirError, DiskConfig, DiskStore, MemoryStore, Store};
use tracing::warn;
use wire::{Millis, Peer};

use crate::{
    config::{Config, ConfigError, ExternalAddress, MeshSecret, World},
    names::Names,
    output,
};

use finding::Finding;

const IDENTITY_META: &str = "identity seed";

/// The store, with what the operator should know about it.
pub(crate) struct Cellar {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) path: Option<PathBuf>,
    pub(crate) degraded: Option<String>,
    /// Keeps the directory ours.
    _dir: Option<CacheDir>,
}

impl Cellar {
    /// Opens the store on disk. A directory or file that cannot be used costs persistence, not the
    /// daemon; only a directory that another daemon uses is an error.
    pub(crate) fn open(config: &Config) -> Result<Self, DirError> {
        let (dir, degraded) = match CacheDir::prepare_or_fallback(&config.cache_dir) {
            Ok(prepared) => prepared,
            Err(error @ DirError::InUse { .. }) => return Err(error),
            Err(error) => {
                let why = format!("{}, nor a temporary directory; the cache is in memory only", full_text(&error));
                output::warning(&format!("cache_dir {}: {why}", config.cache_dir.display()));
                output::hint("point CACHE_DIR at a directory of this user's that can be written");
                return Ok(Self { degraded: Some(why), ..Self::in_memory(config.memory_bytes) });
            }
        };
        let mut degraded =
            degraded.map(|d| format!("{}; using {} until the daemon stops", full_text(&d.why), d.using.display()));
        if let Some(why) = &degraded {
            output::warning(&format!("cache_dir {}: {why}", config.cache_dir.display()));
            output::hint("point CACHE_DIR at a directory of this user's that can be written");
        }
        let path = Some(dir.path().to_owned());
        let store: Arc<dyn Store> = match open_disk(&dir, config.disk_bytes) {
            Ok(store) => store,
            Err(error) => {
                let why = format!("{}; the cache is in memory only", full_text(&error));
                output::warning(&format!("cache_dir {}: {why}", dir.path().display()));
                output::hint("move what is there out of the way, or give this daemon its own CACHE_DIR");
                degraded = Some(why);
                Arc::new(MemoryStore::new(config.memory_bytes, rand::random()))
            }
        };
        Ok(Self { store, path, degraded, _dir: Some(dir) })
    }

    /// A store that ends with the process.
    pub(crate) fn in_memory(bytes_max: u64) -> Self {
        let store = Arc::new(MemoryStore::new(bytes_max, rand::random()));
        Self { store, path: None, degraded: None, _dir: None }
    }

    /// The key pair that this machine is known by, made at the first start.
    pub(crate) fn identity(&self) -> Identity {
        let kept = self.store.meta(IDENTITY_META).ok().flatten();
        if let Some(seed) = kept.and_then(|seed| <[u8; 32]>::try_from(seed).ok()) {
            return Identity::from_seed(seed);
        }
        let seed: [u8; 32] = rand::random();
        if let Err(error) = self.store.set_meta(IDENTITY_META, seed.to_vec()) {
            warn!(%error, "this machine's identity could not be kept; it has another one at the next start");
        }
        Identity::generate(seed)
    }

    fn about(&self, config: &Config) -> About {
        About {
            cache_dir: self.path.clone(),
            degraded: self.degraded.clone(),
            p2p_requested: config.enable_p2p,
            role: config.role,
            peer: None,
        }
    }
}

fn open_disk(dir: &CacheDir, bytes_max: u64) -> Result<Arc<DiskStore>, store::OpenError> {
    let (now, begun) = (Millis::from(std::time::SystemTime::now()), std::time::Instant::now());
    let (store, report) = dir.open_store(DiskConfig::new(bytes_max, rand::random()), now)?;
    if report.is_repaired {
        let secs = begun.elapsed().as_secs_f64();
        output::warning(&format!(
            "the last run ended while the cache was compacted; reading all of it took {secs:.1} s"
        ));
    }
    if let Some(aside) = report.set_aside {
        output::warning(&format!("the cache was damaged ({}); it is kept as {}", aside.why, aside.path.display()));
        output::hint("nothing is needed; the cache starts empty and fills again");
    }
    Ok(Arc::new(store))
}

/// Whether this node shares, and if not, why.
pub(crate) enum Sharing {
    On { keys: Box<FleetKeys>, from: String },
    Off { why: String },
}

/// Finds the secret and derives the fleet's keys. Blocks: stretching takes about 0.1 s.
pub(crate) fn sharing(config: &Config, world: &World<'_>) -> Result<Sharing, ConfigError> {
    if !config.enable_p2p {
        return Ok(Sharing::Off { why: "it is switched off (enable_p2p)".to_owned() });
    }
    let secret = match config.mesh_secret(world)? {
        MeshSecret::AskGh => MeshSecret::ask_gh(),
        secret => secret,
    };
    let (secret, from) = match secret {
        MeshSecret::Shared(secret) => (secret, "the shared secret".to_owned()),
        MeshSecret::Token { token, from } => (token, format!("the token in {from}")),
        MeshSecret::JobToken { token, from } => {
            output::warning(&format!("{from} is the token of one job: every step of the job is a member of the fleet"));
            output::hint("set CACHE_P2P_SHARED_SECRET to a secret of its own, from `ghoard secret new`");
            (token, format!("the job token in {from}"))
        }
        MeshSecret::JobTokenNotUsed { from } => {
            return Ok(Sharing::Off {
                why: format!("{from} is a job's token, which is not used as a secret by itself"),
            });
        }
        MeshSecret::AskGh | MeshSecret::None => {
            return Ok(Sharing::Off { why: "there is no shared secret".to_owned() });
        }
    };
    warn_if_weak(&secret);
    Ok(Sharing::On { keys: Box::new(FleetKeys::derive(&secret)), from })
}

fn warn_if_weak(secret: &Secret) {
    if secret.kind() == SecretKind::Weak {
        output::warning("the shared secret is short: whoever records a handshake can guess it");
        output::hint("use one from `ghoard secret new` on all machines");
    }
}

/// What the network needs, from the settings.
pub(crate) fn fleet_config(config: &Config, keys: FleetKeys, identity: Identity) -> FleetConfig {
    let keys = if config.seal {
        keys
    } else {
        output::warning(
            "sealing is off: keys and bodies go to the members as they are, under the connection's own encryption only",
        );
        output::hint("unset `seal` on all machines, unless something must read what passes between them");
        FleetKeys { sealing: keys.sealing.switched_off(), ..keys }
    };
    let external = config.external_address.as_ref().and_then(|external| match external {
        ExternalAddress::Ip(ip) => Some(External::Ip(*ip)),
        ExternalAddress::Multiaddr(text) => finding::address("external_address", text).map(External::Address),
    });
    let mut finding = Finding::open(config, keys.sealing.is_off());
    finding.warn();
    let listen = ports::listen(config);
    FleetConfig {
        keys,
        role: config.role,
        identity,
        external: external.iter().flat_map(|external| ports::external(external, &listen)).collect(),
        listen,
        transports: ports::transports(config),
        reach: Reach { hole_punching: config.hole_punching, ..Reach::full(config.relay, config.upnp) },
        dialler: DiallerConfig {
            bootstrap: std::mem::take(&mut finding.bootstrap),
            directories: std::mem::take(&mut finding.directories),
            runner_name: config.runner_name.clone(),
            external,
            force_localhost: config.force_localhost,
            discovery: discovery(config, finding),
        },
    }
}

fn discovery(config: &Config, finding: Finding) -> Discovery {
    Discovery {
        service: config.dns_name.clone(),
        resolver: Some(Arc::new(Names::default())),
        mdns: config.mdns,
        exchange: config.peer_exchange,
        kademlia: config.kademlia,
        not_started: finding.not_started(),
        registry: finding.registry,
        public: finding.public,
        blocked: config.blocked_peers.iter().map(|peer| Peer::new(peer.as_str())).collect(),
    }
}

/// A node of these settings.
pub(crate) fn start(node: node::Config, env: Env, config: &Config) -> Result<Node, StartFailure> {
    Node::start(node, env).map_err(|node::StartError::Net(cause)| StartFailure::of(cause, config))
}

/// Why the network did not start, with the files that the settings name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartFailure {
    #[error("websocket_port cannot have TLS with {} (tls_cert_file) and {} (tls_key_file)", certificate.display(), key.display())]
    Tls {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        cause: net::StartError,
    },
    #[error("the network did not start")]
    Other(#[source] net::StartError),
}

impl StartFailure {
    pub(crate) fn of(cause: net::StartError, config: &Config) -> Self {
        match (&cause, config.tls_files.clone()) {
            (net::StartError::Tls(_), Some((certificate, key))) => Self::Tls { certificate, key, cause },
            _ => Self::Other(cause),
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Tls { .. } => Some(ports::TLS_CURE.to_owned()),
            Self::Other(_) => None,
        }
    }
}

/// What a node needs, from the settings.
pub(crate) fn node_config(config: &Config, cellar: &Cellar, fleet: Option<FleetConfig>) -> node::Config {
    let policy = Policy {
        default_ttl: config.default_ttl,
        proof_window: Some(config.proof_window),
        stale_for: config.stale_for,
    };
    node::Config {
        origin_url: config.origin.clone(),
        more_origins: config.more_origins.iter().map(|more| more.url.clone()).collect(),
        policy,
        share: config.share,
        exclusions: Exclusions { never_cache: config.never_cache.clone(), never_share: config.never_share.clone() },
        mode: config.mode,
        memory_bytes: config.memory_bytes,
        about: cellar.about(config),
        fleet,
    }
}

/// An error and its causes in one line.
pub(crate) fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
