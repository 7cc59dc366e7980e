//! How others reach this node, and over what.

use net::{Address, Carrier, Counters, ReachInfo};
use serde_json::{Map, Value, json};

/// What this node listens on.
pub(super) fn transports(listening: &[Address]) -> Value {
    let has = |carrier| listening.iter().any(|address| address.carrier() == carrier);
    json!({
        "tcp": has(Carrier::Tcp),
        "quic": has(Carrier::Quic),
        "websocket": has(Carrier::WebSocket),
        "webrtc": false,
    })
}

pub(super) fn shown(reach: &ReachInfo, counters: &Counters) -> Value {
    let circuits = reach
        .circuits
        .iter()
        .map(|circuit| json!({ "relay": circuit.relay.as_str(), "addresses": texts(&circuit.addresses) }));
    let counts = counts(counters).map(|(name, count)| (name.to_owned(), count.into()));
    json!({
        "nat": reach.nat.label(),
        "serves_relay": reach.serves_relay,
        "circuits": circuits.collect::<Vec<_>>(),
        "external_addresses": texts(&reach.external),
        "upnp": reach.upnp,
        "counts": Map::from_iter(counts),
    })
}

/// Under the names of [`Counters`].
pub(super) fn counts(counters: &Counters) -> [(&'static str, u64); 7] {
    [
        ("punches_succeeded", counters.punches_succeeded),
        ("punches_failed", counters.punches_failed),
        ("dial_backs", counters.dial_backs),
        ("reservations_served", counters.reservations_served),
        ("circuits_served", counters.circuits_served),
        ("relay_refusals", counters.relay_refusals),
        ("duplicates_closed", counters.duplicates_closed),
    ]
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
