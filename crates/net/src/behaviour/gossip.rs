use std::{collections::HashSet, time::Duration};

use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, ValidationMode, WhitelistSubscriptionFilter,
};
use sha2::{Digest, Sha256};

use crate::{Config, StartError, limits::GOSSIP_BYTES_MAX};

pub(crate) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// Gossip on the fleet's one topic, and no other.
///
/// The mesh is of five, not of gossipsub's six to twelve: measured in the simulator, a message is then
/// sent at most five times for each node.
///
/// Peers are not scored: members are proved, and scoring punishes the many behind one NAT address.
pub(super) fn new(config: &Config) -> Result<Gossip, StartError> {
    let topic = IdentTopic::new(&config.topic);
    let settings = ConfigBuilder::default()
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(GOSSIP_BYTES_MAX)
        .flood_publish(config.limits.flood_publish)
        .heartbeat_interval(Duration::from_millis(700))
        .duplicate_cache_time(Duration::from_secs(180))
        .mesh_n(5)
        .mesh_n_low(4)
        .mesh_n_high(8)
        .mesh_outbound_min(2)
        .build()
        .map_err(|cause| StartError::Gossip(cause.to_string()))?;
    let author = MessageAuthenticity::Signed(config.identity.pair().clone());
    let filter = WhitelistSubscriptionFilter(HashSet::from([topic.hash()]));
    let mut gossip = Gossip::new_with_subscription_filter(author, settings, filter)
        .map_err(|cause| StartError::Gossip(cause.to_owned()))?;
    gossip.subscribe(&topic).map_err(|cause| StartError::Gossip(cause.to_string()))?;
    Ok(gossip)
}

/// By author and sequence number, both signed: nobody who passes a message on can make two of it,
/// and the author may say the same thing again.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hash = Sha256::new();
    if let Some(source) = &message.source {
        hash.update(source.to_bytes());
    }
    match message.sequence_number {
        Some(number) => hash.update(number.to_be_bytes()),
        None => hash.update(&message.data),
    }
    MessageId::new(&hash.finalize()[..20])
}
