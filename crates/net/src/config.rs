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
    pub reach: Reach,
    /// Look for members on the same network, and be found there. For real networks only.
    pub mdns: bool,
    /// Keep members' address records for each other, in a Kademlia of their own. For real networks only.
    pub kademlia: bool,
    pub limits: Limits,
}

/// What a node does to reach others, and be reached, where no direct way is plain. By default
/// nothing: it dials, and listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Reservations at relays while nobody can dial us, and dials through relays.
    pub relay_client: bool,
    pub relay_server: RelayServer,
    /// Direct connections in place of circuits (DCUtR, and dialling back). Needs `relay_client`.
    pub hole_punching: bool,
    /// Asks others whether they can dial us (AutoNAT v2), and answers where others can dial us.
    pub autonat: bool,
    /// Asks the router to forward the ports. For real networks only.
    pub upnp: bool,
}

impl Reach {
    /// All of it, and UPnP only if `upnp`.
    pub fn full(relay_server: RelayServer, upnp: bool) -> Self {
        Self { relay_client: true, relay_server, hole_punching: true, autonat: true, upnp }
    }

    /// Whether anything of it is on: only then do we get several connections to a peer on purpose.
    pub(crate) fn is_any(&self) -> bool {
        *self != Self::default()
    }
}

/// Whether circuits of others run through this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayServer {
    #[default]
    Off,
    /// Once an address of this node is known to be reachable from outside.
    Auto,
    /// From the start: whatever this node listens on, others can reach.
    On,
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
            reach: Reach::default(),
            mdns: false,
            kademlia: false,
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
    #[error("could not prepare TLS for WebSocket: {0}")]
    Tls(String),
    #[error("could not prepare gossip: {0}")]
    Gossip(String),
    #[error("infrastructure peer {0} is not a libp2p peer id")]
    Infrastructure(Peer),
    #[error("{count} infrastructure peers exceed the limit of {max}")]
    TooMuchInfrastructure { count: usize, max: usize },
}
