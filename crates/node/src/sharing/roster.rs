//! The members, as the core knows them; and how this node takes its leave of them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use fleet::{Input, MemberView};
use futures::channel::oneshot;
use tokio::sync::mpsc;
use tracing::debug;
use wire::{Announcement, Message, Peer};

use super::Sharing;
use crate::limits;

/// Who asks the core for the members.
pub type Questions = mpsc::Receiver<oneshot::Sender<Vec<MemberView>>>;

/// The way to the core for what is no question of a client.
pub struct Roster {
    questions: mpsc::Sender<oneshot::Sender<Vec<MemberView>>>,
    /// Told when this node may go.
    leaving: Mutex<Option<oneshot::Sender<()>>>,
    /// Members whose setting of `seal` is not this node's.
    other_sealing: Mutex<BTreeSet<Peer>>,
}

impl Roster {
    pub fn new() -> (Self, Questions) {
        let (questions, asked) = mpsc::channel(limits::ROSTER_QUESTIONS_MAX);
        (Self { questions, leaving: Mutex::default(), other_sealing: Mutex::default() }, asked)
    }

    /// This member's setting of `seal` is another one. Returns whether that is news.
    pub fn differs(&self, peer: &Peer) -> bool {
        let mut known = self.other_sealing.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < fleet::limits::PEERS_MAX && known.insert(peer.clone())
    }

    /// It has gone: it may come back with another setting.
    pub fn gone(&self, peer: &Peer) {
        self.other_sealing.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }

    pub fn other_sealing(&self) -> BTreeSet<Peer> {
        self.other_sealing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this node alone held is held elsewhere.
    pub fn may_go(&self) {
        if let Some(leaving) = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = leaving.send(());
        }
    }
}

impl Sharing {
    /// The other members, as this node has heard of them; empty if the core does not answer in time.
    pub async fn members(&self) -> Vec<MemberView> {
        let (answer, members) = oneshot::channel();
        if self.roster.questions.try_send(answer).is_err() {
            return Vec::new();
        }
        let members = tokio::time::timeout(limits::FLEET_ANSWER_MAX, members).await;
        members.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Tells the others that this node goes, and ends when it may: at once if it is a fleet of one.
    pub async fn leave(&self) {
        if self.net.is_none() {
            return;
        }
        let (done, may_go) = oneshot::channel();
        *self.roster.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        if self.inputs.send(Input::Leaving).await.is_ok() {
            let _ = may_go.await;
        }
    }

    /// Reads the bodies and sends them. What is not there any more, or too large, is left out.
    pub(super) fn hand_over(self: Arc<Self>, to: Peer, announcements: Vec<Announcement>) {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            debug!(%to, records = announcements.len(), "handing over what is held nowhere else");
            let store = self.store.clone();
            let load = move || {
                let (mut loaded, mut left_out) = (Vec::new(), Vec::new());
                for announcement in announcements {
                    let body = store.body(&announcement.record.version.digest).ok().flatten();
                    match body.filter(|body| body.encoded.len() <= wire::limits::PUSH_BYTES_MAX) {
                        Some(body) => loaded.push(Announcement { body: Some(body), ..announcement }),
                        None => left_out.push((announcement.key, announcement.scope)),
                    }
                }
                (loaded, left_out)
            };
            let (loaded, left_out) = self.tasks.block(load).await.unwrap_or_default();
            self.tell(Input::LeftOut(left_out));
            let (mut batch, mut bytes) = (Vec::new(), 0);
            for announcement in loaded {
                let more = fleet::bytes_of(&announcement.record, announcement.body.as_ref());
                let is_full = bytes + more > fleet::limits::ANNOUNCE_BYTES_MAX
                    || batch.len() == wire::limits::ANNOUNCE_RECORDS_MAX;
                if is_full && !batch.is_empty() {
                    self.send(&to, &Message::Announce(std::mem::take(&mut batch)));
                    bytes = 0;
                }
                batch.push(announcement);
                bytes += more;
            }
            if !batch.is_empty() {
                self.send(&to, &Message::Announce(batch));
            }
        });
    }
}
