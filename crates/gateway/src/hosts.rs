use std::{collections::BTreeMap, sync::Mutex};

use http::{HeaderMap, header};
use wire::Millis;

use crate::limits;

/// Which door a request came through: they differ in what `Host` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorKind {
    /// A client with its real host: `gh`'s `http_unix_socket`.
    Socket,
    /// A client with ghoard as its base URL.
    BaseUrl,
}

/// Hosts that GitHub's clients ask besides the API. Everything else is refused: the socket is no
/// open proxy.
const HOSTS: [&str; 7] = [
    "api.github.com",
    "codeload.github.com",
    "github.com",
    "objects.githubusercontent.com",
    "raw.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "uploads.github.com",
];

/// The same, for hosts that differ per account: logs and artifacts.
const HOST_SUFFIXES: [&str; 2] = [".actions.githubusercontent.com", ".blob.core.windows.net"];

/// The hosts that the socket reaches, learnt ones included.
#[derive(Default)]
pub struct Hosts {
    /// Host of a relayed `Location`, and until when it may be asked.
    learnt: Mutex<BTreeMap<String, Millis>>,
}

impl Hosts {
    pub fn may_reach(&self, host: &str, now: Millis) -> bool {
        HOSTS.contains(&host)
            || HOST_SUFFIXES.iter().any(|suffix| host.ends_with(suffix))
            || self.learnt.lock().expect("no panic while held").get(host).is_some_and(|until| now < *until)
    }

    /// A redirect was relayed: its target will be asked next. Names only, and https only; a literal
    /// address would let an origin point clients into this network.
    pub fn learn(&self, headers: &HeaderMap, now: Millis) {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let Some(host) = location.and_then(|location| location.strip_prefix("https://")) else { return };
        let host = host.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let is_name =
            !host.contains(['@', ':', '[']) && host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
        if !is_name || host.len() > 253 {
            return;
        }
        let mut learnt = self.learnt.lock().expect("no panic while held");
        learnt.retain(|_, until| now < *until);
        if learnt.len() < limits::LEARNT_HOSTS_MAX {
            learnt.insert(host, now.after(limits::LEARNT_HOST_LIFETIME));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_reached_by_name_or_for_a_while_after_a_redirect() {
        let hosts = Hosts::default();
        let at = Millis::from_secs;
        assert!(hosts.may_reach("github.com", at(0)) && hosts.may_reach("a.blob.core.windows.net", at(0)));
        assert!(!hosts.may_reach("example.org", at(0)) && !hosts.may_reach("evil-github.com", at(0)));

        let learn = |location: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, location.parse().unwrap());
            hosts.learn(&headers, at(0));
        };
        learn("https://files.example.org/a?b");
        assert!(hosts.may_reach("files.example.org", at(899)) && !hosts.may_reach("files.example.org", at(900)));
        for location in ["http://plain.example.org/", "https://10.0.0.1/", "https://localhost/", "https://a.b:22/"] {
            learn(location);
        }
        for host in ["plain.example.org", "10.0.0.1", "localhost", "a.b", "a.b:22"] {
            assert!(!hosts.may_reach(host, at(1)), "{host}");
        }
    }
}
