use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, channel::oneshot, future::Shared};
use store::EntryKey;
use wire::Millis;

/// Questions that are on their way, so that the same one is not asked twice at once.
///
/// Keyed by (key, scope): nobody ever joins a flight of another credential.
pub struct Flights<T>(Mutex<Departures<T>>);

struct Departures<T> {
    next: u64,
    under_way: BTreeMap<EntryKey, Departure<T>>,
}

struct Departure<T> {
    number: u64,
    began: Millis,
    flight: Flight<T>,
}

pub type Flight<T> = Shared<oneshot::Receiver<Arc<T>>>;

/// What to do with a question.
pub enum Boarding<T> {
    /// Ask, and land with the answer.
    Lead(Landing<T>, Flight<T>),
    Join(Flight<T>),
}

/// Ends a flight. Dropped without an answer, it sends the others to ask for themselves.
pub struct Landing<T> {
    at: EntryKey,
    number: u64,
    flights: Arc<Flights<T>>,
    answer: Option<oneshot::Sender<Arc<T>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::new(Departures { next: 0, under_way: BTreeMap::new() }))
    }
}

impl<T> Flights<T> {
    pub fn len(&self) -> usize {
        self.0.lock().expect("no panic while held").under_way.len()
    }

    /// Joins the flight to `at`, unless its answer would be doubtful by now; then a new one leaves.
    pub fn board(self: &Arc<Self>, at: EntryKey, now: Millis, is_doubtful: impl Fn(Millis) -> bool) -> Boarding<T> {
        let mut departures = self.0.lock().expect("no panic while held");
        if let Some(departure) = departures.under_way.get(&at)
            && !is_doubtful(departure.began)
        {
            return Boarding::Join(departure.flight.clone());
        }
        let (answer, flight) = oneshot::channel();
        let flight = flight.shared();
        let number = departures.next;
        departures.next += 1;
        departures.under_way.insert(at, Departure { number, began: now, flight: flight.clone() });
        Boarding::Lead(Landing { at, number, flights: self.clone(), answer: Some(answer) }, flight)
    }
}

impl<T> Landing<T> {
    pub fn land(mut self, answer: T) {
        // Out of the table first: who comes now may need a newer answer.
        self.leave();
        if let Some(sender) = self.answer.take() {
            let _ = sender.send(Arc::new(answer));
        }
    }

    fn leave(&self) {
        let mut departures = self.flights.0.lock().expect("no panic while held");
        let is_own = departures.under_way.get(&self.at).is_some_and(|departure| departure.number == self.number);
        if is_own && !canary::sings(canary::Bug::NeverLands) {
            departures.under_way.remove(&self.at);
        }
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        if self.answer.is_some() {
            self.leave();
        }
    }
}
