//! How budgets are told to other machines, and theirs are heard. Scopes have other names on the wire
//! than here, and both come from the credential: so what is heard waits until a client shows it.

use std::sync::{Arc, Weak};

use crypto::TagKey;
use github::{BucketState, Credential, Resource, ResourceState, View, Word};
use tracing::{debug, warn};
use wire::{LimitNotice, LimitReading, Millis, Peer, ScopeId, Tag};

use super::{Asked, Budgets, heard::Told};
use crate::{cache::now, limits, sharing::Sharing};

impl Budgets {
    /// From now on this machine tells the others, and is told by them.
    pub fn join(&self, sharing: &Arc<Sharing>) {
        let _ = self.fleet.set(Arc::downgrade(sharing));
    }

    /// Members said this. Nothing counts before the credential has confirmed it.
    pub(crate) fn heard(&self, from: &Peer, notices: Vec<LimitNotice>) {
        let Some(sharing) = self.fleet() else { return };
        sharing.counters.limits_heard.many(notices.len());
        debug!(%from, notices = notices.len(), "heard of limits");
        let mut heard = self.heard.lock().expect("no panic while held");
        notices.into_iter().for_each(|notice| heard.note(from, notice, now()));
    }

    /// Notices that wait for their credential.
    pub fn heard_len(&self) -> usize {
        self.heard.lock().expect("no panic while held").len()
    }

    /// A client shows the credential: what was heard of it is checked, once, and counts from now on.
    pub(super) fn take_in(&self, site: &str, credential: &Credential, scope: ScopeId, now: Millis) {
        if self.heard.lock().expect("no panic while held").is_empty() {
            return;
        }
        let Some(sharing) = self.fleet() else { return };
        let ids = &sharing.keys.ids;
        let (fleet_site, fleet_scope) = (ids.family_id(site), ids.scope_id(Some(credential.reveal())));
        let told = self.heard.lock().expect("no panic while held").take(fleet_site, fleet_scope);
        if told.is_empty() {
            return;
        }
        let tag_key = TagKey::of(credential.reveal());
        for Told { from, notice, received_at } in told {
            let word = if notice.scope != fleet_scope {
                Word::Hearsay { from: &from, received_at }
            } else if tag_key.verify_limits(&notice) {
                Word::Confirmed { by: &notice.by }
            } else {
                sharing.counters.forgeries.one();
                warn!(%from, by = %notice.by, "limits were told that their credential did not confirm; they do not count");
                continue;
            };
            let is_stop = self.ledger(site).is_some_and(|mut ledger| ledger.hear(scope, &state_of(&notice), word, now));
            if is_stop {
                sharing.counters.limits_obeyed.one();
                debug!(%from, by = %notice.by, "obeying a limit that another machine has met");
            }
        }
    }

    /// The origin has answered: tells the others what they should know.
    pub(super) fn tell(&self, asked: &Asked) {
        let (Some(sharing), Some(credential)) = (self.fleet(), &asked.credential) else { return };
        let Some(me) = sharing.net.as_ref().map(|net| net.me().clone()) else { return };
        let (ids, now) = (&sharing.keys.ids, now());
        let scope = self.fleet_scope(asked.scope, || ids.scope_id(Some(credential.reveal())));
        let Some(View { state, with }) =
            self.ledger(&asked.site).and_then(|mut ledger| ledger.notice(asked.scope, now))
        else {
            return;
        };
        let names = self.fleet_scopes.lock().expect("no panic while held");
        let with = with.iter().filter_map(|scope| names.get(scope).copied()).collect();
        drop(names);
        let readings = state.resources.iter().map(|(resource, reading)| LimitReading {
            resource: resource.name().to_owned(),
            limit: reading.limit,
            remaining: reading.remaining,
            used: reading.used,
            reset: reading.reset,
        });
        let mut notice = LimitNotice {
            site: ids.family_id(&asked.site),
            scope,
            with,
            by: me,
            readings: readings.collect(),
            stopped_until: state.stopped_until,
            refusals: state.refusals,
            heard_at: now,
            tag: Tag([0; 32]),
        };
        notice.tag = TagKey::of(credential.reveal()).tag_limits(&notice);
        sharing.limited(notice);
    }

    /// What the fleet calls a credential.
    fn fleet_scope(&self, scope: ScopeId, name: impl FnOnce() -> ScopeId) -> ScopeId {
        let mut names = self.fleet_scopes.lock().expect("no panic while held");
        if names.len() >= limits::FLEET_SCOPES_MAX && !names.contains_key(&scope) {
            names.pop_first();
        }
        *names.entry(scope).or_insert_with(name)
    }

    fn fleet(&self) -> Option<Arc<Sharing>> {
        self.fleet.get().and_then(Weak::upgrade)
    }
}

fn state_of(notice: &LimitNotice) -> BucketState {
    let reading = |reading: &LimitReading| {
        let LimitReading { resource, limit, remaining, used, reset } = reading;
        let state =
            ResourceState { limit: *limit, remaining: *remaining, used: *used, reset: *reset, seen: notice.heard_at };
        (Resource::named(resource), state)
    };
    BucketState {
        resources: notice.readings.iter().map(reading).collect(),
        stopped_until: notice.stopped_until,
        refusals: notice.refusals,
    }
}
