//! Public libp2p nodes, where the operator wants them: for a machine that knows nobody, and nothing of ours for them.

use std::{
    collections::BTreeSet,
    sync::mpsc::{Receiver, Sender, channel},
};

use futures::StreamExt;
use libp2p::{
    PeerId, Swarm, Transport,
    core::upgrade::Version,
    identify,
    identity::Keypair,
    noise, ping,
    swarm::{self, NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use crate::world::{GitHub, Machine, SECRET, Setup, wait_until};

/// A libp2p program that knows nothing of ghoard.
#[derive(NetworkBehaviour)]
struct Node {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

#[derive(Debug)]
enum Heard {
    Protocols(PeerId, Vec<String>),
    Gone(PeerId),
}

struct PublicNode {
    address: String,
    heard: Receiver<Heard>,
    /// Who has been here.
    seen: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl PublicNode {
    fn start(github: &GitHub) -> Self {
        let (tell, heard) = channel();
        let (bound, address) = channel();
        github.runtime.spawn(run(bound, tell));
        let address = address.recv().unwrap();
        Self { address, heard, seen: BTreeSet::new(), gone: BTreeSet::new() }
    }

    fn listen(&mut self) {
        for heard in self.heard.try_iter() {
            match heard {
                Heard::Protocols(peer, protocols) => {
                    let relay = "/libp2p/circuit/relay/0.2.0/stop";
                    let allowed = ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", relay];
                    assert!(protocols.iter().all(|name| allowed.contains(&name.as_str())), "{protocols:?}");
                    self.seen.insert(peer.to_string());
                }
                Heard::Gone(peer) => drop(self.gone.insert(peer.to_string())),
            }
        }
    }
}

async fn run(bound: Sender<String>, tell: Sender<Heard>) {
    let pair = Keypair::ed25519_from_bytes([78; 32]).unwrap();
    let transport = tcp::tokio::Transport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&pair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let me = pair.public().to_peer_id();
    let node = Node {
        identify: identify::Behaviour::new(identify::Config::new("/public/1".to_owned(), pair.public())),
        ping: ping::Behaviour::default(),
    };
    let mut swarm = Swarm::new(transport, node, me, swarm::Config::with_tokio_executor());
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    loop {
        let heard = match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                let _ = bound.send(format!("{address}/p2p/{me}"));
                continue;
            }
            SwarmEvent::Behaviour(NodeEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                Heard::Protocols(peer_id, info.protocols.iter().map(ToString::to_string).collect())
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => Heard::Gone(peer_id),
            _ => continue,
        };
        if tell.send(heard).is_err() {
            return;
        }
    }
}

#[test]
fn who_knows_nobody_goes_to_public_nodes_only_if_told_to_and_until_somebody_comes() {
    let github = GitHub::start();
    let mut public = PublicNode::start(&github);
    let address = public.address.clone();
    let setup = |name: &str, is_wanted: &str| {
        let setup = Setup::new(&github).member(SECRET, "off", name).env("GHOARD_PUBLIC_BOOTSTRAP_PEERS", &address);
        setup.env("IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP", is_wanted)
    };
    let (a, unwilling) = (setup("a", "1").start(), setup("unwilling", "0").start());
    let state = |machine: &Machine| {
        machine.status("/api/mcp/peers").json()["connectivity"]["discovery"]["kinds"]["public_bootstrap"].clone()
    };
    let member = setup("member", "1").env("CACHE_BOOTSTRAP_PEERS", unwilling.listening()).start();
    wait_until("a has reached the public node", || {
        public.listen();
        state(&a)["has_worked"] == true && public.seen.contains(&a.peer_id())
    });
    assert_eq!(a.stat("connected_peers"), 0, "it is no member");
    assert_eq!(state(&unwilling)["configured"], false);
    assert_eq!(public.seen.iter().collect::<Vec<_>>(), [&a.peer_id()], "nobody else had a reason");
    assert_eq!(state(&member)["has_worked"], false, "it knows somebody");

    let c = setup("c", "0").env("CACHE_BOOTSTRAP_PEERS", a.listening()).start();
    a.wait_for_peers(1);
    wait_until("a has left the public node", || {
        public.listen();
        public.gone.contains(&a.peer_id())
    });
    c.wait_for_peers(1);
}
