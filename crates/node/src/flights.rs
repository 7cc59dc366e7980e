use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, channel::oneshot, future::Shared};
use store::EntryKey;

/// Questions that are on their way, so that the same one is not asked twice at once.
///
/// Keyed by (key, scope): nobody ever joins a flight of another credential.
pub struct Flights<T>(Mutex<BTreeMap<EntryKey, Flight<T>>>);

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
    flights: Arc<Flights<T>>,
    answer: Option<oneshot::Sender<Arc<T>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Flights<T> {
    pub fn board(self: &Arc<Self>, at: EntryKey) -> Boarding<T> {
        let mut flights = self.0.lock().expect("no panic while held");
        if let Some(flight) = flights.get(&at) {
            return Boarding::Join(flight.clone());
        }
        let (answer, flight) = oneshot::channel();
        let flight = flight.shared();
        flights.insert(at, flight.clone());
        Boarding::Lead(Landing { at, flights: self.clone(), answer: Some(answer) }, flight)
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
        self.flights.0.lock().expect("no panic while held").remove(&self.at);
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        if self.answer.is_some() {
            self.leave();
        }
    }
}
