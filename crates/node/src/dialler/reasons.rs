use std::collections::BTreeSet;

use net::{Address, GateError, Refusal};
use tracing::{debug, warn};
use wire::Peer;

use crate::limits;

/// Names each reason for a failed connection once per address, so that a log stays readable.
#[derive(Default)]
pub struct Reasons(BTreeSet<(String, &'static str)>);

impl Reasons {
    /// Logs why a connection failed; returns the text, unless the reason is no trouble at all.
    pub fn name(
        &mut self,
        what: &'static str,
        address: Option<&Address>,
        peer: Option<&Peer>,
        why: &Refusal,
    ) -> Option<String> {
        if matches!(why, Refusal::AlreadyConnected | Refusal::Gate(GateError::SelfDial)) {
            return None;
        }
        if *why == Refusal::HungUp {
            // `ghoard doctor`, telnet, a monitor: it says nothing of why members do not come.
            let address = address.map_or_else(|| "unknown".to_owned(), ToString::to_string);
            debug!(what, address, reason = why.label(), "somebody looked whether the port is open");
            return None;
        }
        // By place, not by port: a peer that dials us comes from another port each time.
        let place = address.and_then(Address::ip).map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
        let is_new = self.0.insert((format!("{what} {place}"), why.label()));
        if self.0.len() > limits::REASONS_MAX {
            self.0.clear();
        }
        let address = address.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let peer = peer.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let text = explain(why);
        if is_new {
            warn!(what, address, peer, reason = why.label(), "no connection: {text}");
        } else {
            debug!(what, address, peer, reason = why.label(), "no connection: {text}");
        }
        Some(text)
    }
}

/// What a reason says where the gate refused, and only the operator can help.
pub const OTHER_SECRET: &str = "another shared secret";

/// What is said of an address that turns out to be this node's own.
pub const OWN_ADDRESS: &str = "this is this machine itself";

/// In the operator's words: what it means, and what to do.
fn explain(why: &Refusal) -> String {
    match why {
        Refusal::Gate(GateError::KeyMismatch) => {
            format!("key ids differ: the other side has {OTHER_SECRET}; set the same CACHE_P2P_SHARED_SECRET on both")
        }
        Refusal::NotDialable => {
            "this machine does not dial such an address: it is not of its `transports` (GHOARD_TRANSPORTS)".to_owned()
        }
        other => other.to_string(),
    }
}
