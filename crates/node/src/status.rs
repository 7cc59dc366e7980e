//! What a node says of itself, under the names that the guides and their dashboards use.

mod finding;
mod members;
pub(crate) mod reach;

use net::Net;
use serde_json::{Value, json};
use wire::{Millis, Peer};

use crate::{Mode, Node, cache::now};
use finding::{discovery, lonely, peer_exchange};
use members::{role_name, switch};

impl Node {
    /// Waits until this node has heard of so many answers of the fleet; without a fleet, for nothing.
    pub async fn index_reaches(&self, len: usize) {
        if let Some(sharing) = &self.sharing {
            sharing.index_reaches(len).await;
        }
    }

    /// `/api/mcp/cache/stats`: every key that the guides and the reference name, true, 0 or null.
    pub async fn stats(&self) -> Value {
        let members = self.members().await;
        let c = &self.counters;
        let store = self.store.stats();
        let hits = c.local_hits.get() + c.peer_hits.get();
        let requests = c.requests.get();
        let served = hits + c.stale.get() + c.collapsed.get();
        let hit_rate = if requests == 0 { 0.0 } else { served as f64 / requests as f64 };
        let known = self.known();
        let peers = self.net().map_or(0, |net| net.members().len());
        let mut stats = json!({
            "available": true,
            "mode": if self.mode() == Mode::Shadow { "shadow" } else { "serve" },
            "hits": hits,
            "misses": c.misses.get(),
            "peer_hits": c.peer_hits.get(),
            "local_hits": c.local_hits.get(),
            "total_hits": served,
            "total_misses": c.misses.get(),
            "total_requests": requests,
            "hit_rate": hit_rate,
            "hit_rate_percent": (hit_rate * 1000.0).round() / 10.0,
            "hit_rate_display": format!("{:.1}%", hit_rate * 100.0),
            "stale_hits": c.stale.get(),
            "expirations": store.expirations,
            "evictions": store.evictions,
            "api_calls_saved": served,
            "api_calls_made": c.origin_requests.get(),
            "api_calls_charged": c.origin_charged.get(),
            "api_calls_proofs": c.origin_proofs.get(),
            "graphql_api_calls_made": c.graphql_requests.get(),
            "graphql_cache_hits": c.graphql_hits.get(),
            "code_scanning_api_calls": 0,
            "api_call_log": [],
            "cache_size": store.entries,
            "total_entries": store.entries,
            "disk_entries": store.entries,
            "max_cache_size": null,
            "total_size_bytes": store.bytes,
            "total_size_mb": (store.bytes as f64 / 10_485.76).round() / 100.0,
            "cache_dir": self.about.cache_dir,
            "persistence": if store.degraded.is_some() || self.about.degraded.is_some() { "degraded" } else { "ok" },
            "persistence_detail": store.degraded.or_else(|| self.about.degraded.clone()),
            "damaged_entries": store.damaged,
            "damaged_cache": store.set_aside.map(|aside| format!("{}: {}", aside.path.display(), aside.why)),
            "content_addressing_available": true,
            "p2p_enabled": self.net().is_some(),
            "raw_p2p_cache_enabled": self.net().is_some(),
            "raw_p2p_cache_requested": self.about.p2p_requested,
            "p2p_transport": if self.net().is_some() { "libp2p" } else { "local-only" },
            "task_p2p_cache_enabled": false,
            "task_p2p_cache_mode": "disabled",
            "p2p_peers": peers,
            "connected_peers": peers,
            "connected_peers_why": lonely(&known, peers, self.net().is_some(), now()),
            "bootstrap_peers_configured": known.bootstrap,
            "peer_id": self.about.peer.as_ref().map(ToString::to_string),
            "known_peer_multiaddrs": known.addresses,
            "index_entries": self.index_len(),
            "aggregate": self.aggregate(&members),
            "sealing": self.sealing().map(switch),
            "role": role_name(self.about.role),
        });
        let map = stats.as_object_mut().expect("it was made as an object");
        map.extend(peer_exchange(&known));
        map.extend(c.all().into_iter().map(|(name, value)| (format!("count_{name}"), value.into())));
        stats
    }

    /// `/api/mcp/peers`.
    pub async fn peers(&self) -> Value {
        let members = self.members().await;
        let infos = self.net().map(Net::peers).unwrap_or_default();
        let counters = self.net().map(Net::counters).unwrap_or_default();
        let known = self.known();
        let enabled = self.net().is_some();
        let registry = self.registrar.as_ref().map(|registrar| registrar.status());
        let peers: Vec<Value> = infos
            .iter()
            .map(|info| {
                json!({
                    "peer_id": info.peer.as_str(),
                    "runner_name": null,
                    "listen_port": info.address.port(),
                    "last_seen": null,
                    "address": info.address.to_string(),
                    "direction": format!("{:?}", info.direction).to_lowercase(),
                    "path": members::path(info),
                    "relay": info.relay.as_ref().map(Peer::as_str),
                    "transport": info.carrier.label(),
                    "connections": info.connections,
                    "rtt_ms": info.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
                    "agent": info.agent,
                    "connected_seconds": info.since.elapsed().as_secs(),
                    "ready": info.ready,
                })
            })
            .collect();
        let reach = self.net().map(Net::reach).unwrap_or_default();
        let mut answer = json!({
            "enabled": enabled,
            "active": enabled,
            "peer_count": infos.len(),
            "connected_peer_count": infos.len(),
            "connected_peers_why": lonely(&known, infos.len(), enabled, now()),
            "registered_peer_count": known.discovered,
            "peers": peers,
            "sealing": self.sealing().map(switch),
            "members": self.member_rows(&members, &infos),
            "index_entries": self.index_len(),
            "p2p_enabled": enabled,
            "status": if enabled { "Active" } else { "Disabled" },
            "peer_id": self.about.peer.as_ref().map(ToString::to_string),
            "listening": known.listening.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "not_listening": known.not_listening,
            "known_peer_multiaddrs": known.addresses,
            "libp2p": { "available": true, "version": "0.57", "direct_url": null, "vcs_ref": null, "vcs": null },
            "connects": counters.connects,
            "disconnects": counters.disconnects,
            "dials": counters.dials,
            "dial_failures": counters.dial_failures,
            "refusals": counters.refusals,
            "failures": known.failures(now()).collect::<std::collections::BTreeMap<_, _>>(),
            "connectivity": {
                "discovered_peers": known.discovered,
                "relay_peers": reach.circuits.len(),
                "reachability": enabled.then(|| reach.nat.label()),
                "transports": reach::transports(&known.listening),
                "reach": reach::shown(&reach, &counters),
                "discovery": discovery(&known, registry.as_ref()),
                "nat_traversal": {
                    "autonat": reach.switches.autonat,
                    "hole_punching": reach.switches.hole_punching,
                    "upnp": reach.switches.upnp,
                },
                "implemented": {
                    "tcp": true, "quic": true, "websocket": true, "webrtc": false, "mdns": true, "dht": true,
                    "rendezvous": false, "pubsub": true, "floodsub": false, "relay": true, "autonat": true,
                    "hole_punching": true, "upnp": true,
                },
                "rendezvous": { "namespace": null, "peer_configured": false, "implemented": false },
            },
        });
        answer.as_object_mut().expect("it was made as an object").extend(peer_exchange(&known));
        answer
    }

    /// `/metrics`, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        let mut lines = String::new();
        let mut gauge = |kind: &str, name: &str, value: u64| {
            lines.push_str(&format!("# TYPE ghoard_{name} {kind}\nghoard_{name} {value}\n"));
        };
        for (name, value) in self.counters.all() {
            gauge("counter", &format!("{name}_total"), value);
        }
        let store = self.store.stats();
        gauge("gauge", "store_entries", store.entries);
        gauge("gauge", "store_bytes", store.bytes);
        gauge("counter", "store_evictions_total", store.evictions);
        gauge("counter", "store_expirations_total", store.expirations);
        gauge("gauge", "index_entries", self.index_len() as u64);
        if let Some(net) = self.net() {
            gauge("gauge", "connected_peers", net.members().len() as u64);
            let counters = net.counters();
            for (name, count) in reach::counts(&counters) {
                gauge("counter", &format!("{name}_total"), count);
            }
            for (kind, reasons) in [("dial_failures", counters.dial_failures), ("refusals", counters.refusals)] {
                lines.push_str(&format!("# TYPE ghoard_{kind}_total counter\n"));
                for (reason, count) in reasons {
                    lines.push_str(&format!("ghoard_{kind}_total{{reason=\"{reason}\"}} {count}\n"));
                }
            }
        }
        let budgets = self.budgets();
        for name in ["remaining", "reset_timestamp_seconds", "stopped_until_timestamp_seconds", "heard"] {
            lines.push_str(&format!("# TYPE ghoard_rate_limit_{name} gauge\n"));
            for (site, gauge) in &budgets {
                let figure = match name {
                    "remaining" => gauge.state.remaining,
                    "reset_timestamp_seconds" => gauge.state.reset.as_secs(),
                    "heard" => u64::from(gauge.heard),
                    _ => gauge.stopped_until.map_or(0, Millis::as_secs),
                };
                let (bucket, resource) = (&gauge.scope.to_string()[..8], gauge.resource.name());
                let labels = format!("site=\"{site}\",bucket=\"{bucket}\",resource=\"{resource}\"");
                lines.push_str(&format!("ghoard_rate_limit_{name}{{{labels}}} {figure}\n"));
            }
        }
        lines.push_str("# TYPE ghoard_etag_drift gauge\n");
        for route in self.drifted() {
            lines.push_str(&format!("ghoard_etag_drift{{route=\"{route:?}\"}} 1\n"));
        }
        lines
    }
}
