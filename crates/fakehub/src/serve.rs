//! The hub behind HTTP/1.1 on a loopback port: the shell that has a clock and can wait.

mod delivery;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use task::Tasks;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use self::delivery::Sent;
use crate::{
    Hub, Ticket,
    control::{PREFIX, control},
};

/// Bytes of a request's body, at most; over it the answer is 413.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// A port of 127.0.0.1 that the system chooses.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a shell offers besides the API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Answer under `/_fakehub/`: whoever reaches the port can then change the hub.
    pub control: bool,
}

/// A listener and its connections; dropping it ends them.
#[derive(Debug)]
pub struct Server {
    pub addr: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Server {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Closes the listener and every connection, and returns when all of them are gone.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.stop.closed().await;
    }
}

/// Serves `hub` on a port of 127.0.0.1 that the system chooses.
///
/// # Errors
/// The system's, if it gives no port.
pub async fn serve(tasks: &Tasks, hub: Arc<Mutex<Hub>>, options: Options) -> io::Result<Server> {
    serve_at(tasks, hub, options, ANY_PORT).await
}

/// The same at an address of the caller's choice.
///
/// # Errors
/// The system's, if the address is taken or not its own.
pub async fn serve_at(tasks: &Tasks, hub: Arc<Mutex<Hub>>, options: Options, addr: SocketAddr) -> io::Result<Server> {
    listen(tasks, addr, move |stream| {
        let hub = Arc::clone(&hub);
        async move { connection(stream, hub, options).await }
    })
    .await
}

/// Accepts connections and runs `each` on a task of its own until the server stops.
pub(crate) async fn listen<F>(
    tasks: &Tasks,
    addr: SocketAddr,
    each: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> io::Result<Server>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let (stop, mut stopped) = watch::channel(false);
    let spawner = tasks.clone();
    tasks.spawn(async move {
        loop {
            let stream = tokio::select! {
                // An accept that fails (no more descriptors) is of one connection, not of the server.
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
                _ = stopped.changed() => return,
            };
            let _ = stream.set_nodelay(true);
            let (serving, mut stopped) = (each(stream), stopped.clone());
            spawner.spawn(async move {
                tokio::select! {
                    () = serving => {}
                    _ = stopped.changed() => {}
                }
            });
        }
    });
    Ok(Server { addr, stop })
}

/// Speaks HTTP/1.1 on `stream` until the peer has enough.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    hub: Arc<Mutex<Hub>>,
    options: Options,
) {
    let service = service_fn(move |request| {
        let hub = Arc::clone(&hub);
        async move { Ok::<_, Infallible>(exchange(request, &hub, options).await) }
    });
    // A client that goes away mid-request is its own business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn exchange(request: Request<Incoming>, hub: &Arc<Mutex<Hub>>, options: Options) -> Response<Sent> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or was cut short\n"),
    };
    let request = Request::from_parts(parts, body);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970").as_secs();
    let (reply, flight) = {
        let mut locked = hub.lock().expect("the hub does not panic");
        if options.control && request.uri().path().starts_with(PREFIX) {
            return control(&mut locked, &request, now).map(Sent::whole);
        }
        let (reply, ticket) = locked.arrive(&request, now);
        (reply, Flight { hub: Arc::clone(hub), ticket: Some(ticket) })
    };
    if !reply.latency.is_zero() {
        tokio::time::sleep(reply.latency).await;
    }
    match reply.response {
        Some(response) => delivery::send(response, reply.delivery, flight),
        None => std::future::pending().await,
    }
}

/// A request in flight; it departs when it is dropped, however its exchange ended.
pub(crate) struct Flight {
    hub: Arc<Mutex<Hub>>,
    ticket: Option<Ticket>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let (Some(ticket), Ok(mut hub)) = (self.ticket.take(), self.hub.lock()) {
            hub.depart(ticket);
        }
    }
}

pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Sent> {
    let mut response = Response::new(Sent::whole(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
