//! The daemon, and the other members: whether they can be reached, and who refuses whom.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Method;
use net::Address;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    admin_client::{self, AdminError},
    checks::Report,
    config::Config,
    machine::ports,
    names,
    reach::{self, Door},
};

/// A daemon that takes longer to show its peers hangs.
const DAEMON_TIME: Duration = Duration::from_secs(10);

/// The daemon on this machine.
pub(super) enum Daemon {
    /// With what it shows of its peers.
    Runs(Value),
    /// It takes a question, and does not answer.
    Silent,
    None,
}

impl Daemon {
    /// Where it listens.
    fn doors(&self) -> BTreeSet<SocketAddr> {
        let Self::Runs(shown) = self else { return BTreeSet::new() };
        let listening = shown["listening"].as_array().into_iter().flatten().filter_map(Value::as_str);
        listening.filter_map(|text| Door::of(&text.parse::<Address>().ok()?)).map(|door| door.at).collect()
    }

    fn is_named_in(&self, address: &Address) -> bool {
        let Self::Runs(shown) = self else { return false };
        address.peer().is_some_and(|peer| shown["peer_id"] == peer.as_str())
    }
}

/// What the running daemon shows of its peers, if one runs.
pub(super) async fn daemon(config: &Config, report: &mut Report) -> Daemon {
    const NAME: &str = "daemon";
    match timeout(DAEMON_TIME, admin_client::ask(config, Method::GET, "/peers", None, None)).await {
        Ok(Ok(answer)) => {
            report.well(NAME, format!("it runs, as {}", answer["peer_id"].as_str().unwrap_or("no member")));
            Daemon::Runs(answer)
        }
        Ok(Err(error @ AdminError::NoDaemon { .. })) => {
            report.doubtful(NAME, error.to_string(), error.hint().unwrap_or_default());
            Daemon::None
        }
        Ok(Err(error)) => {
            report.wrong(NAME, error.to_string(), error.hint().unwrap_or_default());
            Daemon::Silent
        }
        Err(_) => {
            let error = AdminError::Late(DAEMON_TIME);
            report.wrong(NAME, error.to_string(), error.hint().unwrap_or_default());
            Daemon::Silent
        }
    }
}

/// Whether the configured members can be reached at all.
pub(super) async fn bootstrap(config: &Config, daemon: &Daemon, report: &mut Report) {
    const NAME: &str = "bootstrap";
    for text in &config.bootstrap_peers {
        let address = match text.parse::<Address>() {
            Ok(address) => address,
            Err(error) => {
                report.wrong(
                    NAME,
                    format!("{text}: {error}"),
                    "an address looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…",
                );
                continue;
            }
        };
        if !address.is_dnsaddr() && !ports::dials(config, address.carrier()) {
            let (what, cure) = ports::not_dialled(config, address.carrier());
            report.wrong(NAME, format!("{text}: {what}"), cure);
            continue;
        }
        match names::places(&address).await {
            Ok(places) => {
                for place in places {
                    examine(&place, text, config, daemon, report).await;
                }
            }
            Err(why) => report.wrong(NAME, format!("{text}: {why}"), names::cure(&address)),
        }
    }
}

async fn examine(place: &Address, text: &str, config: &Config, daemon: &Daemon, report: &mut Report) {
    const NAME: &str = "bootstrap";
    let Some(door) = Door::of(place) else { return };
    let (at, protocol) = (door.at, door.protocol.label());
    let is_own = daemon.doors().contains(&at) || daemon.is_named_in(place);
    let would_be_own = matches!(daemon, Daemon::None) && at.port() == config.listen_port && ports::is_own(at.ip());
    if !place.is_relayed() && (is_own || would_be_own) {
        return report.open(NAME, format!("{at} is this machine itself: one list for all machines may name it"));
    }
    match reach::knock(door).await.trouble(door, config.external_ip()) {
        None if place.is_relayed() => report.well(
            NAME,
            format!("the relay at {at} answers over {protocol}; whether it has a place for the machine behind it, `ghoard peers` tells"),
        ),
        None => report.well(NAME, format!("{at} answers over {protocol}; `ghoard probe {text}` looks further")),
        Some((what, cure)) => report.wrong(NAME, what, cure),
    }
}

/// With nobody connected, which of the three it is: nobody found, nobody reached, or somebody refused.
pub(super) fn peers(config: &Config, daemon: &Daemon, report: &mut Report) {
    const NAME: &str = "peers";
    let Daemon::Runs(daemon) = daemon else { return };
    if daemon["enabled"] == false {
        return report.open(NAME, "the daemon shares with no other");
    }
    let connected = daemon["connected_peer_count"].as_u64().unwrap_or_default();
    if connected > 0 {
        return report.well(NAME, format!("{connected} connected; `ghoard peers` shows them"));
    }
    // The daemon knows which it is; here is the cure.
    let why = daemon["connected_peers_why"].as_str().unwrap_or("the daemon does not say why");
    let what = format!("none connected: {why}");
    let is_found = daemon["known_peer_multiaddrs"].as_u64().unwrap_or_default() > 0;
    let cure = if why.contains("another shared secret") {
        "set the same CACHE_P2P_SHARED_SECRET on both machines".to_owned()
    } else if is_found && !why.contains("this is this machine itself") {
        "`ghoard probe ADDRESS` tells where it ends; where neither side can be reached from outside, run one machine that both reach with GHOARD_ROLE=anchor".to_owned()
    } else {
        how_to_be_found(
            config.p2p_registry_dirs.first().map(PathBuf::as_path),
            &daemon["connectivity"]["discovery"]["kinds"],
        )
    };
    report.wrong(NAME, what, cure);
}

/// The ways that are not in use yet, and work for whoever can use them.
fn how_to_be_found(folder: Option<&Path>, kinds: &Value) -> String {
    let mut ways = vec!["name one in CACHE_BOOTSTRAP_PEERS (it prints its address at its start)".to_owned()];
    if kinds["issue_registry"]["configured"] != true {
        ways.push("set GITHUB_REPOSITORY on both".to_owned());
    }
    if kinds["file"]["running"] == true {
        ways.extend(folder.map(|folder| format!("share the folder {}", folder.display())));
    } else if kinds["file"]["configured"] != true {
        ways.push("share a folder, in IPFS_ACCELERATE_P2P_CACHE_DIR".to_owned());
    }
    ways.join(", or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ways_that_are_not_in_use_are_advised() {
        let folder = Some(Path::new("/home/x/peers"));
        let broken =
            json!({ "file": { "configured": true, "running": false }, "issue_registry": { "configured": true } });
        let advice = how_to_be_found(folder, &broken);
        assert!(!advice.contains("share") && !advice.contains("GITHUB_REPOSITORY"), "{advice}");
        let fine = json!({ "file": { "configured": true, "running": true } });
        let advice = how_to_be_found(folder, &fine);
        assert!(advice.contains("share the folder /home/x/peers") && advice.contains("GITHUB_REPOSITORY"), "{advice}");
    }
}
