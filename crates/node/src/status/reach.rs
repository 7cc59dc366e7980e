//! How others reach this node, and over what.

use net::{Address, Carrier, Counters, Nat, ReachInfo};
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

/// What the operator can do where no way leads to this node: neither a connection of its own nor a circuit.
pub(crate) fn needs(reach: &ReachInfo) -> Option<&'static str> {
    let is_closed = reach.switches.relay_client && reach.nat == Nat::Private && reach.circuits.is_empty();
    is_closed.then_some(
        "others cannot dial this machine, and no relay holds a place for it: start a member with \
         GHOARD_ROLE=anchor that both sides can dial, or forward a port here and name it in EXTERNAL_IP",
    )
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
        "needs": needs(reach),
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

#[cfg(test)]
mod tests {
    use net::{Circuit, Identity, Reach, RelayServer};

    use super::*;

    #[test]
    fn only_who_cannot_be_reached_at_all_needs_something() {
        let switches = Reach::full(RelayServer::Auto, false);
        let closed = ReachInfo { switches, nat: Nat::Private, ..ReachInfo::default() };
        assert!(needs(&closed).is_some_and(|need| need.contains("GHOARD_ROLE=anchor")));
        let circuit = Circuit { relay: Identity::from_seed([1; 32]).peer(), addresses: Vec::new() };
        for reached in [
            ReachInfo { circuits: vec![circuit], ..closed.clone() },
            ReachInfo { nat: Nat::Public, ..closed.clone() },
            ReachInfo { nat: Nat::Unknown, ..closed.clone() },
            ReachInfo { switches: Reach::default(), ..closed },
        ] {
            assert_eq!(needs(&reached), None, "{reached:?}");
        }
    }
}
