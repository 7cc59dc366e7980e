//! The one task that owns the swarm: commands in, events out.

mod address_book;
mod events;
mod moved;
mod reach;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use libp2p::{
    PeerId, Swarm,
    core::transport::ListenerId,
    gossipsub::{IdentTopic, MessageAcceptance, PublishError},
    relay,
    swarm::{
        self, ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use self::reach::Reaching;
use crate::{
    Address, Config, Event, GateError, Limits, Refusal, StartError, Transports, Verdict,
    behaviour::{Behaviour, address_book::Shelf},
    class::Infrastructure,
    counters::Meters,
    gate::Gate,
    handle::Command,
    identity::id_of,
    inbound::Inbox,
    limits::{BACKLOG_MAX, INFRASTRUCTURE_MAX, NEGOTIATING_STREAMS_MAX},
    outbox::Outboxes,
    peers::Peers,
    reach_info::Told,
    refusal::why_deaf,
    slots::Slots,
    transport,
};

/// For closing connections on the way down.
pub(crate) const SHUTDOWN_TIME: Duration = Duration::from_secs(1);

/// What the driver shares with the handles.
pub(crate) struct Parts {
    pub(crate) asked: mpsc::Receiver<Command>,
    pub(crate) commands: mpsc::WeakSender<Command>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) told: Told,
}

pub(crate) struct Driver {
    me: PeerId,
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    infrastructure: Infrastructure,
    asked: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    /// Events that may not be lost and found no room.
    backlog: VecDeque<Event>,
    peers: Arc<Peers>,
    meters: Arc<Meters>,
    tasks: task::Tasks,
    inbox: Inbox,
    outboxes: Outboxes,
    slots: Slots,
    /// With the address that was asked for; a handful.
    listeners: Vec<(ListenerId, Address)>,
    /// Dials under way, with the place and peer that were asked for.
    dials: BTreeMap<ConnectionId, Address>,
    /// Why we are closing the connections of a peer.
    dropping: BTreeMap<PeerId, String>,
    reaching: Reaching,
    /// Of what the members' Kademlia keeps here.
    shelf: Shelf,
    /// Whom it is asked for when a question has ended.
    look_ups: VecDeque<PeerId>,
}

impl Driver {
    pub(crate) fn new(
        config: Config,
        transports: Transports,
        tasks: task::Tasks,
        seed: [u8; 32],
        parts: Parts,
    ) -> Result<Self, StartError> {
        let Parts { asked, commands, events, peers, meters, limits, told } = parts;
        let infrastructure = infrastructure(&config)?;
        let me = config.identity.peer_id();
        let (reaching, probes) = Reaching::new(&config, seed, told);
        let (circuits, relay_client) = config.reach.relay_client.then(|| relay::client::new(me)).unzip();
        let behaviour = Behaviour::new(&config, &infrastructure, relay_client, probes)?;
        let gate = Gate::new(me, config.membership, infrastructure.clone(), config.limits.clone(), seed);
        let probe = transports.probe();
        let transport = transport::gated(transports, circuits, &config.identity, Arc::new(gate), &limits)?;
        let executor = {
            let tasks = tasks.clone();
            move |work| tasks.spawn(work)
        };
        let settings = swarm::Config::with_executor(executor)
            .with_idle_connection_timeout(limits.idle_time)
            .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS_MAX);
        let mut driver = Self {
            me,
            swarm: Swarm::new(transport, behaviour, me, settings),
            topic: IdentTopic::new(&config.topic),
            infrastructure,
            asked,
            inbox: Inbox { events: events.clone(), limits: Arc::clone(&limits), meters: Arc::clone(&meters) },
            events,
            backlog: VecDeque::new(),
            peers,
            outboxes: Outboxes::new(tasks.clone(), commands, Arc::clone(&limits), Arc::clone(&meters)),
            meters,
            tasks,
            slots: Slots::new(limits.streams_per_peer, limits.streams),
            listeners: Vec::new(),
            dials: BTreeMap::new(),
            dropping: BTreeMap::new(),
            reaching,
            shelf: Shelf::default(),
            look_ups: VecDeque::new(),
        };
        // All of them before the first is bound: `[::]` is in use as soon as `0.0.0.0` is.
        let probed: Vec<_> = config.listen.iter().map(|address| (address, probe(address))).collect();
        for (address, free) in probed {
            driver.listen(address, free);
        }
        for address in &config.external {
            driver.swarm.add_external_address(address.inner().clone());
        }
        Ok(driver)
    }

    /// Runs until it is told to stop, or until nobody holds a handle.
    pub(crate) async fn run(mut self) {
        let events = self.events.clone();
        let done = loop {
            // A node that does not listen at all stops the network too, rather than let it grow.
            let keeps_up = self.backlog.len() < BACKLOG_MAX;
            let wake_at = self.reaching.wake_at();
            tokio::select! {
                biased;
                room = events.reserve(), if !self.backlog.is_empty() => match room {
                    Ok(room) => {
                        let next = self.backlog.pop_front().expect("the branch asks for one");
                        room.send(next);
                    }
                    // Nobody listens any more. The handles may still publish.
                    Err(_) => self.backlog.clear(),
                },
                command = self.asked.recv(), if keeps_up => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => {
                        self.carry_out(command);
                        // Many commands do not hold up the swarm.
                        if let Some(Some(event)) = self.swarm.next().now_or_never() {
                            self.on_swarm(event);
                        }
                    }
                    None => break None,
                },
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => self.tend(),
                event = self.swarm.select_next_some(), if keeps_up => self.on_swarm(event),
            }
        };
        Box::pin(self.close(done)).await;
    }

    fn listen(&mut self, address: &Address, free: io::Result<()>) {
        let listening = free.map_err(|cause| cause.to_string()).and_then(|()| {
            let bare = address.without_peer();
            self.swarm.listen_on(bare.inner().clone()).map_err(|error| why_deaf(&error))
        });
        match listening {
            Ok(listener) => self.listeners.push((listener, address.clone())),
            Err(why) => self.tell(Event::ListenFailed { address: address.clone(), why }),
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Publish(data) => self.publish(data),
            Command::Send { peer, data } => {
                if self.peers.is_member(&peer) {
                    self.outboxes.send(peer, data);
                } else {
                    self.meters.messages_dropped.one();
                }
            }
            Command::Dial(address) => self.dial(address),
            Command::Open { peer, open } => self.swarm.behaviour_mut().streams().open(peer, open),
            Command::Report { id, verdict } => {
                let acceptance = match verdict {
                    Verdict::Accept => MessageAcceptance::Accept,
                    Verdict::Reject => MessageAcceptance::Reject,
                    Verdict::Ignore => MessageAcceptance::Ignore,
                };
                let gossip = self.swarm.behaviour_mut().gossip();
                gossip.report_message_validation_result(&id.message, &id.from, acceptance);
                self.wake_gossip();
            }
            Command::Drop { peer, why } => {
                if self.swarm.disconnect_peer_id(peer).is_ok() {
                    tracing::info!(%peer, "dropping peer: {why}");
                    self.dropping.insert(peer, why);
                }
            }
            Command::PublishAddress(own) => self.publish_address(&own),
            Command::LookUp(peer) => self.look_up(peer),
            Command::Shutdown(_) => unreachable!("the loop ends with it"),
        }
    }

    fn publish(&mut self, data: Bytes) {
        self.meters.gossip_published.one();
        let bytes = data.len();
        match self.swarm.behaviour_mut().gossip().publish(self.topic.hash(), data) {
            Ok(_) => {
                self.meters.gossip_bytes_out.many(bytes);
                self.wake_gossip();
            }
            Err(PublishError::MessageTooLarge) => self.meters.gossip_too_large.one(),
            Err(why) => {
                self.meters.gossip_unheard.one();
                tracing::debug!("gossip reached nobody: {why}");
            }
        }
    }

    fn dial(&mut self, address: Address) {
        if !address.is_dialable_now() {
            return self.dial_failed(Some(address), Refusal::NotDialable);
        }
        // Through one relay there are many.
        let place = |address: &Address| if address.is_relayed() { address.clone() } else { address.without_peer() };
        let under_way = self.dials.values().any(|other| place(other) == place(&address));
        let place = place(&address);
        if self.swarm.listeners().any(|own| own == place.inner()) {
            return self.dial_failed(Some(address), Refusal::Gate(GateError::SelfDial));
        }
        if under_way || self.peers.dialled(&place) {
            return self.dial_failed(Some(address), Refusal::AlreadyConnected);
        }
        let options = match address.peer_id() {
            Some(peer) => DialOpts::peer_id(peer)
                // A dial to where the peer was takes long to fail; the circuit does not wait for that.
                .condition(if address.is_relayed() {
                    PeerCondition::Disconnected
                } else {
                    PeerCondition::DisconnectedAndNotDialing
                })
                .addresses(vec![address.without_peer().inner().clone()])
                .build(),
            None => DialOpts::unknown_peer_id().address(place.inner().clone()).build(),
        };
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.meters.dials.one();
                self.dials.insert(connection, address);
            }
            Err(error) => self.dial_failed(Some(address), Refusal::of_dial(&error)),
        }
    }

    fn dial_failed(&mut self, address: Option<Address>, why: Refusal) {
        self.meters.dial_failed(&why);
        let peer = address.as_ref().and_then(Address::peer);
        self.tell(Event::DialFailed { address, peer, why });
    }

    /// Tells what must not be lost.
    fn tell(&mut self, event: Event) {
        if self.backlog.is_empty() {
            match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(event)) => self.backlog.push_back(event),
            }
        } else {
            self.backlog.push_back(event);
        }
    }

    /// Tells what the node can do without; returns whether there was room.
    fn mention(&mut self, event: Event) -> bool {
        self.backlog.is_empty() && self.events.try_send(event).is_ok()
    }

    async fn close(mut self, done: Option<oneshot::Sender<()>>) {
        for (listener, _) in std::mem::take(&mut self.listeners) {
            self.swarm.remove_listener(listener);
        }
        for peer in self.peers.ids() {
            self.dropping.insert(peer, "shutting down".to_owned());
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let all_closed = async {
            while !self.peers.ids().is_empty() {
                let event = self.swarm.select_next_some().await;
                self.on_swarm(event);
            }
        };
        let _ = timeout(SHUTDOWN_TIME, all_closed).await;
        drop(self);
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

fn infrastructure(config: &Config) -> Result<Infrastructure, StartError> {
    let count = config.infrastructure.len();
    if count > INFRASTRUCTURE_MAX {
        return Err(StartError::TooMuchInfrastructure { count, max: INFRASTRUCTURE_MAX });
    }
    let ids =
        config.infrastructure.iter().map(|peer| id_of(peer).ok_or_else(|| StartError::Infrastructure(peer.clone())));
    Ok(Infrastructure(ids.collect::<Result<_, _>>()?))
}
