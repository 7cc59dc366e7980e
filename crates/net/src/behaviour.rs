//! What runs over a connection, and in which order it may object to one.

mod gossip;
mod lan;
mod members_only;
mod per_ip;
pub(crate) mod streams;

use libp2p::{
    connection_limits::{self, ConnectionLimits},
    identify, ping,
    swarm::NetworkBehaviour,
};

use self::{gossip::Gossip, members_only::MembersOnly, per_ip::PerIp, streams::Streams};
use crate::{Config, StartError, class::Infrastructure};

const IDENTIFY_PROTOCOL: &str = "/ghoard/id/1";

/// Those that refuse connections come first: gossip remembers each connection that it was shown,
/// and would not hear that a later one refused it.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(crate) struct Behaviour {
    per_ip: PerIp,
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    lan: lan::Lan,
    gossip: MembersOnly<Gossip>,
    streams: MembersOnly<Streams>,
}

impl Behaviour {
    pub(crate) fn new(config: &Config, infrastructure: Infrastructure) -> Result<Self, StartError> {
        let limits = &config.limits;
        let connections = ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits.pending_incoming))
            .with_max_pending_outgoing(Some(limits.pending_outgoing))
            .with_max_established(Some(limits.established))
            .with_max_established_per_peer(Some(limits.established_per_peer));
        let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), config.identity.pair().public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true)
            // Whom to dial, and where, is the node's decision.
            .with_cache_size(0);
        let ping = ping::Config::new().with_interval(limits.ping_interval).with_timeout(limits.ping_time);
        Ok(Self {
            per_ip: PerIp::new(limits.pending_per_ip),
            limits: connection_limits::Behaviour::new(connections),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            lan: lan::new(config.mdns, config.identity.peer_id()),
            gossip: MembersOnly::new(gossip::new(config)?, infrastructure.clone()),
            streams: MembersOnly::new(Streams::default(), infrastructure),
        })
    }

    pub(crate) fn gossip(&mut self) -> &mut Gossip {
        self.gossip.inner_mut()
    }

    pub(crate) fn streams(&mut self) -> &mut Streams {
        self.streams.inner_mut()
    }
}
