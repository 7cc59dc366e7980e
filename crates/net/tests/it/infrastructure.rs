use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, Transport, autonat,
    core::upgrade::Version,
    gossipsub, identify,
    identity::Keypair,
    noise, ping,
    swarm::{self, NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use net::{Config, Event, Identity, PullError, Reach, Refusal, RelayServer};
use tokio::{sync::mpsc, task::JoinHandle};
use wire::Peer;

use crate::harness::{config, keys, start, until};

/// A public libp2p server: no gate, and more curious than it should be.
#[derive(NetworkBehaviour)]
struct Server {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    gossip: gossipsub::Behaviour,
    autonat: autonat::v2::server::Behaviour,
}

enum Heard {
    Introduction(Box<identify::Info>),
    Ping,
    Gossip(String),
    /// We were asked to dial.
    Probe,
    Cut,
}

struct Running {
    peer: Peer,
    address: net::Address,
    heard: mpsc::UnboundedReceiver<Heard>,
    task: JoinHandle<()>,
}

async fn server(dial: Option<&net::Address>) -> Running {
    let pair = Keypair::ed25519_from_bytes([77; 32]).unwrap();
    let transport = tcp::tokio::Transport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&pair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let author = gossipsub::MessageAuthenticity::Signed(pair.clone());
    let mut gossip: gossipsub::Behaviour = gossipsub::Behaviour::new(author, gossipsub::Config::default()).unwrap();
    gossip.subscribe(&gossipsub::IdentTopic::new("fleet")).unwrap();
    let behaviour = Server {
        identify: identify::Behaviour::new(identify::Config::new("/public/1".to_owned(), pair.public())),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_millis(50))),
        gossip,
        autonat: autonat::v2::server::Behaviour::default(),
    };
    let settings = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
    let mut swarm = Swarm::new(transport, behaviour, pair.public().to_peer_id(), settings);
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address.to_string().parse().unwrap();
        }
    };
    if let Some(address) = dial {
        swarm.dial(address.to_string().parse::<Multiaddr>().unwrap()).unwrap();
    }
    let (tell, heard) = mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "the server is no part of ghoard")]
    let task = tokio::spawn(async move {
        loop {
            let heard = match swarm.select_next_some().await {
                SwarmEvent::Behaviour(ServerEvent::Identify(identify::Event::Received { info, .. })) => {
                    Heard::Introduction(Box::new(info))
                }
                SwarmEvent::Behaviour(ServerEvent::Ping(ping::Event { result: Ok(_), .. })) => Heard::Ping,
                SwarmEvent::Behaviour(ServerEvent::Gossip(gossipsub::Event::GossipsubNotSupported { .. })) => continue,
                SwarmEvent::Behaviour(ServerEvent::Gossip(event)) => Heard::Gossip(format!("{event:?}")),
                SwarmEvent::Dialing { .. } => Heard::Probe,
                SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => Heard::Cut,
                _ => continue,
            };
            if tell.send(heard).is_err() {
                return;
            }
        }
    });
    Running { peer: Identity::from_seed([77; 32]).peer(), address, heard, task }
}

const IDENTIFY_AND_PING: [&str; 3] = ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"];
/// What a relay says to whom it holds a place for.
const CIRCUIT: &str = "/libp2p/circuit/relay/0.2.0/stop";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn infrastructure_reaches_identify_and_ping_and_nothing_else() {
    hears_of(config(1, keys(7)), &IDENTIFY_AND_PING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_everything_on_infrastructure_reaches_the_relays_client_too_and_is_not_asked_to_dial_us() {
    for relay_server in [RelayServer::On, RelayServer::Auto] {
        let reach = Reach::full(relay_server, false);
        let mut settings = Config { reach, kademlia: true, ..config(1, keys(7)) };
        settings.limits.probe_interval = Duration::from_millis(20);
        hears_of(settings, &[&IDENTIFY_AND_PING[..], &[CIRCUIT]].concat()).await;
    }
}

/// A server that this node dials hears of these protocols and reaches nothing else.
async fn hears_of(mut settings: Config, expected: &[&str]) {
    let mut server = server(None).await;
    settings.infrastructure.insert(server.peer.clone());
    let mut node = start(settings);
    node.listening().await;
    node.net.dial(server.address.with_peer(&server.peer));
    node.wait("infrastructure", |event| match event {
        Event::InfrastructureUp { peer, .. } => (peer == server.peer).then_some(()),
        Event::Connected { .. } => panic!("it is no member"),
        _ => None,
    })
    .await;
    node.net.publish("for members".into());
    assert!(matches!(node.net.pull(&server.peer, "body".into()).await, Err(PullError::NotConnected)));
    node.net.send(&server.peer, "for members".into());
    until("the message is dropped", || node.net.counters().messages_dropped == 1).await;

    // Long enough for gossipsub, and AutoNAT's client, to have said something, had it been asked: ten pings.
    let (mut pings, mut identified) = (0, false);
    while pings < 10 || !identified {
        match server.heard.recv().await.unwrap() {
            Heard::Ping => pings += usize::from(identified),
            Heard::Introduction(info) => {
                identified = true;
                let heard: BTreeSet<_> = info.protocols.iter().map(AsRef::as_ref).collect();
                assert_eq!(heard, expected.iter().copied().collect());
                assert_eq!(info.listen_addrs, [], "where we are is the members' business");
                assert!(!format!("{}{}", info.agent_version, info.protocol_version).contains("ghoard"));
            }
            Heard::Probe => panic!("infrastructure was asked whether it can dial us"),
            Heard::Gossip(event) => panic!("gossip reached infrastructure: {event}"),
            Heard::Cut => panic!("infrastructure was cut"),
        }
    }
    until("the round trip is known", || node.net.infrastructure().iter().any(|peer| peer.rtt.is_some())).await;
    assert!(node.net.peers().is_empty());
    assert_eq!((node.net.counters().connects, node.net.counters().gossip_unheard), (0, 1));

    server.task.abort();
    node.wait("its end", |event| match event {
        Event::InfrastructureDown { .. } => Some(()),
        Event::Ready { .. } | Event::Disconnected { .. } => panic!("it was no member"),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn infrastructure_that_dials_us_is_a_stranger() {
    let mut settings = config(1, keys(7));
    settings.infrastructure.insert(Identity::from_seed([77; 32]).peer());
    settings.limits.gate_time = Duration::from_millis(300);
    let mut node = start(settings);
    let address = node.listening().await;
    let mut server = server(Some(&address)).await;
    let why = node
        .wait("refusal", |event| match event {
            Event::Refused { why, .. } => Some(why),
            Event::InfrastructureUp { .. } | Event::Connected { .. } => panic!("it got in"),
            _ => None,
        })
        .await;
    assert!(matches!(why, Refusal::Gate(_)), "{why:?}");
    assert!(matches!(server.heard.recv().await, Some(Heard::Cut)), "a stranger was answered");
    server.task.abort();
}
