//! The other members: whether they are found, whether they can be reached, and who refuses whom.

use std::net::SocketAddr;

use http::Method;
use net::{Address, Carrier};
use serde_json::Value;

use crate::{admin_client, checks::Report, config::Config, names, reach};

/// What the running daemon shows of its peers, if one runs.
pub(super) async fn daemon(config: &Config, report: &mut Report) -> Option<Value> {
    match admin_client::ask(config, Method::GET, "/peers", None, None).await {
        Ok(answer) => {
            report.well("daemon", format!("it runs, as {}", answer["peer_id"].as_str().unwrap_or("no member")));
            Some(answer)
        }
        Err(error) => {
            report.doubtful("daemon", error.to_string(), error.hint().unwrap_or_default());
            None
        }
    }
}

/// Whether the configured members can be reached at all.
pub(super) async fn bootstrap(config: &Config, report: &mut Report) {
    const NAME: &str = "bootstrap";
    for text in &config.bootstrap_peers {
        let places = match text.parse::<Address>() {
            Ok(address) => names::places(&address).await,
            Err(error) => Err(error.to_string()),
        };
        let places = match places {
            Ok(places) => places,
            Err(why) => {
                report.wrong(
                    NAME,
                    format!("{text}: {why}"),
                    "an address looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…",
                );
                continue;
            }
        };
        for place in places {
            if place.carrier() == Carrier::Quic {
                report.open(NAME, format!("{place}: over UDP, which only `ghoard probe` can try"));
                continue;
            }
            let Some(place) = place.ip().zip(place.port()).map(|(ip, port)| SocketAddr::new(ip, port)) else {
                continue;
            };
            match reach::tcp(place).await.trouble(place, config.external_ip()) {
                None => report.well(NAME, format!("{place} takes connections; `ghoard probe {text}` looks further")),
                Some((what, cure)) => report.wrong(NAME, what, cure),
            }
        }
    }
}

/// With nobody connected, which of the three it is: nobody found, nobody reached, or somebody refused.
pub(super) fn peers(config: &Config, daemon: Option<&Value>, report: &mut Report) {
    const NAME: &str = "peers";
    let Some(daemon) = daemon else { return };
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
    if why.contains("another shared secret") {
        return report.wrong(NAME, what, "set the same CACHE_P2P_SHARED_SECRET on both machines");
    }
    if daemon["known_peer_multiaddrs"].as_u64().unwrap_or_default() > 0 {
        return report.wrong(
            NAME,
            what,
            "`ghoard probe ADDRESS` tells where it ends; where neither side can be reached from outside, run one machine that both reach with GHOARD_ROLE=anchor",
        );
    }
    let registry = config.p2p_registry_dirs.first().map(|dir| dir.display().to_string());
    report.wrong(
        NAME,
        what,
        format!(
            "name one in CACHE_BOOTSTRAP_PEERS (it prints its address at its start), set GITHUB_REPOSITORY on both, or share the folder {}",
            registry.unwrap_or_else(|| "in IPFS_ACCELERATE_P2P_CACHE_DIR".to_owned())
        ),
    );
}
