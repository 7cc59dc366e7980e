use std::collections::BTreeSet;

use libp2p::{
    PeerId,
    core::{ConnectedPoint, Endpoint},
};

/// What a connection may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionClass {
    /// Has proved to hold the fleet's secret: everything.
    Member,
    /// A server that the operator named, dialled by us: identify, which tells it nothing of ours, ping, and the
    /// client side of circuits.
    Infrastructure,
}

/// The peers that are infrastructure when *we* dial them. One that dials us is a stranger like any
/// other: its key shows who it is, not that we want to serve it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Infrastructure(pub(crate) BTreeSet<PeerId>);

impl Infrastructure {
    pub(crate) fn class(&self, peer: &PeerId, endpoint: &ConnectedPoint) -> ConnectionClass {
        match endpoint {
            ConnectedPoint::Dialer { role_override, .. } => self.class_of_dialled(peer, *role_override),
            ConnectedPoint::Listener { .. } => ConnectionClass::Member,
        }
    }

    /// A hole punch is a dial too, but one that the other side asked for: it overrides the role,
    /// and stays gated.
    pub(crate) fn class_of_dialled(&self, peer: &PeerId, role: Endpoint) -> ConnectionClass {
        if role == Endpoint::Dialer && self.0.contains(peer) {
            ConnectionClass::Infrastructure
        } else {
            ConnectionClass::Member
        }
    }
}
