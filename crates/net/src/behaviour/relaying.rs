use std::{num::NonZeroU32, time::Duration};

use libp2p::{PeerId, relay};

use crate::{
    RelayServer,
    limits::{
        RELAY_CIRCUIT_BYTES_MAX, RELAY_CIRCUIT_TIME, RELAY_CIRCUITS_MAX, RELAY_CIRCUITS_PER_PEER,
        RELAY_REQUESTS_PER_MINUTE, RELAY_RESERVATION_TIME, RELAY_RESERVATIONS_MAX, RELAY_RESERVATIONS_PER_PEER,
    },
};

/// A relay for members, with limits that let a body through.
///
/// Left to itself it would serve as soon as it has any external address, and one of a circuit is one;
/// so it is told.
pub(super) fn server(me: PeerId, when: RelayServer) -> relay::Behaviour {
    let limit = NonZeroU32::new(RELAY_REQUESTS_PER_MINUTE).expect("not zero");
    let refill = Duration::from_secs(60) / RELAY_REQUESTS_PER_MINUTE;
    let config = relay::Config {
        max_reservations: RELAY_RESERVATIONS_MAX,
        max_reservations_per_peer: RELAY_RESERVATIONS_PER_PEER,
        reservation_duration: RELAY_RESERVATION_TIME,
        reservation_rate_limiters: Vec::new(),
        max_circuits: RELAY_CIRCUITS_MAX,
        max_circuits_per_peer: RELAY_CIRCUITS_PER_PEER,
        max_circuit_duration: RELAY_CIRCUIT_TIME,
        max_circuit_bytes: RELAY_CIRCUIT_BYTES_MAX,
        circuit_src_rate_limiters: Vec::new(),
    };
    let config = config.reservation_rate_per_peer(limit, refill).circuit_src_per_peer(limit, refill);
    let mut server = relay::Behaviour::new(me, config);
    server.set_status(Some(match when {
        RelayServer::On => relay::Status::Enable,
        RelayServer::Auto | RelayServer::Off => relay::Status::Disable,
    }));
    server
}
