use std::collections::BTreeSet;

use crypto::MembershipKeys;
use wire::Peer;

use crate::{Address, Identity, Limits};

/// What one node of the network needs to know. All of it is fixed once started.
#[derive(Clone)]
pub struct Config {
    pub identity: Identity,
    /// May be empty: such a node only dials. Port 0 takes any free port ([`crate::Event::Listening`]
    /// tells which).
    pub listen: Vec<Address>,
    /// The proof that opens the gate.
    pub membership: MembershipKeys,
    /// The one gossip topic of the fleet; others are refused.
    pub topic: String,
    /// Told to peers, as `ghoard/0.0.0`.
    pub agent: String,
    /// Peers to dial without a proof of membership; see [`crate::ConnectionClass`].
    pub infrastructure: BTreeSet<Peer>,
    /// Addresses under which others reach us although we do not listen on them (a port forward).
    pub external: Vec<Address>,
    /// Look for members on the same network, and be found there. For real networks only.
    pub mdns: bool,
    pub limits: Limits,
}

impl Config {
    /// A node that listens nowhere, with the production limits.
    pub fn new(identity: Identity, membership: MembershipKeys, topic: String) -> Self {
        Self {
            identity,
            listen: Vec::new(),
            membership,
            topic,
            agent: concat!("ghoard/", env!("CARGO_PKG_VERSION")).to_owned(),
            infrastructure: BTreeSet::new(),
            external: Vec::new(),
            mdns: false,
            limits: Limits::default(),
        }
    }
}

/// Why the network did not start. An address that cannot be bound is no such reason: it comes as
/// [`crate::Event::ListenFailed`].
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not prepare encryption with this identity: {0}")]
    Noise(String),
    #[error("could not prepare gossip: {0}")]
    Gossip(String),
    #[error("infrastructure peer {0} is not a libp2p peer id")]
    Infrastructure(Peer),
    #[error("{count} infrastructure peers exceed the limit of {max}")]
    TooMuchInfrastructure { count: usize, max: usize },
}
