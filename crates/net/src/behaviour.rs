//! What runs over a connection, and in which order it may object to one.

pub(crate) mod address_book;
mod candidates;
mod gossip;
mod lan;
mod one_class;
mod probes;
mod relaying;
pub(crate) mod streams;

use std::net::IpAddr;

use libp2p::{
    Multiaddr, PeerId, autonat,
    connection_limits::{self, ConnectionLimits},
    dcutr, identify, ping, relay,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    upnp,
};
use rand::{SeedableRng, rngs::StdRng};

pub(crate) use self::candidates::RawCandidates;
use self::{
    address_book::Kademlia, candidates::WithoutJunk, gossip::Gossip, one_class::OneClass, probes::Probes,
    streams::Streams,
};
use crate::{Config, RelayServer, StartError, class::Infrastructure};

const IDENTIFY_PROTOCOL: &str = "/ghoard/id/1";
/// What public nodes say.
const PUBLIC_IDENTIFY_PROTOCOL: &str = "ipfs/0.1.0";

/// Those that refuse connections come first: gossip remembers each connection that it was shown,
/// and would not hear that a later one refused it.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: OneClass<identify::Behaviour>,
    /// Tells others than members nothing of ours.
    identify_outside: Toggle<OneClass<identify::Behaviour>>,
    ping: ping::Behaviour,
    lan: lan::Lan,
    gossip: OneClass<Gossip>,
    streams: OneClass<Streams>,
    candidates: RawCandidates,
    /// Not for members only: a server that the operator named may be a relay.
    relay_client: Toggle<relay::client::Behaviour>,
    relay_server: Toggle<OneClass<relay::Behaviour>>,
    punch: Toggle<OneClass<WithoutJunk<dcutr::Behaviour>>>,
    /// A server that is no member could not get through our gate: it would find that nobody can dial us.
    autonat_client: Toggle<OneClass<WithoutJunk<Probes>>>,
    autonat_server: Toggle<OneClass<autonat::v2::server::Behaviour<StdRng>>>,
    upnp: Toggle<upnp::tokio::Behaviour>,
    kademlia: Toggle<OneClass<Kademlia>>,
}

impl Behaviour {
    /// `seed` feeds the nonces of AutoNAT's probes.
    pub(crate) fn new(
        config: &Config,
        infrastructure: &Infrastructure,
        relay_client: Option<relay::client::Behaviour>,
        seed: [u8; 32],
    ) -> Result<Self, StartError> {
        let (limits, reach, me) = (&config.limits, &config.reach, config.identity.peer_id());
        // It tells each connection's handler when it begins to serve, and on a circuit it has none: libp2p panics
        // (libp2p-relay 0.22), and the connection's task is gone without a word.
        let on_direct_ones = |server| OneClass::direct_members(server, infrastructure.clone());
        let relay_server = (reach.relay_server != RelayServer::Off).then(|| relaying::server(me, reach.relay_server));
        let punch = (reach.relay_client && reach.hole_punching).then(|| WithoutJunk(dcutr::Behaviour::new(me)));
        let probes = || WithoutJunk(Probes::new(StdRng::from_seed(seed), limits.probe_interval));
        let autonat_client = reach.autonat.then(|| OneClass::members(probes(), infrastructure.clone()));
        let can_dial_back = reach.relay_server == RelayServer::On || !config.external.is_empty();
        let autonat_server =
            (reach.autonat && can_dial_back).then(|| autonat::v2::server::Behaviour::new(StdRng::from_seed(seed)));
        let kademlia = config.kademlia.then(|| address_book::new(&config.topic, me));
        // Those that come to us and are not yet made are the transport's.
        let connections = ConnectionLimits::default()
            .with_max_pending_outgoing(Some(limits.pending_outgoing))
            .with_max_established(Some(limits.established))
            .with_max_established_per_peer(Some(limits.established_per_peer));
        let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), config.identity.pair().public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true)
            // Whom to dial, and where, is the node's decision.
            .with_cache_size(0);
        let outside = identify::Config::new(PUBLIC_IDENTIFY_PROTOCOL.to_owned(), config.identity.pair().public())
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        let has_outside = !infrastructure.0.is_empty();
        let outside =
            has_outside.then(|| OneClass::infrastructure(identify::Behaviour::new(outside), infrastructure.clone()));
        let ping = ping::Config::new().with_interval(limits.ping_interval).with_timeout(limits.ping_time);
        Ok(Self {
            limits: connection_limits::Behaviour::new(connections),
            identify: OneClass::members(identify::Behaviour::new(identify), infrastructure.clone()),
            identify_outside: outside.into(),
            ping: ping::Behaviour::new(ping),
            lan: lan::new(config.mdns, config.identity.peer_id()),
            gossip: OneClass::members(gossip::new(config)?, infrastructure.clone()),
            streams: OneClass::members(Streams::default(), infrastructure.clone()),
            candidates: RawCandidates::default(),
            relay_client: relay_client.into(),
            relay_server: relay_server.map(on_direct_ones).into(),
            punch: punch.map(|punch| OneClass::members(punch, infrastructure.clone())).into(),
            autonat_client: autonat_client.into(),
            autonat_server: autonat_server.map(|server| OneClass::members(server, infrastructure.clone())).into(),
            upnp: reach.upnp.then(upnp::tokio::Behaviour::default).into(),
            kademlia: kademlia.map(|book| OneClass::members(book, infrastructure.clone())).into(),
        })
    }

    /// Tells those of these peers that are members once more who we are, and where.
    pub(crate) fn introduce_again(&mut self, peers: Vec<PeerId>) {
        self.identify.inner_mut().push(peers);
    }

    pub(crate) fn gossip(&mut self) -> &mut Gossip {
        self.gossip.inner_mut()
    }

    pub(crate) fn candidates(&mut self) -> &mut RawCandidates {
        &mut self.candidates
    }

    /// Begins to serve as a relay, if it is one, or ends it; circuits that stand go on.
    pub(crate) fn serve_relay(&mut self, serves: bool) {
        if let Some(server) = self.relay_server.as_mut() {
            server.inner_mut().set_status(Some(if serves { relay::Status::Enable } else { relay::Status::Disable }));
        }
    }

    /// Asks anew whether others can dial us where that is not known, and at these addresses.
    pub(crate) fn probe_again(&mut self, doubted: &[Multiaddr]) {
        if let Some(client) = self.autonat_client.as_mut() {
            client.inner_mut().0.begin_again(doubted);
        }
    }

    /// Where others saw us is of no account any more.
    pub(crate) fn forget_candidates(&mut self, is_void: impl Fn(IpAddr) -> bool) {
        if let Some(client) = self.autonat_client.as_mut() {
            client.inner_mut().0.forget(is_void);
        }
    }

    /// `None` where it is not wanted.
    pub(crate) fn kademlia(&mut self) -> Option<&mut Kademlia> {
        self.kademlia.as_mut().map(OneClass::inner_mut)
    }

    pub(crate) fn streams(&mut self) -> &mut Streams {
        self.streams.inner_mut()
    }
}
