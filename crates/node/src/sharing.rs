//! This node's part in the fleet: the shell around `fleet`'s core.
//!
//! One task owns the core. Inputs reach it through a bounded queue and from the network's events;
//! its effects are carried out here. What a client needs of it comes back through a channel.

mod carry;
mod effects;
mod hand;
mod lease;
mod memories;
mod pulls;
mod roster;
mod running;
mod shelf;
mod waiting;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use crypto::{FleetKeys, TagKey};
use fleet::{Across, AskId, Fleet, Input, OriginTime, Outcome, Touched, Want};
use github::{Ask, Credential, Policy, Touches};
use net::{EventStream, Net};
use store::{EntryKey, Source, Space, Store, StoredRecord};
use task::Tasks;
use tokio::sync::{
    Semaphore, broadcast,
    mpsc::{self, error::TrySendError},
    watch,
};
use tracing::debug;
use wire::{Announcement, Body, Digest, KeyId, LeaseEnd, LimitNotice, Millis, Peer, Record, Role, ScopeId, Version};

use crate::{Counters, Share, budgets::Budgets, cache::now, dialler::Told, keeper::Keeper, limits};
use hand::Hand;
pub use lease::Lease;
use pulls::Brought;
use roster::Roster;
use running::Running;
pub(crate) use running::is_near;
use shelf::Job;
use waiting::{CancelOnDrop, Waiting};

/// A handle to the sharing task.
pub struct Sharing {
    pub keys: FleetKeys,
    /// `None`: a fleet of one, which still shares among the credentials of this machine.
    pub net: Option<Net>,
    pub counters: Arc<Counters>,
    pub share: Share,
    budgets: Arc<Budgets>,
    store: Arc<dyn Store>,
    /// Drops what is buried from what this machine's clients are served.
    keeper: Arc<Keeper>,
    tasks: Tasks,
    inputs: mpsc::Sender<Input>,
    shelf: mpsc::Sender<Job>,
    hand: Hand,
    waiting: Mutex<Waiting>,
    pulls: pulls::Table,
    pulls_served: Arc<Semaphore>,
    received: broadcast::Sender<(KeyId, ScopeId, Peer)>,
    sizes: watch::Sender<Sizes>,
    caught_up: AtomicBool,
    doubt_all: AtomicBool,
    pub(crate) roster: Roster,
}

/// What the core holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Answers that it knows of.
    pub index: usize,
    /// Leases that it keeps, with those who wait, and that it holds elsewhere.
    pub leases: usize,
    pub members: usize,
}

/// A record and its body, verified by its digest.
#[derive(Clone)]
pub struct Lead {
    pub record: Record,
    pub body: Body,
    pub plain: Bytes,
}

/// What the fleet says to a question.
pub enum Word {
    /// This credential was told this.
    Told(Lead),
    /// Another credential was told this, and the operator lets every member see it.
    Trusted(Lead),
    /// This credential was told this once: the origin may confirm it.
    OwnOffer(Lead),
    /// Another credential was told this: the origin may confirm it for this one, too.
    Offer(Lead),
    /// Another machine has asked with this credential, and was refused.
    Refused(Box<Announcement>),
    /// Another machine has asked, and the origin is in trouble: its status.
    Failed(u16),
    Nothing,
}

impl Sharing {
    /// Starts the task. `policy` is this node's own; what peers know of before `doubtful_until` an
    /// earlier run has dropped.
    pub fn start(
        keys: FleetKeys,
        role: Role,
        net: Option<(Net, EventStream)>,
        share: Share,
        keeper: Arc<Keeper>,
        policy: Policy,
        doubtful_until: Millis,
        tasks: &Tasks,
        counters: Arc<Counters>,
        budgets: Arc<Budgets>,
    ) -> (Arc<Self>, mpsc::Receiver<Told>) {
        let (inputs, queue) = mpsc::channel(limits::FLEET_QUEUE_MAX);
        let (told, for_dialler) = mpsc::channel(limits::FLEET_QUEUE_MAX);
        let (roster, questions) = Roster::new();
        let (shelf, jobs) = mpsc::channel(limits::SHELF_QUEUE_MAX);
        let (net, events) = net.unzip();
        let alone = net.is_none();
        let me = net.as_ref().map_or_else(|| Peer::new("this machine"), |net| net.me().clone());
        let sharing = Arc::new(Self {
            keys,
            share,
            net,
            pulls: pulls::Table::new(counters.clone()),
            counters,
            budgets,
            store: keeper.store.clone(),
            keeper,
            tasks: tasks.clone(),
            inputs,
            shelf,
            hand: Hand::default(),
            waiting: Mutex::default(),
            pulls_served: Arc::new(Semaphore::new(limits::PULLS_SERVED_MAX)),
            received: broadcast::Sender::new(limits::RECEIPTS_MAX),
            sizes: watch::Sender::default(),
            caught_up: AtomicBool::default(),
            doubt_all: AtomicBool::default(),
            roster,
        });
        if sharing.net.is_some() {
            sharing.budgets.join(&sharing);
        }
        let (proof_window, stale_for, since) = (policy.proof_window(), policy.stale_for, now());
        let mut fleet = Fleet::new(fleet::Config { me, role, since, alone, proof_window, stale_for });
        fleet.handle(Input::Doubted { date_secs: doubtful_until.as_secs() }, now());
        fleet.handle(Input::Buried { tombstones: sharing.keeper.graves.all() }, now());
        let running = Running { sharing: sharing.clone(), fleet, told, has_caught_up: false, questions };
        tasks.spawn(running.run(queue, events));
        tasks.spawn(shelf::run(Arc::downgrade(&sharing), jobs));
        (sharing, for_dialler)
    }

    /// Asks the fleet what it knows for this credential; the body is verified.
    ///
    /// With `claim`, how long the origin is expected to take, the question is claimed before the origin
    /// may be asked, and waits while another machine asks it; the lease goes with what then comes.
    pub async fn ask(
        self: &Arc<Self>,
        ask: &Ask,
        want: Want,
        across: Across,
        known: Option<Version>,
        claim: Option<OriginTime>,
    ) -> (Word, Option<Lease>) {
        let credential = ask.credential.as_ref().map(Credential::reveal);
        let (key, scope) = (self.keys.ids.key_id(&ask.key()), self.keys.ids.scope_id(credential));
        self.ask_for(key, scope, credential.map(TagKey::of), want, across, known, claim).await
    }

    /// Whether the body of what this credential was told elsewhere has just come inside an announce.
    pub fn is_at_hand(&self, ask: &Ask) -> bool {
        let credential = ask.credential.as_ref().map(Credential::reveal);
        self.hand.has((self.keys.ids.key_id(&ask.key()), self.keys.ids.scope_id(credential)))
    }

    pub(crate) async fn ask_for(
        self: &Arc<Self>,
        key: KeyId,
        scope: ScopeId,
        tag_key: Option<TagKey>,
        want: Want,
        across: Across,
        known: Option<Version>,
        claim: Option<OriginTime>,
    ) -> (Word, Option<Lease>) {
        let (id, answer) = self.waiting.lock().expect("no panic while held").wait();
        let _cancel = CancelOnDrop { sharing: self, ask: id };
        let asked = Input::Asked { ask: id, key, scope, tag_key, want, across, known, claim };
        if self.inputs.try_send(asked).is_err() {
            return (Word::Nothing, None);
        }
        let lease = claim.map(|_| Lease::new(self.clone(), id));
        let patience = limits::FLEET_ANSWER_MAX + claim.unwrap_or_default().longest;
        let Ok(Ok((outcome, brought))) = tokio::time::timeout(patience, answer).await else {
            return (Word::Nothing, lease);
        };
        let (record, word): (Record, fn(Lead) -> Word) = match outcome {
            Outcome::Found { record, .. } => (record, Word::Told),
            Outcome::Trusted { record } => (record, Word::Trusted),
            Outcome::Offer { record, own: true } => (record, Word::OwnOffer),
            Outcome::Offer { record, own: false } => (record, Word::Offer),
            Outcome::Nothing => return (Word::Nothing, lease),
            Outcome::Told { told } => return (Word::Refused(told), None),
            Outcome::Failed { status } => return (Word::Failed(status), None),
        };
        (self.lead((key, scope), record, brought).await.map_or(Word::Nothing, word), lease)
    }

    /// Takes the body that was pulled for this question, or has just been announced, or reads that of a
    /// record that the index says is held.
    async fn lead(&self, at: (KeyId, ScopeId), record: Record, brought: Option<Brought>) -> Option<Lead> {
        let is_it = |brought: &Brought| {
            brought.digest == record.version.digest && brought.plain.len() as u64 <= record.body_bytes
        };
        if let Some(Brought { body, plain, .. }) = brought.filter(is_it) {
            return Some(Lead { record, body, plain });
        }
        if let Some((body, plain)) = self.hand.give(at, &record) {
            return Some(Lead { record, body, plain });
        }
        let (store, digest, bytes) = (self.store.clone(), record.version.digest, record.body_bytes);
        let load = move || {
            let body = store.body(&digest).ok()??;
            let plain = body.verified(digest, bytes).ok()?;
            Some((body, plain))
        };
        let loaded = async {
            if let Some(loaded) = self.tasks.block(load.clone()).await.flatten() {
                return Some(loaded);
            }
            // It may have been announced just now, and be on its way to the store.
            self.settled().await;
            self.tasks.block(load).await.flatten()
        };
        // A disk that hangs is a disk without the body.
        match tokio::time::timeout(limits::DISK_PATIENCE, loaded).await {
            Ok(Some((body, plain))) => Some(Lead { record, body, plain }),
            Ok(None) => {
                self.tell(Input::BodyLost { digest });
                None
            }
            Err(_) => None,
        }
    }

    /// What is announced of what the origin told this credential.
    pub fn announcement(&self, ask: &Ask, mut record: Record, body: Body) -> Announcement {
        let credential = ask.credential.as_ref().map(Credential::reveal);
        let (key, scope) = (self.keys.ids.key_id(&ask.key()), self.keys.ids.scope_id(credential));
        record.family = self.keys.ids.family_id(ask.family.as_str());
        let tag = credential.map(|credential| TagKey::of(credential).tag(key, &record));
        Announcement { key, scope, record, tag, body: Some(body), holder: None }
    }

    /// Keeps for the fleet what is to be announced, and returns whether that worked: what is not held cannot
    /// be offered. Blocks on the store.
    pub fn hold(&self, announcement: &Announcement) -> bool {
        // A fleet of one reads what is kept for this machine's clients anyway.
        if self.net.is_none() {
            return true;
        }
        let Announcement { key, scope, record, tag, body, .. } = announcement.clone();
        let stored = StoredRecord { record, etag: None, source: Source::Origin, tag };
        self.store.put(Space::Fleet, EntryKey { scope, key }, stored, body).is_ok()
    }

    /// Announces what is held. Who waits for the lease is told.
    pub fn announce(&self, mut announcement: Announcement, lease: Option<Lease>) {
        let small = |body: &Body| body.encoded.len() <= wire::limits::PUSH_BYTES_MAX;
        announcement.body = announcement.body.filter(small);
        self.hand.drop_at((announcement.key, announcement.scope));
        self.tell(Input::Filled { announcement, ask: lease.and_then(Lease::answered) });
    }

    /// Keeps for the fleet what no client has asked for, and announces it.
    pub(crate) async fn share(self: &Arc<Self>, announcement: Announcement) {
        let (sharing, held) = (self.clone(), announcement.clone());
        if self.tasks.block(move || sharing.hold(&held)).await == Some(true) {
            self.announce(announcement, None);
        }
    }

    /// The origin refused this credential this: what those are told who asked with the same one.
    pub fn refusal(&self, ask: &Ask, mut record: Record, body: Body) -> Option<LeaseEnd> {
        let credential = ask.credential.as_ref().map(Credential::reveal)?;
        let (key, scope) = (self.keys.ids.key_id(&ask.key()), self.keys.ids.scope_id(Some(credential)));
        record.family = self.keys.ids.family_id(ask.family.as_str());
        let tag = Some(TagKey::of(credential).tag_refusal(key, &record));
        Some(LeaseEnd::Told(Box::new(Announcement { key, scope, record, tag, body: Some(body), holder: None })))
    }

    /// A write goes out or was answered.
    pub fn written(&self, touches: &Touches, date_secs: u64) {
        let touched = match touches {
            Touches::Everything => Touched::Everything,
            Touches::Families(families) => {
                Touched::Families(families.iter().map(|family| self.keys.ids.family_id(family.as_str())).collect())
            }
        };
        self.tell(Input::Invalidated { touched, date_secs });
    }

    /// An order of this machine's operator: what peers told up to then is doubted here, and nowhere else.
    pub fn doubt_here(&self, date_secs: u64) {
        self.tell(Input::Doubted { date_secs });
    }

    /// The origin refused the credential, or this key to it.
    pub fn denied(&self, ask: &Ask, whole_credential: bool, date_secs: u64) {
        if !whole_credential && canary::sings(canary::Bug::KeepsADeniedKey) {
            return;
        }
        let scope = self.keys.ids.scope_id(ask.credential.as_ref().map(Credential::reveal));
        let key = (!whole_credential).then(|| self.keys.ids.key_id(&ask.key()));
        self.tell(Input::Denied { scope, key, date_secs });
    }

    /// The origin said something of a budget that the others should know.
    pub(crate) fn limited(&self, notice: LimitNotice) {
        self.tell(Input::Limited { notice });
    }

    /// The origin gave another answer than the one that was offered to it.
    pub fn refuted(&self, ask: &Ask, digest: Digest) {
        self.tell(Input::Refuted { key: self.keys.ids.key_id(&ask.key()), digest });
    }

    /// The origin refused the credential, whatever it was asked.
    pub fn credential_refused(&self, credential: &Credential, date_secs: u64) {
        let scope = self.keys.ids.scope_id(Some(credential.reveal()));
        self.tell(Input::Denied { scope, key: None, date_secs });
    }

    /// Told of each record that has come from a peer.
    pub(crate) fn received(&self) -> broadcast::Receiver<(KeyId, ScopeId, Peer)> {
        self.received.subscribe()
    }

    pub fn sizes(&self) -> Sizes {
        *self.sizes.borrow()
    }

    /// Waits until this node has heard of so many answers.
    pub async fn index_reaches(&self, len: usize) {
        // Its sender is this handle's own.
        let _ = self.sizes.subscribe().wait_for(|sizes| sizes.index >= len).await;
    }

    /// Clients that wait for the core's word.
    pub fn waiting_len(&self) -> usize {
        self.waiting.lock().expect("no panic while held").answers.len()
    }

    /// Whether a neighbour has told this node what it missed, and that is kept.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }

    fn tell(&self, input: Input) {
        match self.inputs.try_send(input) {
            Ok(()) => {}
            // A doubt must not be lost: everything is doubted instead, as soon as there is time.
            Err(TrySendError::Full(Input::Invalidated { .. } | Input::Denied { .. } | Input::Doubted { .. })) => {
                self.doubt_all.store(true, Ordering::Relaxed);
            }
            Err(_) => debug!("the fleet's queue is full; an input was dropped"),
        }
    }

    fn resolve(&self, ask: AskId, outcome: Outcome) {
        let brought = self.pulls.forget(ask);
        if let Some(answer) = self.waiting.lock().expect("no panic while held").answers.remove(&ask) {
            let _ = answer.send((outcome, brought));
        }
    }
}
