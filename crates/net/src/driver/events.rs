//! What the swarm reports, in the node's words.

use libp2p::{
    PeerId,
    core::ConnectedPoint,
    gossipsub, identify, mdns, ping,
    swarm::{ConnectionError, ConnectionId, SwarmEvent},
};

use super::Driver;
use crate::{
    Address, ConnectionClass, Direction, Event, GossipId, Refusal,
    behaviour::{
        BehaviourEvent,
        streams::{Inbound, Kind},
    },
    identity::peer_of,
    limits::{AGENT_BYTES_MAX, LAN_ADDRESSES_MAX, PEER_ADDRESSES_MAX},
    peers::Link,
};

impl Driver {
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                let address = Address::reported(&address);
                tracing::info!("Listening on {address}");
                self.tell(Event::Listening { address });
            }
            SwarmEvent::ListenerClosed { listener_id, reason: Err(cause), .. } => {
                if let Some(at) = self.listeners.iter().position(|(id, _)| *id == listener_id) {
                    let (_, address) = self.listeners.swap_remove(at);
                    self.tell(Event::ListenFailed { address, why: cause.to_string() });
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!("listener: {error}"),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.on_closed(peer_id, connection_id, cause);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                let address = self.dials.remove(&connection_id);
                self.dial_failed(address, Refusal::of_dial(&error));
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                let why = Refusal::of_listen(&error);
                self.meters.refused(&why);
                // Strangers decide how many there are of these.
                if !self.mention(Event::Refused { address: Address::reported(&send_back_addr), why }) {
                    self.meters.events_dropped.one();
                }
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        self.dials.remove(&connection);
        let class = self.infrastructure.class(&id, endpoint);
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let address = Address::reported(endpoint.get_remote_address());
        let first = self.peers.add(id, connection, Link { class, address: address.clone(), direction });
        if !first {
            return;
        }
        let peer = peer_of(id);
        match class {
            ConnectionClass::Member => {
                self.meters.connects.one();
                tracing::info!(%address, ?direction, "Connected to peer: {peer}");
                self.tell(Event::Connected { peer, address, direction });
            }
            ConnectionClass::Infrastructure => {
                tracing::info!(%address, "Connected to infrastructure: {peer}");
                self.tell(Event::InfrastructureUp { peer, address });
            }
        }
    }

    fn on_closed(&mut self, id: PeerId, connection: ConnectionId, cause: Option<ConnectionError>) {
        let Some((class, is_last)) = self.peers.remove(&id, connection) else { return };
        if !is_last {
            if let (ConnectionClass::Member, Some(ConnectionError::IO(cause))) = (class, cause) {
                self.start_over(id, &cause.to_string());
            }
            return;
        }
        let peer = peer_of(id);
        let why = self.dropping.remove(&id).or(cause.map(|cause| cause.to_string()));
        let why = why.unwrap_or_else(|| "closed".to_owned());
        match class {
            ConnectionClass::Member => {
                self.meters.disconnects.one();
                self.outboxes.close(&id);
                tracing::info!("Disconnected from peer: {peer} ({why})");
                self.tell(Event::Disconnected { peer, why });
            }
            ConnectionClass::Infrastructure => {
                tracing::info!("Disconnected from infrastructure: {peer} ({why})");
                self.tell(Event::InfrastructureDown { peer });
            }
        }
    }

    /// One of several connections of a peer is dead. A peer that was started anew dials while we still
    /// hold its old connection. Gossip says once per peer what it listens to, so the new process was
    /// told nothing. All are closed; either side dials again, and both begin anew.
    fn start_over(&mut self, id: PeerId, cause: &str) {
        tracing::debug!(peer = %id, "starting over with a peer whose older connection is dead: {cause}");
        self.dropping.insert(id, format!("an older connection of it is dead: {cause}"));
        let _ = self.swarm.disconnect_peer_id(id);
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Streams(inbound) => self.on_stream(inbound),
            BehaviourEvent::Lan(event) => self.on_lan(event),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.peers.set_agent(&peer_id, printable(&info.agent_version));
                if !self.peers.is_member(&peer_id) {
                    return;
                }
                let known = info.listen_addrs.iter().take(PEER_ADDRESSES_MAX).map(Address::reported);
                self.mention(Event::Observed {
                    peer: peer_of(peer_id),
                    address: Address::reported(&info.observed_addr),
                    listening: known.filter(Address::is_known).collect(),
                });
            }
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => match result {
                Ok(rtt) => {
                    self.peers.set_rtt(&peer, rtt);
                    if self.peers.is_member(&peer) {
                        self.mention(Event::Rtt { peer: peer_of(peer), rtt });
                    }
                }
                Err(ping::Failure::Unsupported) => {}
                Err(why) => {
                    tracing::debug!(%peer, "closing a connection that does not answer: {why}");
                    self.swarm.close_connection(connection);
                    if self.peers.connections(&peer) > 1 {
                        self.start_over(peer, &why.to_string());
                    }
                }
            },
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                // Strict validation lets no message without a signed author through.
                let Some(source) = message.source else { return };
                self.meters.gossip_received.one();
                self.meters.gossip_bytes_in.many(message.data.len());
                let id = GossipId { message: message_id, from: propagation_source };
                let data = message.data.into();
                if !self.mention(Event::Gossip { source: peer_of(source), data, id }) {
                    self.meters.gossip_dropped.one();
                }
            }
            gossipsub::Event::Subscribed { peer_id, topic }
                if topic == self.topic.hash() && self.peers.make_ready(&peer_id) =>
            {
                self.tell(Event::Ready { peer: peer_of(peer_id) });
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "gossip to this peer is backing up");
            }
            _ => {}
        }
    }

    /// Anybody on this network can say anything, so none of it may make the node wait.
    fn on_lan(&mut self, event: mdns::Event) {
        let (is_there, list) = match event {
            mdns::Event::Discovered(list) => (true, list),
            mdns::Event::Expired(list) => (false, list),
        };
        for (peer, address) in list.into_iter().take(LAN_ADDRESSES_MAX) {
            let (peer, address) = (peer_of(peer), Address::reported(&address));
            if address.is_known() {
                let event = if is_there { Event::Found { peer, address } } else { Event::Lost { peer, address } };
                self.mention(event);
            }
        }
    }

    fn on_stream(&mut self, Inbound { peer, kind, stream }: Inbound) {
        let Some(slot) = self.slots.take(peer) else {
            return self.meters.streams_refused.one();
        };
        let (inbox, from) = (self.inbox.clone(), peer_of(peer));
        match kind {
            Kind::Message => self.tasks.spawn(inbox.messages(from, stream, slot)),
            Kind::Pull => self.tasks.spawn(inbox.pull(from, stream, slot)),
        }
    }
}

/// A peer's own words about itself, made safe for a log line.
fn printable(agent: &str) -> String {
    agent.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').take(AGENT_BYTES_MAX).collect()
}
