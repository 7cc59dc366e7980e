//! The shells, met by clients that do not know that this is not GitHub.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod command;
mod gh;
mod http;
mod proxy;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use fakehub::{Hub, Options, Role, Token};
use task::Tasks;
use tokio::runtime::Runtime;

/// A hub, shared with its shell, and the runtime that the shell runs on.
struct Stage {
    hub: Arc<Mutex<Hub>>,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Self {
        let mut hub = Hub::standard(7);
        hub.add_token(Token::new("octocat-t", "octocat").with_repo("acme/secret", Role::Write));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { hub: Arc::new(Mutex::new(hub)), runtime }
    }

    fn serve(&self, options: Options) -> fakehub::Server {
        self.runtime.block_on(fakehub::serve(&Tasks::tokio(), Arc::clone(&self.hub), options)).unwrap()
    }

    fn proxy(&self) -> fakehub::tls::Proxy {
        let tasks = Tasks::tokio();
        let serving = fakehub::tls::serve(&tasks, Arc::clone(&self.hub), Options::default());
        self.runtime.block_on(serving).unwrap()
    }

    fn hub(&self) -> std::sync::MutexGuard<'_, Hub> {
        self.hub.lock().unwrap()
    }
}

/// Sends `head` (without its last empty line) and `body`, and returns all that comes until the end.
fn exchange(addr: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    write!(stream, "{head}\r\nhost: api.github.com\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    String::from_utf8(told).unwrap()
}
