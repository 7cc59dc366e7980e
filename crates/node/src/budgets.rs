use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, Weak},
};

use bytes::Bytes;
use crypto::IdKeys;
use github::{Admit, Ask, Credential, Family, Gauge, Ledger, LimitAnswer, LimitFigures, Resource, Site, Ticket, Work};
use http::{HeaderMap, StatusCode};
use tokio::{sync::Notify, time::Instant};
use wire::{Millis, ScopeId};

use crate::{cache::now, sharing::Sharing};
use heard::Heard;

/// What GitHub allows each credential, and what is on its way to it: the ledger of each site, and who
/// waits for room. In a fleet, what one machine learns the others know.
pub struct Budgets {
    ids: IdKeys,
    ledgers: BTreeMap<String, Mutex<Ledger>>,
    /// Something came back.
    room: Notify,
    /// Not there on a machine of its own.
    fleet: OnceLock<Weak<Sharing>>,
    heard: Mutex<Heard>,
    /// What the fleet calls the credentials of this machine.
    fleet_scopes: Mutex<BTreeMap<ScopeId, ScopeId>>,
}

/// What becomes of a request.
pub enum Admission<'a> {
    /// Send it; keep this until the answer or its failure is there.
    Go(Passage<'a>),
    /// GitHub would refuse it. What it would say, if it has said it before.
    Stopped(Option<LimitAnswer>),
    /// Little is left: an old answer is better.
    PreferStale,
}

/// A request on its way. Counted until it is dropped.
pub struct Passage<'a> {
    budgets: &'a Budgets,
    site: &'a str,
    ticket: Option<Ticket>,
}

impl Budgets {
    pub fn new(ids: IdKeys, sites: &[Site]) -> Self {
        let anonymous = ids.scope_id(None);
        let ledgers = sites.iter().map(|site| (site.name.clone(), Mutex::new(Ledger::new(anonymous)))).collect();
        let (heard, fleet_scopes) = (Mutex::default(), Mutex::default());
        Self { ids, ledgers, room: Notify::new(), fleet: OnceLock::new(), heard, fleet_scopes }
    }

    /// Waits for room, a bounded time; then the request goes ahead.
    pub async fn admit<'a>(&'a self, ask: &'a Ask, work: Work) -> Admission<'a> {
        let (site, resource) = (ask.host.as_str(), Resource::of(&ask.target));
        let scope = self.scope(ask.credential.as_ref());
        let passage = |ticket| Admission::Go(Passage { budgets: self, site, ticket });
        let (mut last, mut is_late) = (None, false);
        loop {
            let room = self.room.notified();
            let now = now();
            ask.credential.iter().for_each(|credential| self.take_in(site, credential, scope, now));
            let Some(admitted) = self.ledger(site).map(|mut ledger| ledger.admit(scope, resource, work, now)) else {
                return passage(None);
            };
            let until = match admitted {
                Admit::Go(ticket) => return passage(Some(ticket)),
                Admit::Stopped { until, reason } => {
                    let ledger = self.ledger(site);
                    let answer = ledger.map(|ledger| ledger.answer_to(scope, resource, (until, reason), now));
                    return Admission::Stopped(answer);
                }
                Admit::PreferStale => return Admission::PreferStale,
                Admit::Wait { .. } if is_late => {
                    let ticket = self.ledger(site).map(|mut ledger| ledger.go_ahead(scope, resource, work, now));
                    return passage(ticket);
                }
                Admit::Wait { until } => *last.get_or_insert_with(|| Instant::now() + until.since(now)),
            };
            // A stop may have come meanwhile.
            is_late = tokio::time::timeout_at(until, room).await.is_err();
        }
    }

    /// For a request of this machine's own that nobody waits for: it goes out only while there is plenty, and
    /// never waits.
    pub fn admit_own<'a>(&'a self, site: &'a str, scope: ScopeId, resource: Resource) -> Option<Passage<'a>> {
        match self.ledger(site)?.admit(scope, resource, Work::Background, now()) {
            Admit::Go(ticket) => Some(Passage { budgets: self, site, ticket: Some(ticket) }),
            Admit::Wait { .. } | Admit::Stopped { .. } | Admit::PreferStale => None,
        }
    }

    /// Whether GitHub would refuse it now.
    pub fn is_stopped(&self, ask: &Ask) -> bool {
        let scope = self.scope(ask.credential.as_ref());
        self.ledger(&ask.host).is_some_and(|ledger| ledger.is_stopped(scope, Resource::of(&ask.target), now()))
    }

    /// Takes an answer in, whatever was asked, and tells the other machines what they should know.
    pub fn learn(&self, asked: &Asked, headers: &HeaderMap, status: StatusCode, body: &[u8]) {
        if let Some(mut ledger) = self.ledger(&asked.site) {
            ledger.learn(asked.scope, asked.resource, headers, status, body, now());
            if asked.is_rate_limit && status == StatusCode::OK {
                ledger.seen_rate_limit(asked.scope, body, now());
            }
        }
        self.tell(asked);
    }

    pub fn scope(&self, credential: Option<&Credential>) -> ScopeId {
        self.ids.scope_id(credential.map(Credential::reveal))
    }

    /// What the `x-ratelimit-*` headers say that are true now, for an answer that did not come from the origin.
    pub fn figures_for(&self, site: &str, scope: ScopeId, resource: Resource, now: Millis) -> Option<LimitFigures> {
        self.ledger(site)?.figures_for(scope, resource, now)
    }

    /// The answer to `/rate_limit` with figures that are true now, if GitHub has ever given one.
    pub fn rate_limit(&self, site: &str, scope: ScopeId, now: Millis) -> Option<(Bytes, HeaderMap)> {
        let ledger = self.ledger(site)?;
        let body = ledger.rate_limit_answer(scope, now)?;
        Some((body, ledger.headers_for(scope, Resource::CORE, now).unwrap_or_default()))
    }

    /// By site, the figures of every budget.
    pub fn gauges(&self, now: Millis) -> Vec<(String, Gauge)> {
        let of = |(site, ledger): (&String, &Mutex<Ledger>)| {
            let ledger = ledger.lock().expect("no panic while held");
            ledger.gauges(now).map(|gauge| (site.clone(), gauge)).collect::<Vec<_>>()
        };
        self.ledgers.iter().flat_map(of).collect()
    }

    fn ledger(&self, site: &str) -> Option<MutexGuard<'_, Ledger>> {
        Some(self.ledgers.get(site)?.lock().expect("no panic while held"))
    }
}

/// What a request was, for whoever reads its answer.
pub struct Asked {
    pub site: String,
    pub scope: ScopeId,
    pub credential: Option<Credential>,
    pub resource: Resource,
    pub is_rate_limit: bool,
    /// Of what was asked for, a write included; `None` if the path is no target.
    pub family: Option<Family>,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if let (Some(ticket), Some(mut ledger)) = (self.ticket.take(), self.budgets.ledger(self.site)) {
            ledger.done(ticket);
            drop(ledger);
            self.budgets.room.notify_waiters();
        }
    }
}

mod heard;
mod telling;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_this_machine_s_own_goes_out_only_while_there_is_plenty() {
        let site = Site::main("https://api.github.com");
        let budgets = Budgets::new(IdKeys::derive(&[1; 32]), std::slice::from_ref(&site));
        let scope = budgets.scope(None);
        let is_admitted = || budgets.admit_own(&site.name, scope, Resource::CORE).is_some();
        assert!(is_admitted(), "nothing is known yet");
        let learn = |remaining: u64, status| {
            let figures = [
                ("limit", 5000),
                ("remaining", remaining),
                ("used", 5000 - remaining),
                ("reset", now().as_secs() + 600),
            ];
            let header = |(name, value): (&str, u64)| {
                let name = http::HeaderName::try_from(format!("x-ratelimit-{name}")).unwrap();
                (name, value.into())
            };
            let asked = Asked {
                site: site.name.clone(),
                scope,
                credential: None,
                resource: Resource::CORE,
                is_rate_limit: false,
                family: None,
            };
            budgets.learn(&asked, &figures.map(header).into_iter().collect(), status, b"");
        };
        learn(4000, StatusCode::OK);
        assert!(is_admitted());
        learn(100, StatusCode::OK);
        assert!(!is_admitted(), "little is left");
        learn(0, StatusCode::FORBIDDEN);
        assert!(!is_admitted(), "nothing is left");
        assert!(budgets.admit_own("elsewhere", scope, Resource::CORE).is_none());
    }
}
