use std::{collections::BTreeMap, ops::AddAssign};

use serde::Serialize;

/// Rows kept apart; what comes after is counted under the path `*`, so the totals stay true.
const ROWS_MAX: usize = 100_000;

/// What became of a number of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All that arrived, answered or not.
    pub requests: u64,
    /// Those that cost a point of a primary budget.
    pub charged: u64,
    /// Free 304s. A 304 for an anonymous request is in `charged` instead.
    pub not_modified: u64,
    /// Refused because the budget was empty.
    pub limited: u64,
    /// Refused because of a secondary limit; never charged.
    pub secondary: u64,
    /// Came to a blob store with an `Authorization` header: a credential went where it does not belong.
    pub leaked: u64,
    /// Failed or left without an answer because a test said so; never charged.
    pub failed: u64,
    /// GraphQL mutations and REST writes.
    pub mutations: u64,
    /// Bytes of bodies as sent, after gzip.
    pub body_bytes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.charged += other.charged;
        self.not_modified += other.not_modified;
        self.limited += other.limited;
        self.secondary += other.secondary;
        self.leaked += other.leaked;
        self.failed += other.failed;
        self.mutations += other.mutations;
        self.body_bytes += other.body_bytes;
    }
}

/// Every request since the start or the last reset, each counted once per view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub total: Tally,
    /// By `token`, `installation`, `app` (a JWT), `anonymous`, `storage` and `unknown` (a credential
    /// nobody knows).
    pub kinds: BTreeMap<&'static str, Tally>,
    /// By login, or `anonymous`, or `unknown`; never by token.
    pub labels: BTreeMap<String, Tally>,
    /// The most requests that were under way at once, by the same names.
    pub in_flight_max: BTreeMap<String, u64>,
    pub rows: Vec<CountRow>,
}

impl Counts {
    /// The sum of the rows for `path`, query included, whoever asked.
    pub fn path(&self, path: &str) -> Tally {
        let mut sum = Tally::default();
        self.rows.iter().filter(|row| row.path == path).for_each(|row| sum += row.tally);
        sum
    }
}

/// The tally of one caller, method and path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountRow {
    pub label: String,
    pub method: String,
    /// With its query, since a page is a request of its own.
    pub path: String,
    #[serde(flatten)]
    pub tally: Tally,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    total: Tally,
    kinds: BTreeMap<&'static str, Tally>,
    rows: BTreeMap<(String, String, String), Tally>,
}

impl Ledger {
    pub(crate) fn add(&mut self, kind: &'static str, label: &str, method: &str, path: &str, tally: Tally) {
        self.total += tally;
        *self.kinds.entry(kind).or_default() += tally;
        let mut row = (label.to_owned(), method.to_owned(), path.to_owned());
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&row) {
            row.2 = "*".to_owned();
        }
        *self.rows.entry(row).or_default() += tally;
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { total: self.total, kinds: self.kinds.clone(), ..Counts::default() };
        for ((label, method, path), tally) in &self.rows {
            *counts.labels.entry(label.clone()).or_default() += *tally;
            counts.rows.push(CountRow {
                label: label.clone(),
                method: method.clone(),
                path: path.clone(),
                tally: *tally,
            });
        }
        counts
    }
}
