//! Requests and answers that no honest program sends: refused or passed through, never kept wrong, and
//! the next client is served as if nothing had been.

mod answers;
mod requests;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    home::Home,
    http::{self, Reply},
    world::{Machine, Setup, TOKEN},
};

/// An origin that answers each path with exactly these bytes, and closes the connection.
#[derive(Clone)]
struct Origin {
    address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    #[expect(clippy::disallowed_methods, reason = "the test's own threads, beside the program")]
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let origin = Self { address, answers: Arc::default(), heard: Arc::default() };
        let server = origin.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        origin
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.heard().push(head);
        let answer = self.answers().get(&path).cloned();
        let _ = stream.write_all(&answer.unwrap_or_else(|| good(&format!("{{\"path\":{path:?}}}"))));
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The heads of all requests, in order.
    fn heard(&self) -> MutexGuard<'_, Vec<String>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn machine(&self) -> Machine {
        let setup = Setup::at(Arc::new(Home::new()), &format!("http://{}", self.address));
        setup.env("GHOARD_ORIGIN_TIMEOUT", "2").start()
    }
}

fn good(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends these bytes, and returns the answer to them: all of it, or what comes until the door closes.
fn raw(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = http::tcp(to);
    // The door may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..count]);
        if is_whole(&answer) {
            break;
        }
    }
    answer
}

/// Sends these bytes and leaves; what is said to that is said to nobody. Returns when the door has closed.
fn cut(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = http::tcp(to);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Whether the length that an answer names has come.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

/// The status of an answer; 0 for none.
fn status(answer: &[u8]) -> u16 {
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The daemon runs, has not panicked, and answers what is asked next, from the origin and from the cache.
fn assert_unharmed(machine: &mut Machine, after: &str) {
    let path = format!("/repos/o/{}", machine.stat("total_requests"));
    for hit in [false, true] {
        let reply: Reply = machine.get(&path, Some(TOKEN));
        assert_eq!((reply.status, reply.text()), (200, format!("{{\"path\":{path:?}}}")), "after {after}");
        let found = reply.header("cache-status");
        assert_eq!(found.starts_with("ghoard; hit"), hit, "{path} after {after}: {found}");
    }
    assert!(machine.child.try_wait().unwrap().is_none(), "after {after}");
    assert!(!machine.log.text().contains("panicked"), "after {after}:\n{}", machine.log.text());
}
