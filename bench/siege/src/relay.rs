//! A relay that is no member: anybody's, that serves everybody.

use std::time::Duration;

use futures::StreamExt;
use libp2p::{
    PeerId, SwarmBuilder, identify,
    identity::Keypair,
    noise, ping, relay,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use task::Tasks;

use crate::Failure;

#[derive(NetworkBehaviour)]
struct Anybody {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    relay: relay::Behaviour,
}

/// Starts one, and returns its address with its name. It ends with the program.
pub(crate) async fn start() -> Result<String, Failure> {
    let mut swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|pair| {
            let me = PeerId::from(pair.public());
            let mut relay = relay::Behaviour::new(me, generous());
            relay.set_status(Some(relay::Status::Enable));
            let identify = identify::Behaviour::new(identify::Config::new("/anybody/1".to_owned(), pair.public()));
            Anybody { identify, ping: ping::Behaviour::default(), relay }
        })?
        .build();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    swarm.add_external_address(address.clone());
    let named = format!("{address}/p2p/{}", swarm.local_peer_id());
    Tasks::tokio().spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    Ok(named)
}

/// It is the node that has to defend itself, not the relay.
fn generous() -> relay::Config {
    relay::Config {
        max_circuits: 4_096,
        max_circuits_per_peer: 4_096,
        max_circuit_duration: Duration::from_secs(3_600),
        max_circuit_bytes: 0,
        reservation_rate_limiters: Vec::new(),
        circuit_src_rate_limiters: Vec::new(),
        ..relay::Config::default()
    }
}
