//! Who may begin to set up a connection to us, over whatever transport, and who has to make room.

mod room;

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{
    FutureExt,
    future::{AbortHandle, AbortRegistration, Abortable, BoxFuture},
};
use libp2p::{
    Multiaddr, Transport,
    core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent},
};

pub(crate) use self::room::Full;
use self::room::{Room, Seat};
use crate::{Limits, source::Source};

/// A transport of which few inbound connections are being set up at once. [`Room`] says which.
pub(super) struct Entrance<O> {
    inner: Boxed<O>,
    seats: Arc<Mutex<Seats>>,
}

struct Seats {
    room: Room,
    /// What ends who sits there.
    ends: BTreeMap<Seat, AbortHandle>,
}

/// One's own seat, until it is dropped.
struct Seated {
    seats: Arc<Mutex<Seats>>,
    source: Source,
    seat: Seat,
}

impl<O: 'static> Entrance<O> {
    pub(super) fn new(inner: Boxed<O>, limits: &Limits) -> Self {
        let room = Room::new(limits.pending_per_ip, limits.pending_incoming);
        Self { inner, seats: Arc::new(Mutex::new(Seats { room, ends: BTreeMap::new() })) }
    }

    /// Sets the connection up, unless there is no seat for it, or another one gets its seat meanwhile.
    fn seated(&self, source: Source, upgrade: Upgrade<O>) -> Upgrade<O> {
        let (seat, ended) = match lock(&self.seats).enter(&source) {
            Ok(entered) => entered,
            // Nothing of it is kept.
            Err(full) => return async move { Err(io::Error::other(full)) }.boxed(),
        };
        let seated = Seated { seats: Arc::clone(&self.seats), source, seat };
        let upgrade = Abortable::new(upgrade, ended);
        async move {
            let made = upgrade.await;
            drop(seated);
            made.unwrap_or_else(|_| Err(io::Error::other(Full::Displaced)))
        }
        .boxed()
    }
}

type Upgrade<O> = BoxFuture<'static, io::Result<O>>;

impl<O: 'static> Transport for Entrance<O> {
    type Output = O;
    type Error = io::Error;
    type ListenerUpgrade = Upgrade<O>;
    type Dial = <Boxed<O> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Upgrade<O>, io::Error>> {
        Pin::new(&mut self.inner).poll(cx).map(|event| match event {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let upgrade = self.seated(Source::of(&local_addr, &send_back_addr), upgrade);
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            other => other,
        })
    }
}

impl Seats {
    fn enter(&mut self, source: &Source) -> Result<(Seat, AbortRegistration), Full> {
        let (seat, displaced) = self.room.enter(source)?;
        if let Some(end) = displaced.and_then(|displaced| self.ends.remove(&displaced)) {
            end.abort();
        }
        let (end, ended) = AbortHandle::new_pair();
        self.ends.insert(seat, end);
        Ok((seat, ended))
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut seats = lock(&self.seats);
        seats.room.leave(&self.source, self.seat);
        seats.ends.remove(&self.seat);
    }
}

fn lock(seats: &Mutex<Seats>) -> MutexGuard<'_, Seats> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}
