use std::sync::{Arc, Mutex, PoisonError};

use wire::Peer;

use crate::{Address, Nat, Reach};

/// How others reach this node, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReachInfo {
    /// What is switched on.
    pub switches: Reach,
    pub nat: Nat,
    /// Whether circuits of others may run through this node.
    pub serves_relay: bool,
    /// The relays that hold a reservation for this node.
    pub circuits: Vec<Circuit>,
    /// Addresses that the operator named, or that a server or the router confirmed.
    pub external: Vec<Address>,
    /// Whether the router forwards a port; `None` where nobody asked, or it has not answered.
    pub upnp: Option<bool>,
}

/// A way in through a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    pub relay: Peer,
    /// For others to dial; each ends in this node's own peer.
    pub addresses: Vec<Address>,
}

/// The one that the driver writes, and anyone reads.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<ReachInfo>>);

impl Told {
    pub(crate) fn read(&self) -> ReachInfo {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn write(&self, info: ReachInfo) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = info;
    }
}
