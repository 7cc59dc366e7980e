//! Which relays hold a reservation for us, and when to ask for one.
//!
//! libp2p asks once and renews; when the listener closes, the connection to the relay is lost or a
//! request is refused, nothing asks again. No IO and no clock here: what happened comes in, whom to
//! ask comes out.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p::PeerId;
use tokio::time::Instant;

use crate::{
    Address,
    limits::{RELAYS_KNOWN_MAX, RELAYS_WANTED, RESERVATION_PAUSE_MAX, RESERVATION_PAUSE_MIN, RESERVATION_TIME},
};

pub(crate) struct Reservations {
    wanted: usize,
    /// Connected peers that offer to relay.
    relays: BTreeMap<PeerId, Relay>,
    offers: u64,
}

struct Relay {
    /// Where it listens, for our own address.
    place: Address,
    /// The order in which they came: the first are asked first.
    offer: u64,
    state: State,
    /// Refusals and losses since the last reservation that held.
    failures: u32,
}

#[derive(PartialEq, Eq)]
enum State {
    Idle { not_before: Option<Instant> },
    Asked { until: Instant },
    Held { circuits: BTreeSet<Address> },
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask for a reservation, by listening on the circuit through it.
    Ask { relay: PeerId, place: Address },
    /// Stop listening there.
    Leave { relay: PeerId },
}

impl Reservations {
    /// Of a node that wants none if others can dial it.
    pub(crate) fn new(is_public: bool) -> Self {
        Self { wanted: if is_public { 0 } else { RELAYS_WANTED }, relays: BTreeMap::new(), offers: 0 }
    }

    /// A connected peer offers to relay, and has our addresses: libp2p punches holes only with those
    /// that were known before the circuit.
    pub(crate) fn offered(&mut self, relay: PeerId, place: Address) {
        if let Some(known) = self.relays.get_mut(&relay) {
            known.place = place;
        } else if self.relays.len() < RELAYS_KNOWN_MAX {
            self.offers += 1;
            let state = State::Idle { not_before: None };
            self.relays.insert(relay, Relay { place, offer: self.offers, state, failures: 0 });
        }
    }

    /// It does not offer any more, or is not connected any more. What it held is gone.
    pub(crate) fn gone(&mut self, relay: &PeerId) {
        if canary::sings(canary::Bug::KeepsALostReservation) {
            return;
        }
        self.relays.remove(relay);
    }

    /// It holds a reservation under this address.
    pub(crate) fn held(&mut self, relay: &PeerId, circuit: Address) {
        let Some(relay) = self.relays.get_mut(relay) else { return };
        relay.failures = 0;
        match &mut relay.state {
            State::Held { circuits } => {
                circuits.insert(circuit);
            }
            state => *state = State::Held { circuits: BTreeSet::from([circuit]) },
        }
    }

    /// It refused, or the reservation is lost. `jitter` (0 to 1) keeps a fleet that lost its relay
    /// from asking together.
    pub(crate) fn lost(&mut self, relay: &PeerId, now: Instant, jitter: f64) {
        if let Some(relay) = self.relays.get_mut(relay)
            && !canary::sings(canary::Bug::KeepsALostReservation)
        {
            relay.pause(now, jitter);
        }
    }

    /// What is due, one step after the other.
    pub(crate) fn next(&mut self, now: Instant, jitter: f64) -> Option<Step> {
        let late =
            self.relays.iter_mut().find(|(_, relay)| matches!(relay.state, State::Asked { until } if until <= now));
        if let Some((id, relay)) = late {
            relay.pause(now, jitter);
            return Some(Step::Leave { relay: *id });
        }
        if self.in_use() >= self.wanted {
            return None;
        }
        let ready = |relay: &Relay| match relay.state {
            State::Idle { not_before } => not_before.is_none_or(|at| at <= now),
            _ => false,
        };
        let (id, relay) = self
            .relays
            .iter_mut()
            .filter(|(_, relay)| ready(relay))
            .min_by_key(|(_, relay)| (relay.failures, relay.offer))?;
        relay.state = State::Asked { until: now + RESERVATION_TIME };
        Some(Step::Ask { relay: *id, place: relay.place.clone() })
    }

    /// When [`Reservations::next`] may have something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let wants_more = self.in_use() < self.wanted;
        let times = self.relays.values().filter_map(|relay| match relay.state {
            State::Asked { until } => Some(until),
            State::Idle { not_before } if wants_more => not_before,
            _ => None,
        });
        times.min()
    }

    /// The relays that hold a reservation, with the addresses under which we are reached there.
    pub(crate) fn circuits(&self) -> impl Iterator<Item = (&PeerId, &BTreeSet<Address>)> {
        self.relays.iter().filter_map(|(id, relay)| match &relay.state {
            State::Held { circuits } => Some((id, circuits)),
            _ => None,
        })
    }

    fn in_use(&self) -> usize {
        self.relays.values().filter(|relay| !matches!(relay.state, State::Idle { .. })).count()
    }
}

impl Relay {
    fn pause(&mut self, now: Instant, jitter: f64) {
        self.state = State::Idle { not_before: Some(now + pause(self.failures, jitter)) };
        self.failures = self.failures.saturating_add(1);
    }
}

/// From three quarters to five quarters of 1 s, 2 s, 4 s .. 60 s.
fn pause(failures: u32, jitter: f64) -> Duration {
    let plain = RESERVATION_PAUSE_MIN.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    plain.min(RESERVATION_PAUSE_MAX).mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}
