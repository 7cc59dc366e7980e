use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use libp2p::PeerId;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use wire::{Peer, SignedPeer};

use crate::{
    Address, Config, ConnectionClass, Counters, EventStream, GossipId, Limits, PeerInfo, PullError, PullStream,
    ReachInfo, StartError, Transports, Verdict,
    behaviour::streams::{Kind, Open},
    counters::Meters,
    driver, frames,
    identity::id_of,
    limits::FRAME_BYTES_MAX,
    outbox,
    peers::Peers,
    reach_info::Told,
};

/// A handle to the running network; cheap to clone. The network goes down with the last one.
#[derive(Clone)]
pub struct Net(Arc<Shared>);

struct Shared {
    me: Peer,
    commands: mpsc::Sender<Command>,
    peers: Arc<Peers>,
    meters: Arc<Meters>,
    limits: Arc<Limits>,
    told: Told,
}

/// What a handle asks of the driver.
pub(crate) enum Command {
    Publish(Bytes),
    Send { peer: PeerId, data: Bytes },
    Dial(Address),
    Open { peer: PeerId, open: Open },
    Report { id: GossipId, verdict: Verdict },
    Drop { peer: PeerId, why: String },
    PublishAddress(SignedPeer),
    LookUp(PeerId),
    Shutdown(oneshot::Sender<()>),
}

impl Net {
    /// Starts a node of the network on `tasks`. `seed` feeds the gate's nonces: 32 random bytes,
    /// new at each start.
    ///
    /// Must be called in the context of the runtime that `tasks` belongs to.
    ///
    /// # Errors
    /// [`StartError`] if `config` contradicts itself. Addresses that cannot be bound are told as
    /// [`crate::Event::ListenFailed`].
    pub fn start(
        config: Config,
        transports: impl Into<Transports>,
        tasks: task::Tasks,
        seed: [u8; 32],
    ) -> Result<(Self, EventStream), StartError> {
        let me = config.identity.peer();
        let limits = Arc::new(config.limits.clone());
        let (commands, asked) = mpsc::channel(limits.commands);
        let (events, coming) = mpsc::channel(limits.events);
        let peers = Arc::new(Peers::default());
        let meters = Arc::new(Meters::default());
        let told = Told::default();
        let shared = Shared {
            me,
            told: told.clone(),
            commands,
            peers: Arc::clone(&peers),
            meters: Arc::clone(&meters),
            limits: Arc::clone(&limits),
        };
        let parts = driver::Parts { asked, commands: shared.commands.downgrade(), events, peers, meters, limits, told };
        let spawner = tasks.clone();
        let driver = driver::Driver::new(config, transports.into(), tasks, seed, parts)?;
        spawner.spawn(driver.run());
        Ok((Self(Arc::new(shared)), EventStream(coming)))
    }

    /// Who we are.
    pub fn me(&self) -> &Peer {
        &self.0.me
    }

    /// Gossips `data` to the fleet. With nobody there it is counted and forgotten.
    pub fn publish(&self, data: Bytes) {
        self.ask(Command::Publish(data));
    }

    /// Sends `data` to a connected member, in order with what was sent before. Without a
    /// connection, with a full queue, or over [`crate::limits::FRAME_BYTES_MAX`], it is dropped and
    /// counted.
    pub fn send(&self, to: &Peer, data: Bytes) {
        match id_of(to).filter(|_| data.len() <= FRAME_BYTES_MAX) {
            Some(peer) => self.ask(Command::Send { peer, data }),
            None => self.0.meters.messages_dropped.one(),
        }
    }

    /// Connects to `address`, unless that peer, or that place, is connected or being dialled. How
    /// it ended comes as an event.
    pub fn dial(&self, address: Address) {
        self.ask(Command::Dial(address));
    }

    /// Asks a connected member, and returns as soon as the request has left.
    ///
    /// # Errors
    /// [`PullError::NotConnected`] at once for anybody else; a pull never dials.
    pub async fn pull(&self, peer: &Peer, request: Bytes) -> Result<PullStream, PullError> {
        let shared = &self.0;
        let id = id_of(peer).filter(|id| shared.peers.is_member(id)).ok_or(PullError::NotConnected)?;
        let mut stream = outbox::open(&shared.commands.downgrade(), id, Kind::Pull, &shared.limits).await?;
        frames::write(&mut stream, &request, shared.limits.request_time).await?;
        shared.meters.pulls_asked.one();
        shared.meters.pull_bytes_out.many(request.len());
        Ok(PullStream::new(stream, shared.limits.stall_time, Arc::clone(&shared.meters)))
    }

    /// Asks other members to keep this node's own word of where it is; that one has heard it comes as
    /// [`crate::Event::AddressGiven`]. Nothing without [`Config::kademlia`].
    pub fn publish_address(&self, own: &SignedPeer) {
        self.ask(Command::PublishAddress(own.clone()));
    }

    /// Asks the other members where `peer` is: what is found comes as [`crate::Event::LookedUp`], from the
    /// same member perhaps several times. Nothing without [`Config::kademlia`].
    pub fn look_up(&self, peer: &Peer) {
        if let Some(peer) = id_of(peer) {
            self.ask(Command::LookUp(peer));
        }
    }

    /// Passes a gossip message on, as [`Net::report`] with [`Verdict::Accept`].
    pub fn accept_gossip(&self, id: &GossipId) {
        self.report(id, Verdict::Accept);
    }

    /// Says what a gossip message was worth. Once per message, within a few seconds: later it is
    /// forgotten, and not passed on.
    pub fn report(&self, id: &GossipId, verdict: Verdict) {
        self.ask(Command::Report { id: id.clone(), verdict });
    }

    /// Closes every connection to `peer`, telling `why` in [`crate::Event::Disconnected`]. It may
    /// come back: whom to dial or to keep out is the node's decision.
    pub fn drop_peer(&self, peer: &Peer, why: &str) {
        if let Some(peer) = id_of(peer) {
            self.ask(Command::Drop { peer, why: why.to_owned() });
        }
    }

    /// The members that are connected now, each once, inbound and outbound alike.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.0.peers.of_class(ConnectionClass::Member)
    }

    /// Their names alone, which costs less.
    pub fn members(&self) -> BTreeSet<Peer> {
        self.0.peers.members()
    }

    /// The infrastructure that is connected now.
    pub fn infrastructure(&self) -> Vec<PeerInfo> {
        self.0.peers.of_class(ConnectionClass::Infrastructure)
    }

    /// How others reach this node, as far as it knows.
    pub fn reach(&self) -> ReachInfo {
        self.0.told.read()
    }

    pub fn counters(&self) -> Counters {
        self.0.meters.read()
    }

    /// Closes all connections and stops; returns when that is done, or after a short while.
    pub async fn shutdown(&self) {
        let (done, stopped) = oneshot::channel();
        // Not lost on a full queue, unlike the others. An error says that it is down already.
        let asked = async {
            if self.0.commands.send(Command::Shutdown(done)).await.is_ok() {
                let _ = stopped.await;
            }
        };
        let _ = timeout(2 * driver::SHUTDOWN_TIME, asked).await;
    }

    fn ask(&self, command: Command) {
        if self.0.commands.try_send(command).is_err() {
            self.0.meters.commands_dropped.one();
        }
    }
}
