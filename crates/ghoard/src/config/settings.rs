//! The one table of settings: flags, variables, file keys, help and `ghoard config` all come from it.

/// One setting, in every spelling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The file key; the flag has `-` for `_`, and the variable is `GHOARD_` and this in capitals.
    pub(crate) name: &'static str,
    /// The guides' own names, in the order in which they count, after the `GHOARD_` name.
    pub(crate) guides: &'static [&'static str],
    pub(crate) kind: Kind,
    /// What holds when nobody sets it, in words for the help.
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
}

/// How a value is typed; its meaning is checked when it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`; the flag may stand alone.
    Switch,
    Number,
    Text,
    /// Comma separated; a list in the file.
    List,
    /// Text that is never shown.
    Secret,
}

impl Setting {
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    pub(crate) fn own_variable(&self) -> String {
        format!("GHOARD_{}", self.name.to_uppercase())
    }

    /// Every variable that sets it, the strongest first.
    pub(crate) fn variables(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.own_variable()).chain(self.guides.iter().map(|&name| name.to_owned()))
    }
}

/// The nodes that libp2p keeps for everybody to begin with.
pub(super) const PUBLIC_NODES: [&str; 5] = [
    "/dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
];

pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn works(
    name: &'static str,
    guides: &'static [&'static str],
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, guides, kind, default, help }
}

use Kind::{List, Number, Secret, Switch, Text};

#[rustfmt::skip]
pub(crate) static SETTINGS: &[Setting] = &[
    works("enable_p2p", &["CACHE_ENABLE_P2P"], Switch, "true",
        "Share answers with the other members; false keeps the cache on this machine"),
    works("listen_port", &["CACHE_LISTEN_PORT"], Number, "9100",
        "TCP port for other members"),
    works("listen_address", &[], Text, "0.0.0.0",
        "IP address on which other members are awaited; 0.0.0.0 or :: for all, of IPv4 and IPv6"),
    works("transports", &[], List, "tcp,quic",
        "How other members are reached: tcp, quic (UDP, the same port number) and ws (WebSocket)"),
    works("websocket_port", &[], Number, "none",
        "TCP port for members over WebSocket, for networks that let nothing else out"),
    works("tls_cert_file", &[], Text, "none",
        "File with a certificate in PEM and those that vouch for it: websocket_port then speaks TLS"),
    works("tls_key_file", &[], Text, "none",
        "File with the key of tls_cert_file, in PEM"),
    works("bootstrap_peers", &["CACHE_BOOTSTRAP_PEERS"], List, "none",
        "Multiaddrs of members to dial, comma separated"),
    works("blocked_peers", &[], List, "none",
        "Peer ids of members that this machine neither dials nor lets in, comma separated"),
    works("default_ttl", &["CACHE_DEFAULT_TTL"], Number, "what the origin says",
        "Seconds for which an answer is fresh; sets proof_window too, unless that is set by itself"),
    works("proof_window", &[], Number, "60, or default_ttl if that is set",
        "Seconds for which one 304 proves that a credential may read an answer"),
    works("stale_for", &[], Number, "3600",
        "Seconds for which an answer may be served, marked stale, while the origin limits or fails"),
    works("share", &[], Text, "proof",
        "What one credential may have of another's answers: token (nothing), proof (what GitHub confirms) or trusted (all)"),
    works("never_cache", &[], List, "none",
        "Repositories (owner/repo, owner/*) or paths (/orgs/acme/**) whose answers are never kept"),
    works("never_share", &[], List, "none",
        "The same, for answers that are kept here but never leave this machine or credential"),
    works("mode", &[], Text, "serve",
        "serve, or shadow: always ask the origin, and only count what the cache would have saved or got wrong"),
    works("cache_dir", &["CACHE_DIR", "IPFS_ACCELERATE_CACHE_DIR"], Text, "$XDG_CACHE_HOME/ghoard or ~/.cache/ghoard",
        "Folder of the durable cache"),
    works("shared_secret", &["CACHE_P2P_SHARED_SECRET"], Secret, "shared_secret_file, else github_token",
        "What makes a machine a member. A flag is visible to every user of the machine: prefer the file"),
    works("shared_secret_file", &[], Text, "none",
        "File that holds the shared secret; used when shared_secret is not set"),
    works("github_token", &["GH_TOKEN", "GITHUB_TOKEN"], Secret, "`gh auth token`, if P2P was switched on explicitly",
        "Stands in for a shared secret where none is set; never stored, logged or sent"),
    works("github_repository", &["IPFS_ACCELERATE_GITHUB_REPO", "GITHUB_REPOSITORY"], Text, "none",
        "Repository, owner/repo, in an issue of which members find each other; needs github_token"),
    works("runner_name", &["RUNNER_NAME"], Text, "the host name",
        "Name of this machine in registries; unique among the machines that share one"),
    works("role", &[], Text, "auto: ephemeral inside a CI job, else an ordinary node",
        "What this machine is to the others: anchor (lives long, can be reached), ephemeral (lives for minutes) or auto"),
    works("relay", &[], Text, "auto: on an anchor, and once others can dial this machine",
        "Whether connections of other members may run through this machine: auto, on or off"),
    works("hole_punching", &[], Switch, "true",
        "Replace connections through a relay by direct ones"),
    works("upnp", &[], Switch, "true, but false inside a CI job",
        "Ask the router to forward the port for members"),
    works("seal", &[], Text, "on",
        "off sends keys and bodies to the members as they are (the membership proof stays); alike on all machines, and not with github_repository"),
    works("external_address", &["EXTERNAL_IP", "IPFS_ACCELERATE_PUBLIC_IP", "CACHE_ADVERTISE_IP"], Text, "none",
        "IP address or multiaddr under which other members reach this one"),
    works("p2p_registry_dir", &["IPFS_ACCELERATE_P2P_CACHE_DIR"], Text, "~/.cache/p2p_peers or /tmp/ipfs_accelerate_p2p_peers",
        "Folder in which members on one host or one shared disk find each other, or off"),
    works("dns_name", &[], Text, "none",
        "Name and port of a service that stands for all members, such as ghoard.default.svc:9100"),
    works("mdns", &[], Switch, "true, but on loopback",
        "Find members on the same network, and be found there"),
    works("peer_exchange", &[], Switch, "true",
        "Tell neighbours where members are, and be told"),
    works("kademlia", &[], Switch, "false",
        "Members keep each other's signed addresses, and are asked for whom no neighbour knows"),
    works("force_localhost", &["IPFS_ACCELERATE_P2P_FORCE_LOCALHOST"], Switch, "as the registry needs it",
        "true advertises 127.0.0.1 only, false never does"),
    works("enable_public_bootstrap", &["IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP"], Switch, "false",
        "Go to public_bootstrap_peers while no other machine is known"),
    works("public_bootstrap_peers", &[], List, "those of libp2p",
        "Multiaddrs of public libp2p nodes, each with its peer id; they are no members, and never learn of any"),
    works("remote_multiaddr", &["P2P_REMOTE_MULTIADDR"], Text, "none",
        "Member that `ghoard probe` examines"),
    works("door_address", &[], Text, "127.0.0.1:9120",
        "Where clients reach the cache over TCP"),
    works("door_socket", &[], Text, "$XDG_RUNTIME_DIR/ghoard.sock or <cache_dir>/ghoard.sock",
        "Unix socket where gh reaches the cache"),
    works("admin_address", &[], Text, "127.0.0.1:9121",
        "Where counts and health are read"),
    works("admin_socket", &[], Text, "beside door_socket: ghoard-admin.sock",
        "Unix socket, for this user alone, of `ghoard why`, `invalidate` and `savings`"),
    works("rules", &[], Text, "github",
        "By whose rules answers are kept: github, or http (RFC 9111) for another origin, which then must be set"),
    works("origin", &[], Text, "https://api.github.com",
        "Base URL of the GitHub API, or with rules = http of any other origin"),
    works("more_origins", &[], List, "none",
        "Base URLs of further APIs, such as https://ghes.example/api/v3; with 127.0.0.1:9200= before it, for base-URL clients too"),
    works("origin_timeout", &[], Number, "30",
        "Seconds after which a request to the origin is given up"),
    works("extra_ca", &[], Text, "none",
        "File with CA certificates in PEM that are trusted at the origin, besides the system's"),
    works("memory_bytes", &[], Number, "256 MiB",
        "Largest size of the cache in memory"),
    works("disk_bytes", &[], Number, "4 GiB",
        "Largest size of the cache on disk"),
    works("log", &[], Text, "info",
        "What is logged: error, warn, info, debug, trace, or a filter such as info,net=debug"),
    works("log_format", &[], Text, "text",
        "text or json"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_settings_share_a_spelling() {
        let mut seen = BTreeSet::from(["GHOARD_CONFIG".to_owned(), "GHOARD_BYPASS".to_owned(), "config".to_owned()]);
        for setting in SETTINGS {
            assert!(seen.insert(setting.flag()), "{}", setting.name);
            for variable in setting.variables() {
                assert!(seen.insert(variable.clone()), "{variable}");
            }
        }
    }

    #[test]
    fn every_variable_of_the_guides_is_there() {
        let all: BTreeSet<_> = SETTINGS.iter().flat_map(|setting| setting.guides).copied().collect();
        let guides = "CACHE_ENABLE_P2P CACHE_LISTEN_PORT CACHE_BOOTSTRAP_PEERS CACHE_DEFAULT_TTL CACHE_DIR \
            IPFS_ACCELERATE_CACHE_DIR CACHE_P2P_SHARED_SECRET GITHUB_TOKEN GH_TOKEN GITHUB_REPOSITORY \
            IPFS_ACCELERATE_GITHUB_REPO RUNNER_NAME EXTERNAL_IP IPFS_ACCELERATE_PUBLIC_IP CACHE_ADVERTISE_IP \
            IPFS_ACCELERATE_P2P_CACHE_DIR IPFS_ACCELERATE_P2P_FORCE_LOCALHOST \
            IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP P2P_REMOTE_MULTIADDR";
        for name in guides.split_whitespace() {
            assert!(all.contains(name), "{name}");
        }
    }
}
