use std::sync::Arc;

use fleet::Effect;
use store::{EntryKey, Source, Space, Store, StoredRecord};
use tracing::{debug, warn};
use wire::{Announcement, Message, Peer, Record};

use super::{Sharing, carry::Carrier, running::Running, shelf::Job};
use crate::cache::now;

impl Running {
    /// Carries out what the core wants, in its order.
    pub(super) fn carry_out(&mut self) {
        while let Some(effect) = self.fleet.next_effect() {
            let sharing = self.sharing.clone();
            match effect {
                Effect::Publish(message) => sharing.publish(&message),
                Effect::Send { to, message } => sharing.send(&to, &message),
                Effect::Bury(tombstones) => {
                    if sharing.keeper.bury(tombstones, now()) {
                        sharing.counters.tombstones_buried.one();
                        sharing.shelve(Job::SaveTombstones);
                    }
                }
                Effect::Keep { from, announcement } => {
                    sharing.shelve(Job::Keep { from, announcement: Box::new(announcement) });
                }
                Effect::Forget { key, scope } => sharing.shelve(Job::Forget { key, scope }),
                Effect::Pull { ask, from, request, record, tag, resume } => {
                    sharing.start_pull(ask, from, request, record, tag, resume);
                }
                Effect::CancelPull { ask, from } => sharing.pulls.cancel(ask, &from),
                Effect::Fetch { from, announcement } => sharing.start_fetch(from, announcement),
                Effect::Resolve { ask, outcome } => sharing.resolve(ask, outcome),
                Effect::Limits { from, notices } => sharing.budgets.heard(&from, notices),
                Effect::NameForgery { holders, .. } => {
                    sharing.counters.forgeries.one();
                    warn!(?holders, "a record was announced that its credential did not confirm; it is not served");
                }
                Effect::Excess { peer, dropped, is_first } => {
                    sharing.counters.tombstones_dropped.many(dropped);
                    if is_first {
                        warn!(%peer, dropped, "a member drops more of what is kept than it may; the rest is not obeyed");
                    }
                }
                Effect::HandOver { to, announcements } => sharing.hand_over(to, announcements),
                Effect::HandedOver => sharing.roster.may_go(),
                Effect::DropPeer { peer, why } => {
                    warn!(%peer, why, "dropping a peer that lies");
                    sharing.drop_peer(&peer, why);
                }
            }
        }
    }
}

impl Sharing {
    fn drop_peer(&self, peer: &Peer, why: &'static str) {
        self.net.iter().for_each(|net| net.drop_peer(peer, why));
    }

    fn publish(&self, message: &Message) {
        let Some(net) = &self.net else { return };
        self.count_sent(message);
        match Carrier::new(&self.keys).seal(message) {
            Ok(sealed) => net.publish(sealed),
            Err(error) => warn!(%error, "a message to all members was not sent"),
        }
    }

    pub(crate) fn send(&self, to: &Peer, message: &Message) {
        let Some(net) = &self.net else { return };
        self.count_sent(message);
        match Carrier::new(&self.keys).seal(message) {
            Ok(sealed) => net.send(to, sealed),
            Err(error) => warn!(%to, %error, "a message to a member was not sent"),
        }
    }

    fn count_sent(&self, message: &Message) {
        match message {
            Message::Announce(records) => self.counters.entries_sent.many(records.len()),
            Message::Limits(notices) => self.counters.limits_sent.many(notices.len()),
            _ => {}
        }
    }

    /// Keeps what a member announced. Returns false if the body that came along is not to be had.
    pub(super) async fn keep(self: &Arc<Self>, from: &Peer, announcement: Announcement) -> bool {
        let Announcement { key, scope, record, tag, body, holder: _ } = announcement;
        let (store, has_body) = (self.store.clone(), body.is_some());
        let put = move || {
            if let Some(body) = &body {
                body.verified(record.version.digest, record.body_bytes).map_err(Trouble::Body)?;
            }
            let at = EntryKey { scope, key };
            let found = store.get(Space::Fleet, &at).ok().flatten();
            if found.is_some_and(|found| is_better_than_a_rumour(&*store, &found, &record)) {
                let is_body_here = store.has_body(&record.version.digest).unwrap_or(false);
                return Err(Trouble::Better { is_body_here });
            }
            let stored = StoredRecord { record, etag: None, source: Source::Peer, tag };
            store.put(Space::Fleet, at, stored, body).map_err(Trouble::Store)
        };
        match self.tasks.block(put).await {
            Some(Ok(())) => {
                // Nobody listens but a smoke test.
                let _ = self.received.send((key, scope, from.clone()));
                true
            }
            Some(Err(Trouble::Body(error))) => {
                warn!(%from, %error, "dropping a peer that announced a wrong body");
                self.drop_peer(from, "it announced a body with another digest");
                false
            }
            Some(Err(Trouble::Better { is_body_here })) => !has_body || is_body_here,
            Some(Err(Trouble::Store(error))) => {
                debug!(%error, "a peer's record was not kept");
                !has_body
            }
            None => false,
        }
    }
}

/// Whether what is held stays, whatever a member announces in its place: the index keeps rivals, the
/// store has room for one, and a forged record cannot be told from a true one here. What this machine
/// was told itself stays while it is fresh, and of what others told that whose body is here.
fn is_better_than_a_rumour(store: &dyn Store, found: &StoredRecord, announced: &Record) -> bool {
    let digest = found.record.version.digest;
    let is_other = digest != announced.version.digest;
    found.record.is_fresh(now())
        && (found.source == Source::Origin || is_other && store.has_body(&digest).unwrap_or(false))
}

enum Trouble {
    /// What is held is better; its body may be the same.
    Better {
        is_body_here: bool,
    },
    Body(wire::BodyError),
    Store(store::PutError),
}
