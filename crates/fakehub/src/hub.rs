mod answer;
mod switches;
#[cfg(test)]
mod tests;
mod things;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::{
    ask::API,
    auth::Keyring,
    budget::Budgets,
    counts::{Ledger, Tally},
    document::Documents,
    dress::EtagRule,
    fault::{Delivery, Faults, garble},
    secondary::{Pressure, Secondary},
    seed::Seed,
    storage,
    world::World,
};

/// A GitHub: its data, its tokens, its budgets and its memory of who asked for what.
///
/// Deterministic: the same seed and the same requests at the same times give the same answers.
#[derive(Debug)]
pub struct Hub {
    /// Where the hub says that it is, without a slash at the end: in `Link`, `Location` and bodies.
    pub api_url: String,
    pub etag_rule: EtagRule,
    /// Where redirects find logs, artifacts, assets and archives: `None` for GitHub's own host names,
    /// or a base such as `http://localhost:PORT`, under which the hub itself answers for all of them.
    pub storage_url: Option<String>,
    /// Plays a GHES of this version, such as `3.17.0`: under `/api/v3` and `/api/graphql`, without limits.
    pub enterprise: Option<String>,
    /// Limits beyond the hourly budget; none by default.
    pub secondary: Secondary,
    pub(crate) world: World,
    pub(crate) documents: Documents,
    pub(crate) keyring: Keyring,
    pub(crate) budgets: Budgets,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) pressure: Pressure,
    pub(crate) minting: Seed,
    ids: Seed,
}

/// A request that has arrived and whose answer is not through yet; given back to [`Hub::depart`].
#[derive(Debug)]
#[must_use = "a request that never departs stays in flight"]
pub struct Ticket(String);

/// What the shell has to do for a request.
#[derive(Debug)]
pub struct Reply {
    /// How long to wait before `response` is sent; the hub itself never waits.
    pub latency: Duration,
    /// `None`: never answer, and leave the connection open.
    pub response: Option<Response<Bytes>>,
    /// How `response` goes over the wire.
    pub delivery: Delivery,
}

impl Hub {
    /// A hub with five users, three organisations and 21 repositories, and no tokens.
    ///
    /// Among them `octocat/Hello-World` (public, 70 issues), `acme/secret` (private) and
    /// `octo-org/empty`, whose listings are all empty.
    pub fn standard(seed: u64) -> Self {
        Self::with_world(World::standard(Seed::new(seed)), seed)
    }

    /// A hub with the same people and four small repositories of theirs, for tests that make thousands:
    /// `octocat/Hello-World` (public), `octocat/diary` and `acme/secret` (private), `octo-org/empty`.
    pub fn small(seed: u64) -> Self {
        Self::with_world(World::small(Seed::new(seed)), seed)
    }

    /// A hub with nothing in it but what is registered.
    pub fn empty(seed: u64) -> Self {
        Self::with_world(World::empty(Seed::new(seed)), seed)
    }

    fn with_world(world: World, seed: u64) -> Self {
        Self {
            api_url: API.to_owned(),
            etag_rule: EtagRule::default(),
            world,
            documents: Documents::default(),
            keyring: Keyring::default(),
            budgets: Budgets::default(),
            ledger: Ledger::default(),
            faults: Faults::default(),
            storage_url: None,
            enterprise: None,
            secondary: Secondary::default(),
            pressure: Pressure::default(),
            minting: Seed::new(seed).fork("minted tokens"),
            ids: Seed::new(seed).fork("request ids"),
        }
    }

    /// Answers `request`, which arrived at `now` in Unix seconds, and counts it.
    pub fn handle(&mut self, request: &Request<Bytes>, now: u64) -> Reply {
        let (reply, ticket) = self.arrive(request, now);
        self.depart(ticket);
        reply
    }

    /// The same for a shell in which requests overlap: this one is in flight until it departs.
    pub fn arrive(&mut self, request: &Request<Bytes>, now: u64) -> (Reply, Ticket) {
        let stored = storage::addressed(request);
        let written = request.uri().path();
        let (api_path, found) = self.api_path(written);
        let path = if stored.is_some() { written } else { api_path };
        let caller = self.keyring.identify(request.headers(), now);
        let label = if stored.is_some() { "storage" } else { caller.label() }.to_owned();
        let kind = if stored.is_some() { "storage" } else { caller.kind() };
        let mut tally = Tally { requests: 1, ..Tally::default() };
        let refused = self.pressure.enter(&label, &self.secondary, self.weigh(request, path), now);

        let mut response = if self.faults.silent(path) {
            tally.failed = 1;
            None
        } else if let Some((store, path)) = &stored {
            let leaks = store.refuses_credentials() && request.headers().contains_key("authorization");
            tally.leaked = u64::from(leaks);
            Some(match self.faults.failure(path) {
                Some(failure) => self.plain_failure(request, failure, now, &mut tally),
                None => storage::answer(&self.world, request, *store, path, now),
            })
        } else {
            Some(self.answer(request, path, found, &caller, refused, now, &mut tally))
        };
        let delivery = self.faults.delivery(path);
        if let Some(response) = response.as_mut() {
            if delivery == Delivery::GarbledGzip && !response.body().is_empty() {
                garble(response);
            }
            tally.body_bytes = response.body().len() as u64;
        }
        let target = request.uri().path_and_query().map_or(path, |target| target.as_str());
        // A signature is a credential, and counts show none.
        let target = if stored.is_some() { path } else { target };
        self.ledger.add(kind, &label, request.method().as_str(), target, tally);
        (Reply { latency: self.faults.latency(path), response, delivery }, Ticket(label))
    }

    /// The answer is through, or the client is gone.
    pub fn depart(&mut self, ticket: Ticket) {
        let Ticket(label) = ticket;
        self.pressure.leave(&label);
    }

    fn request_id(&mut self) -> String {
        let [a, b, c] = [4, 6, 8].map(|digits| self.ids.hex(digits).to_uppercase());
        format!("{a}:{b}:{c}")
    }
}
