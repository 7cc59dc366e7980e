//! Text into meaning, one function per kind of value. An error is what was expected instead.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use github::{Pattern, Site};
use net::{Address, Carrier, RelayServer};
use node::{Mode, Share};
use wire::Role;

/// Under which address other members reach this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExternalAddress {
    Ip(IpAddr),
    /// As typed; it starts with `/`.
    Multiaddr(String),
}

/// An origin besides the main one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MoreOrigin {
    /// Where base-URL clients reach it; `None`: at the socket only.
    pub(crate) door: Option<SocketAddr>,
    /// Without a slash at the end.
    pub(crate) url: String,
}

impl fmt::Display for MoreOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.door {
            Some(door) => write!(f, "{door}={}", self.url),
            None => f.write_str(&self.url),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// By whose rules answers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rules {
    #[default]
    GitHub,
    /// RFC 9111, for an origin that is not GitHub.
    Http,
}

pub(super) type Parsed<T> = Result<T, &'static str>;

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("true or false"),
    }
}

/// Port 0 is allowed: the system then picks one.
pub(super) fn port(text: &str) -> Parsed<u16> {
    text.trim().parse().map_err(|_| "a port from 0 to 65535")
}

/// Name and port of a service.
pub(super) fn service(text: &str) -> Parsed<(String, u16)> {
    let expected = "a name and a port, such as ghoard.default.svc:9100";
    let (name, port) = text.trim().rsplit_once(':').ok_or(expected)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match port.parse() {
        Ok(port @ 1..) if !name.is_empty() && name.chars().all(is_name) => Ok((name.to_owned(), port)),
        _ => Err(expected),
    }
}

pub(super) fn ip(text: &str) -> Parsed<IpAddr> {
    text.trim().parse().map_err(|_| "an IP address")
}

pub(super) fn socket_address(text: &str) -> Parsed<SocketAddr> {
    text.trim().parse().map_err(|_| "an IP address and port, such as 127.0.0.1:9120")
}

/// Up to a year: what is longer is most likely meant in milliseconds.
pub(super) fn seconds(text: &str) -> Parsed<Duration> {
    let expected = "whole seconds from 0 to 31536000";
    let seconds: u64 = text.trim().parse().map_err(|_| expected)?;
    if seconds > 365 * 86_400 { Err(expected) } else { Ok(Duration::from_secs(seconds)) }
}

pub(super) fn timeout(text: &str) -> Parsed<Duration> {
    seconds(text).ok().filter(|time| !time.is_zero()).ok_or("whole seconds from 1 to 31536000")
}

pub(super) fn bytes(text: &str) -> Parsed<u64> {
    let expected = "a number of bytes, such as 268435456, 256 MiB or 4 GiB";
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1_u64 << 40,
        _ => return Err(expected),
    };
    let number: u64 = text[..digits].parse().map_err(|_| expected)?;
    number.checked_mul(factor).ok_or(expected)
}

/// Trimmed, without empty ones, each once, in the order typed.
pub(super) fn list(text: &str) -> Vec<String> {
    let mut items = Vec::<String>::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !items.iter().any(|known| known == item) {
            items.push(item.to_owned());
        }
    }
    items
}

/// Each of the form that this program prints.
pub(super) fn peers(text: &str) -> Parsed<Vec<String>> {
    let all = list(text);
    let parsed = |peer: &String| format!("/ip4/127.0.0.1/tcp/1/p2p/{peer}").parse::<Address>().ok()?.peer();
    let is_peer = |peer: &String| parsed(peer).is_some_and(|parsed| parsed.as_str() == peer);
    if all.iter().all(is_peer) { Ok(all) } else { Err("peer ids, such as 12D3KooW…, comma separated") }
}

pub(super) fn share(text: &str) -> Parsed<Share> {
    match text.trim().to_ascii_lowercase().as_str() {
        "token" => Ok(Share::Token),
        "proof" => Ok(Share::Proof),
        "trusted" => Ok(Share::Trusted),
        _ => Err("token, proof or trusted"),
    }
}

pub(super) fn transports(text: &str) -> Parsed<Vec<Carrier>> {
    let expected = "some of tcp, quic and ws, comma separated";
    let known = [Carrier::Tcp, Carrier::Quic, Carrier::WebSocket];
    let named = |item: &String| known.into_iter().find(|one| one.label() == item.to_ascii_lowercase());
    let all = list(text).iter().map(named).collect::<Option<Vec<_>>>().ok_or(expected)?;
    if all.is_empty() { Err(expected) } else { Ok(all) }
}

pub(super) fn relay(text: &str) -> Parsed<RelayServer> {
    match text.trim().to_ascii_lowercase().as_str() {
        "auto" => Ok(RelayServer::Auto),
        "on" | "true" => Ok(RelayServer::On),
        "off" | "false" => Ok(RelayServer::Off),
        _ => Err("auto, on or off"),
    }
}

/// `None` is `auto`.
pub(super) fn role(text: &str) -> Parsed<Option<Role>> {
    match text.trim().to_ascii_lowercase().as_str() {
        "auto" => Ok(None),
        "anchor" => Ok(Some(Role::Anchor)),
        "ephemeral" => Ok(Some(Role::Ephemeral)),
        _ => Err("auto, anchor or ephemeral"),
    }
}

type SaysSo = fn(&str) -> bool;

/// Variables that say that this process lives for one job, and with which value. The first two are set
/// in every step of a job, whose processes end with it; the others where a runner takes one job and goes.
pub(super) static CI_JOBS: &[(&str, SaysSo)] = &[
    ("GITHUB_ACTIONS", is_true),
    ("GITLAB_CI", is_true),
    ("RUNNER_EPHEMERAL", is_true),
    ("ACTIONS_RUNNER_INPUT_JITCONFIG", |config| !config.is_empty()),
];

fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1")
}

/// Whether it is sealed.
pub(super) fn seal(text: &str) -> Parsed<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("on or off"),
    }
}

pub(super) fn mode(text: &str) -> Parsed<Mode> {
    match text.trim().to_ascii_lowercase().as_str() {
        "serve" => Ok(Mode::Serve),
        "shadow" => Ok(Mode::Shadow),
        _ => Err("serve or shadow"),
    }
}

pub(super) fn patterns(text: &str) -> Parsed<Vec<Pattern>> {
    let expected = "owner/repo, owner/* or a path such as /orgs/acme/**, comma separated";
    list(text).iter().map(|item| Pattern::parse(item).map_err(|_| expected)).collect()
}

pub(super) fn repository(text: &str) -> Parsed<String> {
    let allowed = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match text.trim().split_once('/') {
        Some((owner, repo)) if allowed(owner) && allowed(repo) => Ok(format!("{owner}/{repo}")),
        _ => Err("owner/repo"),
    }
}

pub(super) fn external_address(text: &str) -> Parsed<ExternalAddress> {
    let text = text.trim();
    match text.parse() {
        Ok(ip) if is_outside(ip) => Ok(ExternalAddress::Ip(ip)),
        Ok(_) => Err(NOT_OUTSIDE),
        Err(_) if text.starts_with('/') && !is_outside_of(text) => Err(NOT_OUTSIDE),
        Err(_) if text.starts_with('/') => Ok(ExternalAddress::Multiaddr(text.to_owned())),
        Err(_) => Err("an IP address, or a multiaddr such as /ip4/203.0.113.7/tcp/9100"),
    }
}

const NOT_OUTSIDE: &str = "an address under which others reach this machine: not 0.0.0.0, `::`, loopback or multicast";

/// What is no address at all is left for the start to say.
fn is_outside_of(address: &str) -> bool {
    address.parse::<Address>().ok().and_then(|address| address.ip()).is_none_or(is_outside)
}

/// Whether it can be the address of one machine, seen from another.
fn is_outside(ip: IpAddr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST))
}

pub(super) fn multiaddr(text: &str) -> Parsed<String> {
    let text = text.trim();
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("a multiaddr such as /ip4/203.0.113.7/tcp/9100/p2p/12D3…")
    }
}

/// Without the slash at the end.
pub(super) fn origin(text: &str) -> Parsed<String> {
    let text = text.trim().trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |rest: &str| !rest.is_empty() && !rest.contains(['@', '?', '#', ' ']) && !rest.starts_with('/');
    if rest.is_some_and(plain) {
        Ok(text.to_owned())
    } else {
        Err("a URL such as https://api.github.com, without user or query")
    }
}

/// Beside `main`. Two of one name would share their answers.
pub(super) fn more_origins(text: &str, main: &str) -> Parsed<Vec<MoreOrigin>> {
    let expected = "URLs such as https://ghes.example/api/v3, each with an address and = before it if it has a door";
    let mut names = BTreeSet::from([Site::main(main).name]);
    let mut all = Vec::new();
    for item in list(text) {
        let (door, url) = match item.split_once('=').map(|(door, url)| (door.trim().parse(), url)) {
            Some((Ok(door), url)) => (Some(door), url),
            _ => (None, item.as_str()),
        };
        let url = origin(url).map_err(|_| expected)?;
        if !names.insert(Site::other(&url).name) {
            return Err("origins with hosts that differ from each other's and from the one of `origin`");
        }
        all.push(MoreOrigin { door, url });
    }
    Ok(all)
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text.trim() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json"),
    }
}

pub(super) fn rules(text: &str) -> Parsed<Rules> {
    match text.trim() {
        "github" => Ok(Rules::GitHub),
        "http" => Ok(Rules::Http),
        _ => Err("github or http"),
    }
}

pub(super) fn text(text: &str) -> Parsed<String> {
    let text = text.trim();
    if text.is_empty() { Err("some text") } else { Ok(text.to_owned()) }
}

pub(super) fn show_bytes(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1024() {
        assert_eq!(bytes("256 MiB"), Ok(268_435_456));
        assert_eq!(bytes("4g"), Ok(4 << 30));
        assert_eq!(bytes("12"), Ok(12));
        for bad in ["", "MiB", "-1", "1.5 GiB", "1 MB", "99999999999 TiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(show_bytes(256 << 20), "256 MiB");
        assert_eq!(show_bytes(1000), "1000");
    }

    #[test]
    fn a_list_is_trimmed_and_each_item_kept_once() {
        assert_eq!(list(" /a , ,/b,/a,"), ["/a", "/b"]);
        assert!(list("").is_empty());
    }

    #[test]
    fn a_service_is_a_name_and_a_port() {
        assert_eq!(service("ghoard.default.svc:9100"), Ok(("ghoard.default.svc".to_owned(), 9100)));
        for bad in ["", "ghoard", "ghoard:", ":9100", "ghoard:0", "a b:1", "/dns4/a:1", "ghoard:99999"] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repository_is_owner_slash_repo() {
        assert_eq!(repository("octocat/Hello-World"), Ok("octocat/Hello-World".to_owned()));
        for bad in ["", "octocat", "a/b/c", "/b", "a/", "a/..", "https://github.com/a/b", "a b/c"] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn further_origins_have_names_and_maybe_doors() {
        let main = "https://api.github.com";
        let text = "127.0.0.1:9200=https://ghes.example/api/v3/, https://api.acme.ghe.com";
        let all = more_origins(text, main).unwrap();
        assert_eq!(
            all.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1:9200=https://ghes.example/api/v3", "https://api.acme.ghe.com"]
        );
        for bad in [
            "https://api.github.com/",
            "https://a.b,https://A.b/api/v3",
            "9200=https://a.b",
            "x=https://a.b",
            "https://u:p@a.b",
        ] {
            assert!(more_origins(bad, main).is_err(), "{bad}");
        }
        assert!(more_origins(main, "https://ghes.example/api/v3").is_ok());
    }

    #[test]
    fn an_origin_is_a_plain_base_url() {
        assert_eq!(origin("https://ghe.example/api/v3/"), Ok("https://ghe.example/api/v3".to_owned()));
        for bad in ["", "api.github.com", "ftp://x", "https://", "https://user:pass@host", "https://host/?q"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
