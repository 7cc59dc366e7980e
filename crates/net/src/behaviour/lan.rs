//! Machines of the same network that say where they are: mDNS.

use libp2p::{
    PeerId,
    mdns::{self, tokio::Behaviour as Mdns},
    swarm::behaviour::toggle::Toggle,
};

use crate::limits::MDNS_QUERY_INTERVAL;

pub(crate) type Lan = Toggle<Mdns>;

/// `None` inside where it is not wanted, or where this machine has no network that could do it: nobody is
/// found then, and nothing else is lost.
pub(crate) fn new(is_wanted: bool, me: PeerId) -> Lan {
    let config = mdns::Config { query_interval: MDNS_QUERY_INTERVAL, ..mdns::Config::default() };
    let lan = is_wanted.then(|| Mdns::new(config, me));
    let lan = lan.and_then(|lan| {
        lan.inspect_err(|error| tracing::warn!(%error, "no discovery by mDNS: the interfaces cannot be watched")).ok()
    });
    lan.into()
}
