use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use node::{Env, Mode, Node};
use task::Tasks;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    admin::Admin,
    admin_socket::AdminSocket,
    config::{Config, Rules, World},
    http_mode,
    listen::{PrivateDoor, TcpDoor, UnixDoor},
    machine::{self, Cellar, Sharing, StartFailure, ports},
    output, upstream,
};

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("another ghoard runs on this cache directory")]
    InUse(#[source] store::DirError),
    #[error("--target {0} is no repository")]
    Target(String),
    #[error(transparent)]
    Origin(#[from] gateway::ClientError),
    #[error("extra_ca {} cannot be used", path.display())]
    ExtraCa {
        path: PathBuf,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(transparent)]
    Start(#[from] StartFailure),
    #[error("cannot start")]
    Io(#[from] std::io::Error),
    #[error("neither the socket {socket} nor the address {address} can be opened")]
    NoDoor { socket: String, address: String },
}

impl RunError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::InUse(_) => Some("stop it first, or give this one its own CACHE_DIR".to_owned()),
            Self::ExtraCa { .. } => Some("give it a file with one or more certificates in PEM".to_owned()),
            Self::Start(error) => error.hint(),
            Self::Target(_) => Some("write it as owner/name".to_owned()),
            Self::NoDoor { .. } => Some("set GHOARD_DOOR_SOCKET or GHOARD_DOOR_ADDRESS".to_owned()),
            _ => None,
        }
    }
}

/// Runs the daemon until SIGTERM or SIGINT.
pub(crate) async fn run(config: &Config, world: &World<'_>) -> Result<(), RunError> {
    harden();
    if config.rules == Rules::Http {
        return http_mode::run(config).await;
    }
    let tasks = Tasks::tokio();
    let cellar = Cellar::open(config).map_err(RunError::InUse)?;
    let sharing = machine::sharing(config, world)?;
    let identity = cellar.identity();
    let me = identity.peer();
    let (fleet, shares) = match sharing {
        Sharing::On { keys, from } => {
            let fleet = machine::fleet_config(config, *keys, identity);
            // What cannot be listened on was said.
            let first = fleet.listen.iter().find(|address| address.ip().is_some_and(ports::is_own));
            let port = first.map_or("it listens nowhere, and only dials".to_owned(), ToString::to_string);
            (Some(fleet), format!("yes, with machines that have the same {} ({port})", from.trim_start_matches("the ")))
        }
        Sharing::Off { why } if !config.enable_p2p => (None, format!("no: {why}")),
        Sharing::Off { why } => {
            (None, format!("no: {why}; for one, run `ghoard secret new` and set it on all machines"))
        }
    };
    let origin = Arc::new(upstream::origin(config, world)?);
    let node_config = machine::node_config(config, &cellar, fleet);
    let env = Env { tasks, store: cellar.store.clone(), origin };
    let node = Arc::new(machine::start(node_config, env, config)?);

    let doors = open_doors(&node, config).await?;
    output::data(&format!("ghoard {}", env!("CARGO_PKG_VERSION")));
    if let Some(base_url) = &doors.base_url {
        output::data(&format!("  base URL    {base_url}"));
    }
    for (url, origin) in &doors.more {
        output::data(&format!("  base URL    {url} for {origin}"));
    }
    if let Some(socket) = &doors.socket {
        output::data(&format!("  socket      {}", socket.display()));
    }
    if let Some(socket) = &doors.admin_socket {
        output::data(&format!("  admin       {}", socket.display()));
    }
    if let Some(admin) = &doors.admin {
        output::data(&format!("  status      {admin}/api/mcp/cache/stats"));
    }
    output::data(&format!("  peer id     {me}"));
    let path = cellar.path.as_deref().map_or("in memory".to_owned(), |path| path.display().to_string());
    let kept = if cellar.degraded.is_some() { " (persistence: degraded)" } else { "" };
    output::data(&format!("  cache       {path}{kept}"));
    output::data(&format!("  shares      {shares}"));
    if config.mode == Mode::Shadow {
        output::data(
            "  mode        shadow: every request is asked of GitHub; what the cache would have saved is counted",
        );
    }
    if doors.socket.is_some() {
        output::data("point gh here: ghoard setup gh");
    }

    stopped().await?;
    node.stop().await;
    Ok(())
}

/// Ends at SIGTERM or SIGINT.
pub(crate) async fn stopped() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

struct Doors {
    base_url: Option<String>,
    /// Base URL and origin.
    more: Vec<(String, String)>,
    socket: Option<PathBuf>,
    admin_socket: Option<PathBuf>,
    admin: Option<String>,
}

/// Opens what can be opened. One door is enough to be useful.
async fn open_doors(node: &Arc<Node>, config: &Config) -> Result<Doors, RunError> {
    let base_url = match TcpDoor::bind(config.door_address).await {
        Ok((door, bound)) => {
            let url = format!("http://{bound}");
            if bound != config.door_address && config.door_address.port() != 0 {
                output::warning(&format!("door_address {} is taken; the base URL is {url}", config.door_address));
                output::hint("stop the other program, or set GHOARD_DOOR_ADDRESS");
            }
            node.open("base URL", url.clone(), door);
            Some(url)
        }
        Err(error) => {
            output::warning(&format!("no base URL: cannot listen on {}: {error}", config.door_address));
            output::hint("set GHOARD_DOOR_ADDRESS to a loopback address, such as 127.0.0.1:9120");
            None
        }
    };
    let socket = match UnixDoor::bind(&config.door_socket).await {
        Ok(door) => {
            node.open_socket("socket", door);
            Some(config.door_socket.clone())
        }
        Err(error) => {
            output::warning(&format!("no socket: cannot listen on {}: {error}", config.door_socket.display()));
            output::hint("set GHOARD_DOOR_SOCKET to a path that this user can create");
            None
        }
    };
    if base_url.is_none() && socket.is_none() {
        let socket = Path::display(&config.door_socket).to_string();
        return Err(RunError::NoDoor { socket, address: config.door_address.to_string() });
    }
    let admin = match TcpDoor::bind(config.admin_address).await {
        Ok((door, bound)) => {
            if bound != config.admin_address && config.admin_address.port() != 0 {
                output::warning(&format!("admin_address {} is taken; the status is at {bound}", config.admin_address));
                output::hint("stop the other program, or set GHOARD_ADMIN_ADDRESS");
            }
            node.open_to("status", Arc::new(Admin { node: node.clone() }), door);
            Some(format!("http://{bound}"))
        }
        Err(error) => {
            output::warning(&format!("no status page: cannot listen on {}: {error}", config.admin_address));
            output::hint("set GHOARD_ADMIN_ADDRESS to a loopback address");
            None
        }
    };
    let admin_socket = open_admin_socket(node, &config.admin_socket).await;
    let more = open_more(node, config).await;
    Ok(Doors { base_url, more, socket, admin_socket, admin })
}

async fn open_admin_socket(node: &Arc<Node>, path: &Path) -> Option<PathBuf> {
    match PrivateDoor::bind(path).await {
        Ok(door) => {
            node.open_to("admin socket", Arc::new(AdminSocket { node: node.clone() }), door);
            Some(path.to_owned())
        }
        Err(error) => {
            output::warning(&format!("no admin socket: cannot listen on {}: {error}", path.display()));
            output::hint("set GHOARD_ADMIN_SOCKET to a path that this user can create; `ghoard why` needs it");
            None
        }
    }
}

/// Opens the doors of the further origins that have one.
async fn open_more(node: &Node, config: &Config) -> Vec<(String, String)> {
    let mut opened = Vec::new();
    // The main origin is the first.
    for (at, more) in (1..).zip(&config.more_origins) {
        let Some(wanted) = more.door else { continue };
        match TcpDoor::bind(wanted).await {
            Ok((door, bound)) => {
                let url = format!("http://{bound}");
                if bound != wanted && wanted.port() != 0 {
                    output::warning(&format!("{wanted} is taken; the base URL for {} is {url}", more.url));
                    output::hint("stop the other program, or set another address in GHOARD_MORE_ORIGINS");
                }
                node.open_site("base URL", at, url.clone(), door);
                opened.push((url, more.url.clone()));
            }
            Err(error) => {
                output::warning(&format!("no base URL for {}: cannot listen on {wanted}: {error}", more.url));
                output::hint("set a loopback address in GHOARD_MORE_ORIGINS");
            }
        }
    }
    opened
}

/// Keeps other processes of this user out of our memory, and lets us hold enough connections open.
fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process can be inspected by others of its user");
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit on open files stays low");
    }
}
