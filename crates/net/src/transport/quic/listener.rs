use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{FutureExt, future::BoxFuture};
use if_watch::{IfEvent, tokio::IfWatcher};
use libp2p::core::transport::{ListenerId, TransportEvent};
use quinn::{Endpoint, Incoming, VarInt};
use tracing::{debug, trace};

use super::{
    Making, address_of,
    config::Configs,
    connection::made,
    places::{Answer, Places},
};
use crate::{limits::QUIC_TURNED_AWAY_AT_ONCE, source::Source};

type Event = TransportEvent<Making, io::Error>;

/// One socket, and who knocks there.
pub(super) struct Listener {
    id: ListenerId,
    endpoint: Endpoint,
    local: SocketAddr,
    /// The addresses of the machine, if it listens on all of them.
    watcher: Option<IfWatcher>,
    next: BoxFuture<'static, Option<Incoming>>,
    configs: Arc<Configs>,
    places: Arc<Places>,
    /// What is to be told first.
    news: Option<Event>,
    is_closed: bool,
}

impl Listener {
    pub(super) fn new(
        id: ListenerId,
        local: SocketAddr,
        configs: Arc<Configs>,
        places: Arc<Places>,
    ) -> io::Result<Self> {
        let endpoint = configs.listener(local)?;
        let local = endpoint.local_addr()?;
        let is_everywhere = local.ip().is_unspecified();
        let news =
            (!is_everywhere).then(|| TransportEvent::NewAddress { listener_id: id, listen_addr: address_of(local) });
        let watcher = is_everywhere.then(IfWatcher::new).transpose()?;
        let next = knock(endpoint.clone());
        Ok(Self { id, endpoint, local, watcher, next, configs, places, news, is_closed: false })
    }

    pub(super) fn id(&self) -> ListenerId {
        self.id
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether its socket can send there: by family, and from loopback to loopback only.
    pub(super) fn reaches(&self, remote: IpAddr) -> bool {
        let here = self.local.ip();
        let is_near = here.is_unspecified() || here.is_loopback() == remote.is_loopback();
        !self.is_closed && here.is_ipv6() == remote.is_ipv6() && is_near
    }

    pub(super) fn close(&mut self, reason: io::Result<()>) {
        if !self.is_closed {
            self.endpoint.close(VarInt::from_u32(0), &[]);
            self.news = Some(TransportEvent::ListenerClosed { listener_id: self.id, reason });
            self.is_closed = true;
        }
    }

    /// `None` when it has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        for _ in 0..QUIC_TURNED_AWAY_AT_ONCE {
            if let Some(news) = self.news.take() {
                return Poll::Ready(Some(news));
            }
            if self.is_closed {
                return Poll::Ready(None);
            }
            if let Poll::Ready(event) = self.poll_addresses(cx) {
                return Poll::Ready(Some(event));
            }
            let Some(incoming) = ready!(self.next.poll_unpin(cx)) else {
                self.close(Err(io::Error::other("the socket is lost")));
                continue;
            };
            self.next = knock(self.endpoint.clone());
            if let Some(event) = self.judge(incoming) {
                return Poll::Ready(Some(event));
            }
        }
        // The node has more to do than to turn people away.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets him begin his handshake, if there is a place. Nothing is kept of who is turned away.
    fn judge(&self, incoming: Incoming) -> Option<Event> {
        let remote = incoming.remote_address();
        let life = self.configs.for_one();
        let place = match self.places.ask(Source::of_ip(remote.ip()), incoming.remote_address_validated(), &life) {
            Answer::Begin(place) => place,
            Answer::Retry => {
                // Who has made his address up does not hear of it.
                if let Err(error) = incoming.retry() {
                    debug!(%remote, %error, "could not ask whether the address is true");
                }
                return None;
            }
            Answer::Refuse => {
                trace!(%remote, "no place for a handshake over QUIC");
                incoming.refuse();
                return None;
            }
        };
        let connecting =
            incoming.accept_with(life).inspect_err(|error| trace!(%remote, %error, "no handshake")).ok()?;
        let upgrade = async move { made(connecting.await?, Some(place)) };
        Some(TransportEvent::Incoming {
            listener_id: self.id,
            upgrade: upgrade.boxed(),
            local_addr: address_of(self.local),
            send_back_addr: address_of(remote),
        })
    }

    fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let (listener_id, local) = (self.id, self.local);
        let Some(watcher) = &mut self.watcher else { return Poll::Pending };
        let at = |ip: IpAddr| (ip.is_ipv6() == local.is_ipv6()).then(|| address_of(SocketAddr::new(ip, local.port())));
        loop {
            let event = match ready!(watcher.poll_if_event(cx)) {
                Ok(IfEvent::Up(net)) => {
                    at(net.addr()).map(|listen_addr| TransportEvent::NewAddress { listener_id, listen_addr })
                }
                Ok(IfEvent::Down(net)) => {
                    at(net.addr()).map(|listen_addr| TransportEvent::AddressExpired { listener_id, listen_addr })
                }
                Err(error) => Some(TransportEvent::ListenerError { listener_id, error }),
            };
            if let Some(event) = event {
                return Poll::Ready(event);
            }
        }
    }
}

fn knock(endpoint: Endpoint) -> BoxFuture<'static, Option<Incoming>> {
    async move { endpoint.accept().await }.boxed()
}
