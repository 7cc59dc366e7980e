use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use github::Pattern;
use net::{Carrier, RelayServer};
use node::{Mode, Share};
use wire::Role;

use super::{
    Config, ConfigError, ExternalAddress, LogFormat, MoreOrigin, Rules, SOCKET_PATH_BYTES_MAX, Secret, Shown, Source,
    raw::{RawConfig, World},
    settings::PUBLIC_NODES,
    value::{self, Parsed},
};

pub(super) fn resolve(raw: &RawConfig, world: &World<'_>) -> Result<Config, ConfigError> {
    let mut r = Resolver { raw, world, shown: Vec::new() };
    let enable_p2p = r.value("enable_p2p", value::switch, true, ToString::to_string)?;
    let p2p_explicit = enable_p2p && r.typed("enable_p2p");
    let listen_port = r.value("listen_port", value::port, 9100, ToString::to_string)?;
    let listen_address =
        r.value("listen_address", value::ip, IpAddr::from(Ipv4Addr::UNSPECIFIED), ToString::to_string)?;
    let show_transports = |all: &Vec<Carrier>| all.iter().map(|one| one.label()).collect::<Vec<_>>().join(",");
    let transports = vec![Carrier::Tcp, Carrier::Quic];
    let transports = r.value("transports", value::transports, transports, show_transports)?;
    let websocket_port = r.optional("websocket_port", value::port, ToString::to_string)?;
    let tls_files = r.tls_files()?;
    let bootstrap_peers =
        r.value("bootstrap_peers", |text| Ok(value::list(text)), Vec::new(), |peers: &Vec<_>| peers.join(","))?;
    let blocked_peers = r.value("blocked_peers", value::peers, Vec::new(), |peers: &Vec<_>| peers.join(","))?;
    let default_ttl = r.optional("default_ttl", value::seconds, show_seconds)?;
    let proof_window = r.proof_window(default_ttl)?;
    let stale_for = r.value("stale_for", value::seconds, Duration::from_secs(3600), show_seconds)?;
    let show_share = |share: &Share| format!("{share:?}").to_ascii_lowercase();
    let share = r.value("share", value::share, Share::default(), show_share)?;
    let show_patterns =
        |patterns: &Vec<Pattern>| patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let never_cache = r.value("never_cache", value::patterns, Vec::new(), show_patterns)?;
    let never_share = r.value("never_share", value::patterns, Vec::new(), show_patterns)?;
    let show_mode = |mode: &Mode| if *mode == Mode::Shadow { "shadow" } else { "serve" }.to_owned();
    let mode = r.value("mode", value::mode, Mode::default(), show_mode)?;
    let cache_dir = r.cache_dir()?;
    let shared_secret = r.secret("shared_secret")?.map(|(secret, _)| secret);
    let shared_secret_file = r.optional_path("shared_secret_file")?;
    let github_token = r.secret("github_token")?;
    let github_repository = r.optional("github_repository", value::repository, Clone::clone)?;
    let issue_registry = github_repository.clone().filter(|_| !r.is_repository_of_a_job());
    let runner_name = r.runner_name()?;
    let role = r.role()?;
    let relay = r.relay(role)?;
    let hole_punching = r.value("hole_punching", value::switch, true, ToString::to_string)?;
    let upnp = r.upnp(role)?;
    let seal = r.seal()?;
    let external_address = r.optional("external_address", value::external_address, show_external)?;
    let p2p_registry_dirs = r.registry_dirs()?;
    let show_service = |(name, port): &(String, u16)| format!("{name}:{port}");
    let dns_name = r.optional("dns_name", value::service, show_service)?;
    let mdns_wanted = r.value("mdns", value::switch, true, ToString::to_string)?;
    let peer_exchange = r.value("peer_exchange", value::switch, true, ToString::to_string)?;
    let kademlia = r.value("kademlia", value::switch, false, ToString::to_string)?;
    let force_localhost = r.optional("force_localhost", value::switch, ToString::to_string)?;
    let mdns = mdns_wanted && !listen_address.is_loopback() && force_localhost != Some(true);
    let is_public_wanted = r.value("enable_public_bootstrap", value::switch, false, ToString::to_string)?;
    let well_known = PUBLIC_NODES.map(str::to_owned).to_vec();
    let show_list = |list: &Vec<String>| list.join(",");
    let mut public_bootstrap_peers =
        r.value("public_bootstrap_peers", |text| Ok(value::list(text)), well_known, show_list)?;
    public_bootstrap_peers.retain(|_| is_public_wanted);
    let remote_multiaddr = r.optional("remote_multiaddr", value::multiaddr, Clone::clone)?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let door_address = r.value("door_address", value::socket_address, local(9120), ToString::to_string)?;
    let door_socket = r.door_socket(&cache_dir)?;
    let admin_address = r.value("admin_address", value::socket_address, local(9121), ToString::to_string)?;
    let admin_socket = r.admin_socket(&door_socket)?;
    let rules = r.rules()?;
    let origin = r.value("origin", value::origin, "https://api.github.com".to_owned(), Clone::clone)?;
    let show_more = |more: &Vec<MoreOrigin>| more.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let more_origins = r.value("more_origins", |text| value::more_origins(text, &origin), Vec::new(), show_more)?;
    let origin_timeout = r.value("origin_timeout", value::timeout, Duration::from_secs(30), show_seconds)?;
    let extra_ca = r.optional_path("extra_ca")?.map(|(path, _)| path);
    let show_bytes = |bytes: &u64| value::show_bytes(*bytes);
    let memory_bytes = r.value("memory_bytes", value::bytes, 256 << 20, show_bytes)?;
    let disk_bytes = r.value("disk_bytes", value::bytes, 4 << 30, show_bytes)?;
    let log = r.value("log", value::text, "info".to_owned(), Clone::clone)?;
    let show_format = |format: &LogFormat| if *format == LogFormat::Json { "json" } else { "text" }.to_owned();
    let log_format = r.value("log_format", value::log_format, LogFormat::Text, show_format)?;
    Ok(Config {
        enable_p2p,
        p2p_explicit,
        listen_port,
        listen_address,
        transports,
        websocket_port,
        tls_files,
        relay,
        hole_punching,
        upnp,
        bootstrap_peers,
        blocked_peers,
        default_ttl,
        proof_window,
        stale_for,
        share,
        never_cache,
        never_share,
        mode,
        cache_dir,
        shared_secret,
        shared_secret_file,
        github_token,
        github_repository,
        issue_registry,
        dns_name,
        mdns,
        peer_exchange,
        kademlia,
        public_bootstrap_peers,
        runner_name,
        role,
        seal,
        external_address,
        remote_multiaddr,
        p2p_registry_dirs,
        force_localhost,
        door_address,
        door_socket,
        admin_address,
        admin_socket,
        rules,
        origin,
        more_origins,
        origin_timeout,
        extra_ca,
        memory_bytes,
        disk_bytes,
        log,
        log_format,
        shown: r.shown,
    })
}

/// Resolves one setting after the other, and keeps what `ghoard config` shows of each.
struct Resolver<'a> {
    raw: &'a RawConfig,
    world: &'a World<'a>,
    shown: Vec<Shown>,
}

impl Resolver<'_> {
    fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
        default: T,
        show: impl FnOnce(&T) -> String,
    ) -> Result<T, ConfigError> {
        self.value_or(name, parse, || (default, Source::Default(None)), show)
    }

    fn value_or<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
        default: impl FnOnce() -> (T, Source),
        show: impl FnOnce(&T) -> String,
    ) -> Result<T, ConfigError> {
        let (value, source) = match self.parse(name, parse)? {
            Some(typed) => typed,
            None => default(),
        };
        self.show(name, Some(show(&value)), source);
        Ok(value)
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
        show: impl FnOnce(&T) -> String,
    ) -> Result<Option<T>, ConfigError> {
        let (value, source) = self.parse(name, parse)?.map_or((None, Source::Default(None)), |(v, s)| (Some(v), s));
        self.show(name, value.as_ref().map(show), source);
        Ok(value)
    }

    fn secret(&mut self, name: &'static str) -> Result<Option<(Secret, Source)>, ConfigError> {
        let Some(typed) = self.raw.get(name) else {
            self.show(name, None, Source::Default(None));
            return Ok(None);
        };
        let (secret, source) = (typed.value.trim(), typed.source.clone());
        if secret.is_empty() {
            let expected = "some text".to_owned();
            return Err(ConfigError::BadValue { name, source_: source, value: None, expected });
        }
        let secret = Secret::new(secret);
        self.show(name, Some(secret.to_string()), source.clone());
        Ok(Some((secret, source)))
    }

    fn parse<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Result<Option<(T, Source)>, ConfigError> {
        let Some(typed) = self.raw.get(name) else { return Ok(None) };
        match parse(&typed.value) {
            Ok(value) => Ok(Some((value, typed.source.clone()))),
            Err(expected) => Err(ConfigError::BadValue {
                name,
                source_: typed.source.clone(),
                // A URL with `user:password@` is refused, and must not be shown for it.
                value: Some(typed.value.clone()).filter(|value| !value.contains('@')),
                expected: expected.to_owned(),
            }),
        }
    }

    fn typed(&self, name: &'static str) -> bool {
        self.raw.get(name).is_some()
    }

    fn show(&mut self, name: &'static str, value: Option<String>, source: Source) {
        self.shown.push(Shown { name, value, source });
    }

    /// A folder or file; `~/` is the home folder, as a shell does not replace it in a variable or file.
    fn path(&self) -> impl FnOnce(&str) -> Parsed<PathBuf> + use<'_> {
        let home = self.world.variable("HOME").map(PathBuf::from);
        move |text| match (text.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => Ok(home.join(below)),
            (Some(_), None) => Err("a path without ~, as HOME is not set"),
            (None, _) if text.is_empty() => Err("a path"),
            (None, _) => Ok(PathBuf::from(text)),
        }
    }

    fn rules(&mut self) -> Result<Rules, ConfigError> {
        let show = |rules: &Rules| if *rules == Rules::Http { "http" } else { "github" }.to_owned();
        let rules = self.value("rules", value::rules, Rules::GitHub, show)?;
        if rules == Rules::Http && !self.typed("origin") {
            let source = self.raw.get("rules").map_or(Source::Default(None), |typed| typed.source.clone());
            let expected = "origin to be set, too: http is for any origin but GitHub".to_owned();
            return Err(ConfigError::BadValue { name: "rules", source_: source, value: None, expected });
        }
        Ok(rules)
    }

    fn proof_window(&mut self, default_ttl: Option<Duration>) -> Result<Duration, ConfigError> {
        let default = || match default_ttl {
            Some(ttl) => (ttl, Source::Default(Some("as default_ttl"))),
            None => (Duration::from_secs(60), Source::Default(None)),
        };
        self.value_or("proof_window", value::seconds, default, show_seconds)
    }

    fn cache_dir(&mut self) -> Result<PathBuf, ConfigError> {
        let name = "cache_dir";
        let (path, source) = match self.parse(name, self.path())? {
            Some(typed) => typed,
            None => {
                let folder = self.world.folder("XDG_CACHE_HOME", ".cache").ok_or(ConfigError::NoHome { name })?;
                (folder.join("ghoard"), Source::Default(None))
            }
        };
        self.show(name, Some(path.display().to_string()), source);
        Ok(path)
    }

    fn runner_name(&mut self) -> Result<String, ConfigError> {
        let host = (self.world.read_file)(Path::new("/proc/sys/kernel/hostname")).ok();
        let host = host.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let default = || (host.unwrap_or_else(|| "localhost".to_owned()), Source::Default(Some("the host name")));
        self.value_or("runner_name", value::text, default, Clone::clone)
    }

    fn role(&mut self) -> Result<Role, ConfigError> {
        let show = |role: &Role| format!("{role:?}").to_ascii_lowercase();
        let (role, source) = match self.parse("role", value::role)? {
            Some((Some(role), source)) => (role, source),
            // `auto`, typed or not.
            auto => {
                match value::CI_JOBS.iter().find(|(name, says_so)| self.world.variable(name).is_some_and(says_so)) {
                    Some((name, _)) => (Role::Ephemeral, Source::Default(Some(name))),
                    None => (Role::Node, auto.map_or(Source::Default(None), |(_, source)| source)),
                }
            }
        };
        self.show("role", Some(show(&role)), source);
        Ok(role)
    }

    /// The certificate without its key, or the other way round, is a mistake.
    fn tls_files(&mut self) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
        let certificate = self.optional_path("tls_cert_file")?;
        let key = self.optional_path("tls_key_file")?;
        let alone = |name, source_, other: &str| {
            let expected = format!("{other} to be set, too");
            Err(ConfigError::BadValue { name, source_, value: None, expected })
        };
        match (certificate, key) {
            (Some((certificate, _)), Some((key, _))) => Ok(Some((certificate, key))),
            (Some((_, source)), None) => alone("tls_cert_file", source, "tls_key_file"),
            (None, Some((_, source))) => alone("tls_key_file", source, "tls_cert_file"),
            (None, None) => Ok(None),
        }
    }

    fn relay(&mut self, role: Role) -> Result<RelayServer, ConfigError> {
        let default = || match role {
            Role::Anchor => (RelayServer::On, Source::Default(Some("as this is an anchor"))),
            Role::Node | Role::Ephemeral => (RelayServer::Auto, Source::Default(None)),
        };
        let show = |relay: &RelayServer| format!("{relay:?}").to_ascii_lowercase();
        self.value_or("relay", value::relay, default, show)
    }

    /// A job's machine is gone long before the router forgets the port.
    fn upnp(&mut self, role: Role) -> Result<bool, ConfigError> {
        let default = || match role {
            Role::Ephemeral => (false, Source::Default(Some("as this machine lives for minutes"))),
            Role::Anchor | Role::Node => (true, Source::Default(None)),
        };
        self.value_or("upnp", value::switch, default, ToString::to_string)
    }

    /// Off is refused together with the registry in an issue, which strangers may read. Actions sets
    /// `GITHUB_REPOSITORY` in every job; that is not asking for the registry.
    fn seal(&mut self) -> Result<bool, ConfigError> {
        let show = |is_on: &bool| if *is_on { "on" } else { "off" }.to_owned();
        let seal = self.value("seal", value::seal, true, show)?;
        let registry = self.raw.get("github_repository").map(|typed| &typed.source);
        let is_asked_for =
            registry.is_some_and(|source| !matches!(source, Source::Variable(name) if name == "GITHUB_REPOSITORY"));
        match self.raw.get("seal").filter(|_| !seal && is_asked_for) {
            Some(typed) => {
                let source_ = typed.source.clone();
                let expected = "on, as github_repository is set: its registry is for sealed records only".to_owned();
                Err(ConfigError::BadValue { name: "seal", source_, value: Some(typed.value.clone()), expected })
            }
            None => Ok(seal),
        }
    }

    /// Actions sets `GITHUB_REPOSITORY` in every job.
    fn is_repository_of_a_job(&self) -> bool {
        let source = self.raw.get("github_repository").map(|typed| &typed.source);
        let is_variable = matches!(source, Some(Source::Variable(name)) if name == "GITHUB_REPOSITORY");
        is_variable && self.world.variable("GITHUB_ACTIONS") == Some("true")
    }

    fn registry_dirs(&mut self) -> Result<Vec<PathBuf>, ConfigError> {
        let name = "p2p_registry_dir";
        if let Some((path, source)) = self.parse(name, self.path())? {
            let is_off = path.as_os_str() == "off";
            self.show(name, Some(path.display().to_string()), source);
            return Ok(if is_off { Vec::new() } else { vec![path] });
        }
        let folders = discovery::default_dirs(self.world.variable("HOME").map(Path::new));
        self.show(name, folders.first().map(show_path), Source::Default(None));
        Ok(folders)
    }

    fn door_socket(&mut self, cache_dir: &Path) -> Result<PathBuf, ConfigError> {
        let name = "door_socket";
        let (path, source) = match self.parse(name, self.path())? {
            Some(typed) => typed,
            None => {
                let runtime = self.world.variable("XDG_RUNTIME_DIR").map(Path::new).filter(|path| path.is_absolute());
                (runtime.unwrap_or(cache_dir).join("ghoard.sock"), Source::Default(None))
            }
        };
        check_socket(name, &path, &source)?;
        self.show(name, Some(show_path(&path)), source);
        Ok(path)
    }

    /// A default that is too long is no error: the other doors do not need it.
    fn admin_socket(&mut self, door_socket: &Path) -> Result<PathBuf, ConfigError> {
        let name = "admin_socket";
        let (path, source) = match self.parse(name, self.path())? {
            Some((path, source)) => {
                check_socket(name, &path, &source)?;
                (path, source)
            }
            None => {
                let mut file = door_socket.file_stem().unwrap_or_default().to_owned();
                file.push("-admin.sock");
                (door_socket.with_file_name(file), Source::Default(None))
            }
        };
        self.show(name, Some(show_path(&path)), source);
        Ok(path)
    }

    fn optional_path(&mut self, name: &'static str) -> Result<Option<(PathBuf, Source)>, ConfigError> {
        let typed = self.parse(name, self.path())?;
        let source = typed.as_ref().map_or(Source::Default(None), |(_, source)| source.clone());
        self.show(name, typed.as_ref().map(|(path, _)| show_path(path)), source);
        Ok(typed)
    }
}

fn check_socket(name: &'static str, path: &Path, source: &Source) -> Result<(), ConfigError> {
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(ConfigError::SocketPath { name, source_: source.clone(), path: path.to_owned(), bytes });
    }
    Ok(())
}

fn show_seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs())
}

fn show_path(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

fn show_external(address: &ExternalAddress) -> String {
    let shown: &dyn Display = match address {
        ExternalAddress::Ip(ip) => ip,
        ExternalAddress::Multiaddr(address) => address,
    };
    shown.to_string()
}
