use std::{
    any::Any,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, Ready},
};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use task::Tasks;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
};
use tracing::{debug, warn};

use crate::{Body, head_timer::HeadTimer, joined::Joined, limits};

/// A client's connection, of whatever kind.
pub trait Connection: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Connection for T {}

/// The port of a door: where its connections come from.
pub trait Accept: Send + 'static {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Pin<Box<dyn Connection>>>>;
}

/// What is behind a door.
pub trait Handle: Send + Sync + 'static {
    /// Returns the answer to one request, at once where that is possible. Never fails: an error is
    /// an answer, too.
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering;

    /// The same on a connection whose earlier requests were answered with this `memo`.
    fn answer_next(self: Arc<Self>, request: Request<Body>, memo: &mut Memo) -> Answering {
        let _ = memo;
        self.answer(request)
    }
}

/// What a handler keeps of one connection, and of no other: it ends with it. Never printed.
pub type Memo = Option<Box<dyn Any + Send>>;

/// An answer, at once or later.
pub type Answering = Either<Ready<Response<Body>>, BoxFuture<'static, Response<Body>>>;

/// The connections of a door, seen from outside.
pub struct Drained {
    connections: Arc<Semaphore>,
    connections_max: usize,
}

impl Drained {
    /// Ends when no connection is open.
    pub async fn wait(self) {
        let all = u32::try_from(self.connections_max).expect("a few thousand");
        let _ = self.connections.acquire_many(all).await;
    }
}

/// Serves HTTP/1.1 to all who come in, each connection in a task of its own.
pub struct Door {
    name: &'static str,
    tasks: Tasks,
    connections: Arc<Semaphore>,
    connections_max: usize,
    refused: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

impl Door {
    /// At most `connections_max` at once. The door closes when `stop` turns true: no new connections, and the open ones end after the
    /// request they are at.
    pub fn new(name: &'static str, connections_max: usize, tasks: Tasks, stop: watch::Receiver<bool>) -> Self {
        let connections = Arc::new(Semaphore::new(connections_max));
        Self { name, tasks, connections, connections_max, refused: Arc::default(), stop }
    }

    /// Says later whether all connections have ended.
    pub fn drained(&self) -> Drained {
        Drained { connections: self.connections.clone(), connections_max: self.connections_max }
    }

    /// Runs until the door is closed.
    pub async fn run(self, mut accept: impl Accept, handler: Arc<dyn Handle>) {
        let mut stop = told_to(self.stop.clone());
        loop {
            let accepted = tokio::select! {
                accepted = accept.accept() => accepted,
                () = &mut stop => return,
            };
            match accepted {
                Ok(connection) => self.serve(connection, handler.clone()),
                Err(error) => {
                    warn!(door = self.name, %error, "cannot accept a connection; is the limit on open files too low?");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, connection: Pin<Box<dyn Connection>>, handler: Arc<dyn Handle>) {
        let Ok(permit) = self.connections.clone().try_acquire_owned() else {
            let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
            if refused.is_power_of_two() {
                warn!(door = self.name, refused, "more than {} connections", self.connections_max);
            }
            return;
        };
        let stop = told_to(self.stop.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            let memo = Mutex::new(None);
            let answer = service_fn(move |request: Request<Incoming>| {
                let request = request.map(Body::incoming);
                let mut memo = memo.lock().expect("no panic while held");
                let answer = handler.clone().answer_next(request, &mut memo);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let connection = http1::Builder::new()
                .timer(HeadTimer::new(limits::HEAD_TIMEOUT))
                .header_read_timeout(limits::HEAD_TIMEOUT)
                .max_headers(limits::HEADERS_MAX)
                .max_buf_size(limits::HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(Joined::new(connection)), answer);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a client's connection ended");
            }
        });
    }
}

/// Ends when the door is to close, or when nobody can say so any more.
fn told_to(mut stop: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
    async move {
        let _ = stop.wait_for(|stop| *stop).await;
    }
    .boxed()
}
