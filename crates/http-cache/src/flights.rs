use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Shared},
};

use crate::limits;

type Landed = Shared<BoxFuture<'static, ()>>;

/// The targets that are being asked for, so that the same question is asked once.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<BTreeMap<String, Landed>>>);

/// Who asks, and who waits.
pub(crate) enum Seat {
    /// Others wait until this is dropped: when the response is kept, or known not to be.
    Lead(Flight),
    Wait(Landed),
    /// Too many are on their way: each for itself.
    Alone,
}

pub(crate) struct Flight {
    flights: Flights,
    target: String,
    _landed: oneshot::Sender<()>,
}

impl Flights {
    pub(crate) fn join(&self, target: &str) -> Seat {
        let mut flights = self.0.lock().expect("no panic while held");
        if let Some(landed) = flights.get(target) {
            return Seat::Wait(landed.clone());
        }
        if flights.len() >= limits::FLIGHTS_MAX {
            return Seat::Alone;
        }
        let (sender, landed) = oneshot::channel();
        flights.insert(target.to_owned(), landed.map(|_| ()).boxed().shared());
        Seat::Lead(Flight { flights: self.clone(), target: target.to_owned(), _landed: sender })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.0.lock().expect("no panic while held").remove(&self.target);
    }
}
