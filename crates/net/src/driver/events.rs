//! What the swarm reports, in the node's words.

use std::net::IpAddr;

use libp2p::{
    PeerId,
    core::ConnectedPoint,
    gossipsub, identify, mdns, ping,
    swarm::{ConnectionError, ConnectionId, SwarmEvent},
};

use super::Driver;
use crate::{
    Address, ConnectionClass, Direction, Event, GateError, GossipId, Refusal,
    address::ip_of,
    behaviour::{
        BehaviourEvent,
        streams::{Inbound, Kind},
    },
    identity::peer_of,
    limits::{AGENT_BYTES_MAX, LAN_ADDRESSES_MAX, PEER_ADDRESSES_MAX},
    links,
    peers::{Link, Subscribed},
    refusal::innermost,
};

impl Driver {
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { listener_id, address } => self.on_listening(listener_id, &address),
            SwarmEvent::ExpiredListenAddr { listener_id, address } => self.on_not_listening(listener_id, &address),
            SwarmEvent::ListenerClosed { listener_id, reason, addresses } => {
                if let Some(at) = self.listeners.iter().position(|(id, _)| *id == listener_id) {
                    addresses.iter().for_each(|address| self.on_not_listening(listener_id, address));
                    let (_, address) = self.listeners.swap_remove(at);
                    if let Err(cause) = reason {
                        self.tell(Event::ListenFailed { address, why: innermost(&cause) });
                    }
                } else {
                    self.on_reservation_lost(listener_id, reason.err());
                }
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.on_reachable(&address),
            SwarmEvent::ExternalAddrExpired { address } => self.on_unreachable(&address),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!("listener: {error}"),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.on_closed(peer_id, connection_id, cause);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                match self.dials.remove(&connection_id) {
                    Some(address) => self.dial_failed(Some(address), Refusal::of_dial(&error)),
                    // A hole punch, a dial-back: whoever began it knows.
                    None => tracing::debug!("a dial of the network's own failed: {error}"),
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                let why = Refusal::of_listen(&error);
                self.meters.refused(&why);
                // Of several attempts of a peer one gets through, and the others are given up.
                let was_beside = matches!(why, Refusal::Limit(_) | Refusal::Gate(GateError::RemoteClosed(_)));
                if was_beside && ip_of(&send_back_addr).is_some_and(|ip| self.peers.is_at(ip)) {
                    return tracing::debug!(%send_back_addr, "another connection of a connected peer: {why}");
                }
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
        let address = self.place_of(id, endpoint);
        let was_direct = self.peers.is_direct(&id);
        let link = Link::new(class, address.clone(), local_ip(endpoint), direction, links::is_dialler(endpoint));
        let first = self.peers.add(id, connection, link);
        self.on_link(id, connection, endpoint);
        if !first {
            if !was_direct && !address.is_relayed() {
                tracing::info!(%address, "Direct connection to peer: {}", peer_of(id));
                // The next message goes the better way; those that wait still go the old one.
                self.outboxes.close(&id);
            }
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
        self.on_link_closed(id, connection, is_last);
        if !is_last {
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

    /// Gossip says once per peer what it listens to: on the first connection. A peer that says it
    /// again has forgotten us, as a rule because it was started anew and we still hold a connection of
    /// its earlier life; so it was told nothing. All are closed; either side dials again, and both
    /// begin anew.
    fn start_over(&mut self, id: PeerId) {
        tracing::debug!(peer = %id, "starting over with a peer that was started anew");
        self.dropping.insert(id, "it was started anew".to_owned());
        let _ = self.swarm.disconnect_peer_id(id);
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Streams(inbound) => self.on_stream(inbound),
            BehaviourEvent::Lan(event) => self.on_lan(event),
            BehaviourEvent::Kademlia(event) => self.on_kademlia(event),
            BehaviourEvent::Identify(event) | BehaviourEvent::IdentifyOutside(event) => self.on_identify(event),
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => match result {
                Ok(rtt) => {
                    if self.peers.set_rtt(&peer, connection, rtt) && self.peers.is_member(&peer) {
                        self.mention(Event::Rtt { peer: peer_of(peer), rtt });
                    }
                }
                Err(ping::Failure::Unsupported) => {}
                Err(why) => {
                    tracing::debug!(%peer, "closing a connection that does not answer: {why}");
                    self.swarm.close_connection(connection);
                }
            },
            event => self.on_reach(event),
        }
    }

    fn on_identify(&mut self, event: identify::Event) {
        match event {
            identify::Event::Sent { peer_id, connection_id } => self.on_introduced(peer_id, connection_id),
            identify::Event::Received { peer_id, connection_id, info } => {
                self.peers.set_agent(&peer_id, printable(&info.agent_version));
                self.on_identified(peer_id, connection_id, &info);
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
            gossipsub::Event::Subscribed { peer_id, topic } if topic == self.topic.hash() => {
                match self.peers.make_ready(&peer_id) {
                    Some(Subscribed::First) => self.tell(Event::Ready { peer: peer_of(peer_id) }),
                    Some(Subscribed::Again) => self.start_over(peer_id),
                    None => {}
                }
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

/// Which of this machine's addresses a connection that came in was made to. Of one that was dialled the
/// system chose it.
fn local_ip(endpoint: &ConnectedPoint) -> Option<IpAddr> {
    match endpoint {
        ConnectedPoint::Listener { local_addr, .. } => ip_of(local_addr).filter(|ip| !ip.is_unspecified()),
        ConnectedPoint::Dialer { .. } => None,
    }
}

/// A peer's own words about itself, made safe for a log line.
fn printable(agent: &str) -> String {
    agent.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').take(AGENT_BYTES_MAX).collect()
}
