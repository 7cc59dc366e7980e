use serde::{Deserialize, Serialize};

use crate::{FamilyId, Millis, Peer, ScopeId, Tag, limits};

/// What a machine knows of one rate-limit budget of an origin: what GitHub said to one credential.
///
/// Only who holds the credential can make the tag, and only who holds it can check it. Budgets of the
/// anonymous are those of an address, and are told to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitNotice {
    /// The origin: the keyed hash of its name, taken as if that were a family.
    #[serde(rename = "o")]
    pub site: FamilyId,
    /// Of the credential that was told so.
    #[serde(rename = "s")]
    pub scope: ScopeId,
    /// Other credentials that seem to draw on the same budget.
    #[serde(rename = "w", default)]
    pub with: Vec<ScopeId>,
    /// The machine that says so; whoever passes it on.
    #[serde(rename = "by")]
    pub by: Peer,
    #[serde(rename = "r", default)]
    pub readings: Vec<LimitReading>,
    /// GitHub has asked to be left alone until then: a secondary limit.
    #[serde(rename = "u", default)]
    pub stopped_until: Option<Millis>,
    /// How often in a row it refused without saying for how long.
    #[serde(rename = "n", default)]
    pub refusals: u32,
    #[serde(rename = "at")]
    pub heard_at: Millis,
    /// Binds every other field.
    #[serde(rename = "t")]
    pub tag: Tag,
}

/// The figures of one resource of a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReading {
    /// By GitHub's name: `core`, `search`, `graphql` …
    #[serde(rename = "n")]
    pub resource: String,
    #[serde(rename = "l")]
    pub limit: u64,
    #[serde(rename = "r")]
    pub remaining: u64,
    #[serde(rename = "u")]
    pub used: u64,
    /// When the window ends.
    #[serde(rename = "e")]
    pub reset: Millis,
}

impl LimitNotice {
    /// Until when it stops anything at all: all of the budget, or a resource of which nothing is left.
    pub fn stop(&self) -> Option<Millis> {
        let drained = self.readings.iter().filter(|reading| reading.remaining == 0).map(|reading| reading.reset);
        drained.chain(self.stopped_until).max()
    }

    /// Whether there is anything in it that still holds at `now`.
    pub fn is_current(&self, now: Millis) -> bool {
        self.stopped_until.is_some_and(|until| now < until) || self.readings.iter().any(|reading| now < reading.reset)
    }

    pub(super) fn is_within_limits(&self) -> bool {
        self.with.len() <= limits::LIMIT_KIN_MAX
            && self.readings.len() <= limits::LIMIT_READINGS_MAX
            && self.readings.iter().all(|reading| reading.resource.len() <= limits::LIMIT_RESOURCE_BYTES_MAX)
    }
}
