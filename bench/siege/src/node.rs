//! The node under attack: crate `net` as it is shipped, with nothing above it.

use std::time::Duration;

use crypto::{FleetKeys, MembershipKeys, Secret};
use net::{Config, Event, EventStream, Identity, Net, Reach, RelayServer, Transports, WebSocket};
use task::Tasks;

use crate::{Failure, print};

/// Where it listens: one port for each transport, and another family, so that who comes by it comes from
/// another address.
const LISTEN: [&str; 5] = [
    "/ip4/127.0.0.1/tcp/0",
    "/ip4/127.0.0.1/udp/0/quic-v1",
    "/ip4/127.0.0.1/tcp/0/ws",
    "/ip6/::1/tcp/0",
    "/ip6/::1/udp/0/quic-v1",
];
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const SEED: u8 = 1;

/// What members of the besieged fleet know.
pub(crate) fn keys() -> MembershipKeys {
    let keys = FleetKeys::derive(&Secret::generate([7; 32]));
    MembershipKeys { current: keys.membership, next: None }
}

/// Every transport there is.
pub(crate) fn transports() -> Transports {
    Transports { raw: Some(net::tcp_transport()), quic: true, websocket: Some(WebSocket::default()) }
}

/// A member of the besieged fleet that listens at these places.
pub(crate) fn member(seed: [u8; 32], listen: &[&str]) -> Result<(Net, EventStream), Failure> {
    let mut config = Config::new(Identity::from_seed(seed), keys(), "siege".to_owned());
    config.listen = listen.iter().map(|place| place.parse()).collect::<Result<_, _>>()?;
    Ok(Net::start(config, transports(), Tasks::tokio(), seed)?)
}

/// Prints where it listens, then the counters for each line that it reads, and ends with its input.
pub(crate) async fn run(relay: Option<String>) -> Result<(), Failure> {
    let mut config = Config::new(Identity::from_seed([SEED; 32]), keys(), "siege".to_owned());
    config.listen = LISTEN.iter().map(|place| place.parse()).collect::<Result<_, _>>()?;
    let relay: Option<net::Address> = relay.map(|text| text.parse()).transpose()?;
    if let Some(relay) = &relay {
        config.infrastructure.extend(relay.peer());
        config.reach = Reach { relay_client: true, relay_server: RelayServer::Off, ..Reach::default() };
    }
    let (net, mut events) = Net::start(config, transports(), Tasks::tokio(), [SEED; 32])?;
    let mut open = LISTEN.len();
    while let Some(event) = events.next().await {
        if let Event::Listening { address, .. } = event {
            print(&format!("listening {}", address.with_peer(net.me())));
            open -= 1;
        }
        if open == 0 {
            break;
        }
    }
    Tasks::tokio().spawn(async move { while events.next().await.is_some() {} });
    if let Some(relay) = relay {
        net.dial(relay);
        print(&format!("listening {}", circuit(&net).await));
    }
    print("ready");
    let answers = Tasks::tokio().block(move || {
        for line in std::io::stdin().lines() {
            line?;
            let counters = net.counters();
            let refused: u64 = counters.refusals.values().sum();
            print(&format!("counters {} {refused} {}", counters.connects, counters.messages_received));
        }
        Ok(())
    });
    answers.await.unwrap_or(Ok(()))
}

/// Waits for a place at the relay.
async fn circuit(net: &Net) -> net::Address {
    loop {
        let circuits = net.reach().circuits;
        if let Some(address) = circuits.iter().find_map(|circuit| circuit.addresses.first()) {
            return address.clone();
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
