//! From the settings to the parts of a node: store, identity, keys and ports.

mod ports;

use std::{path::PathBuf, sync::Arc};

use crypto::{FleetKeys, Secret, SecretKind};
use discovery::{Directory, FileDirectory};
use github::{Credential, Policy};
use http::HeaderValue;
use net::{Address, Identity, Reach};
use node::{About, DiallerConfig, Discovery, Exclusions, External, FleetConfig, RegistryConfig};
use store::{CacheDir, DirError, DiskConfig, DiskStore, MemoryStore, Store};
use tracing::warn;
use wire::{Millis, Peer};

use crate::{
    config::{Config, ConfigError, ExternalAddress, MeshSecret, World},
    names::Names,
    output,
};

pub(crate) use ports::transports;

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
        ExternalAddress::Multiaddr(text) => address("external_address", text).map(External::Address),
    });
    let bootstrap: Vec<Address> =
        config.bootstrap_peers.iter().filter_map(|text| address("bootstrap_peers", text)).collect();
    let directories = directories(config);
    let discovery = discovery(config, keys.sealing.is_off());
    let has_other = discovery.mdns || discovery.service.is_some() || discovery.registry.is_some();
    if bootstrap.len() < 2 && directories.is_empty() && !has_other {
        output::warning(
            "fewer than two bootstrap peers and no peer directory: a single machine down isolates this one",
        );
        output::hint("name two or more in CACHE_BOOTSTRAP_PEERS");
    }
    let listen = ports::listen(config);
    FleetConfig {
        keys,
        role: config.role,
        identity,
        external: external.iter().flat_map(|external| ports::external(external, &listen)).collect(),
        listen,
        transports: transports(config),
        reach: Reach { hole_punching: config.hole_punching, ..Reach::full(config.relay, config.upnp) },
        dialler: DiallerConfig {
            bootstrap,
            directories,
            runner_name: config.runner_name.clone(),
            external,
            force_localhost: config.force_localhost,
            discovery,
        },
    }
}

fn discovery(config: &Config, is_seal_off: bool) -> Discovery {
    Discovery {
        service: config.dns_name.clone(),
        resolver: Some(Arc::new(Names::default())),
        registry: registry(config, is_seal_off),
        mdns: config.mdns,
        exchange: config.peer_exchange,
        kademlia: config.kademlia,
        public: public_nodes(config),
        not_started: std::collections::BTreeMap::new(),
        blocked: config.blocked_peers.iter().map(|peer| Peer::new(peer.as_str())).collect(),
    }
}

/// Public nodes, each of which must say who answers there: any other might call itself one.
fn public_nodes(config: &Config) -> Vec<Address> {
    const SETTING: &str = "public_bootstrap_peers";
    let nodes = config.public_bootstrap_peers.iter().filter_map(|text| {
        let node = address(SETTING, text)?;
        if node.peer().is_none() {
            output::warning(&format!("{SETTING}: {text} is left out: it does not end in /p2p/<peer id>"));
            return None;
        }
        Some(node)
    });
    nodes.take(net::limits::INFRASTRUCTURE_MAX).collect()
}

/// The registry in an issue, if there is a token for it. May ask gh for one, which reads no network.
fn registry(config: &Config, is_seal_off: bool) -> Option<RegistryConfig> {
    let repository = config.issue_registry.clone()?;
    if is_seal_off {
        output::warning(&format!("no peer registry in {repository}: sealing is off, and strangers may read issues"));
        output::hint("unset `seal`, or find peers by CACHE_BOOTSTRAP_PEERS");
        return None;
    }
    let token = match config.github_token.clone() {
        Some((token, _)) => Some(token),
        None => MeshSecret::ask_gh().into_token(),
    };
    let header = token.and_then(|token| HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok());
    let Some(header) = header else {
        output::warning(&format!("no peer registry in {repository}: there is no token to read its issues with"));
        output::hint("set GITHUB_TOKEN, or log in with `gh auth login`");
        return None;
    };
    Some(RegistryConfig { repository, credential: Credential::from_authorization(&header) })
}

fn address(setting: &str, text: &str) -> Option<Address> {
    match text.parse::<Address>() {
        Ok(address) => Some(address),
        Err(error) => {
            output::warning(&format!("{setting}: {text} is left out: {}", full_text(&error)));
            output::hint("an address looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…");
            None
        }
    }
}

fn directories(config: &Config) -> Vec<Arc<dyn Directory>> {
    if config.p2p_registry_dirs.is_empty() {
        return Vec::new();
    }
    match FileDirectory::open_first(config.p2p_registry_dirs.clone()) {
        Ok((directory, failed)) => {
            for error in failed {
                output::warning(&format!(
                    "peer directory: {}; using {}",
                    full_text(&error),
                    directory.path().display()
                ));
            }
            vec![Arc::new(directory)]
        }
        Err(error) => {
            output::warning(&format!("no peer directory: {}", full_text(&error)));
            output::hint("point IPFS_ACCELERATE_P2P_CACHE_DIR at a directory that can be written");
            Vec::new()
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
