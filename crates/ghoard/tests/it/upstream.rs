//! The way to the origin: proxies of the environment, and certificates of one's own.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use fakehub::{Options, tls};
use task::Tasks;

use crate::{
    home::Home,
    secrets::listening_in,
    world::{GitHub, Setup, TOKEN, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";

/// A proxy that plays `api.github.com`, the bytes that it was sent, and where to reach it.
struct Proxy {
    /// Ends with this.
    _inner: tls::Proxy,
    ca_pem: String,
    heard: Arc<Mutex<Vec<u8>>>,
    address: SocketAddr,
}

impl Proxy {
    fn start(github: &GitHub) -> Self {
        let _context = github.runtime.enter();
        let tasks = Tasks::tokio();
        let inner = github.runtime.block_on(tls::serve(&tasks, github.shared_hub(), Options::default())).unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let address = listening_in(inner.addr, heard.clone());
        Self { ca_pem: inner.ca_pem.clone(), _inner: inner, heard, address }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn tunnels(&self) -> usize {
        self.heard().matches("CONNECT api.github.com:443 ").count()
    }
}

/// A machine whose origin is the real name of the API, which only a proxy leads to in these tests.
fn by_proxy(github: &GitHub, proxy: &Proxy, variable: &str) -> Setup {
    Setup::new(github)
        .env("GHOARD_ORIGIN", "https://api.github.com")
        .env(variable, format!("http://me:hunter2-hunter2@{}", proxy.address))
        .env("GHOARD_LOG", "trace")
}

#[test]
fn the_origin_is_reached_by_a_proxy_and_with_an_extra_ca() {
    let github = GitHub::start();
    let (proxy, other) = (Proxy::start(&github), Proxy::start(&github));
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let setup = by_proxy(&github, &proxy, variable);
        let bundle = format!("# two of them\n{}\n{}", other.ca_pem, proxy.ca_pem);
        let file = setup.home.write("ca.pem", bundle).display().to_string();
        let before = proxy.tunnels();
        let machine = setup.env("GHOARD_EXTRA_CA", file).start();
        let reply = machine.get(REPO, Some(TOKEN));
        assert_eq!(reply.status, 200, "{variable}: {}", reply.text());
        assert_eq!(proxy.tunnels(), before + 1, "{variable}");
        assert!(proxy.heard().contains("Basic bWU6aHVudGVyMi1odW50ZXIy"), "the proxy is told the password");

        let said = machine.log.text() + &machine.told.text() + &machine.stats().to_string();
        for secret in ["hunter2", "aHVudGVyMi"] {
            assert!(!said.contains(secret), "{variable}: the password of the proxy is shown:\n{said}");
        }
    }
    assert_eq!(github.count(REPO).requests, 3);
}

#[test]
fn a_ca_that_is_not_trusted_is_an_error_that_says_so() {
    let github = GitHub::start();
    let proxy = Proxy::start(&github);
    let machine = by_proxy(&github, &proxy, "HTTPS_PROXY").start();
    let reply = machine.get(REPO, Some(TOKEN));
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("cannot connect to api.github.com") && reply.text().contains("certificate"));
    assert!(!reply.text().contains("hunter2"));
    assert_eq!(github.count(REPO).requests, 0);
}

#[test]
fn a_proxy_that_is_gone_is_an_error_without_its_password() {
    let github = GitHub::start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let machine = Setup::new(&github)
        .env("GHOARD_ORIGIN", "https://api.github.com")
        .env("HTTPS_PROXY", format!("http://me:hunter2-hunter2@{nobody}"))
        .env("GHOARD_LOG", "trace")
        .start();
    let reply = machine.get(REPO, Some(TOKEN));
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert!(!(reply.text() + &machine.log.text()).contains("hunter2"), "{}", reply.text());
}

#[test]
fn no_proxy_goes_direct_and_so_does_loopback() {
    let github = GitHub::start();
    let (address, asked) = counting_proxy();
    let port = github.url.rsplit(':').next().unwrap().to_owned();
    // 0.0.0.0 leads to this machine, and is not a name of loopback.
    for (origin, no_proxy, expected) in [
        (format!("http://0.0.0.0:{port}"), "", 1),
        (format!("http://0.0.0.0:{port}"), "example.org, 0.0.0.0", 0),
        (github.url.clone(), "", 0),
        (format!("http://localhost:{port}"), "", 0),
    ] {
        let proxy = format!("http://{address}");
        let setup = Setup::new(&github).env("GHOARD_ORIGIN", &origin).env("HTTP_PROXY", proxy);
        let machine = setup.env("NO_PROXY", no_proxy).start();
        let before = *asked.lock().unwrap();
        let reply = machine.get(REPO, Some(TOKEN));
        assert_eq!(*asked.lock().unwrap() - before, expected, "{origin} without {no_proxy:?}: {}", reply.text());
        assert_eq!(reply.status, if expected == 0 { 200 } else { 503 });
    }
}

/// A proxy for plain HTTP that counts what it is asked for, and answers 503 to all of it.
#[expect(clippy::disallowed_methods, reason = "the test's own thread, beside the program")]
fn counting_proxy() -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<usize>>::default();
    let counted = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or_default();
            if head[..read].starts_with(b"GET http://") {
                *counted.lock().unwrap() += 1;
            }
            let _ = stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (address, asked)
}

#[test]
fn a_file_that_is_no_ca_is_refused_at_the_start() {
    let home = Home::new();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (None, "No such file"),
        (Some("nothing"), "there is no certificate in it"),
        (Some(bad), "its certificate 1 cannot be read"),
    ] {
        let path = home.path("ca.pem");
        if let Some(text) = text {
            home.write("ca.pem", text);
        }
        let said = home.transcript(home.ghoard("run --enable-p2p=false --extra-ca").arg(&path));
        assert!(said.contains("err: error: extra_ca ~/ca.pem cannot be used: ") && said.contains(expected), "{said}");
        assert!(said.contains("hint: give it a file with one or more certificates in PEM"), "{said}");
        assert!(said.ends_with("exit: 2\n"), "{said}");
    }
}

#[test]
fn a_proxy_of_another_kind_is_named_at_the_start() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("HTTPS_PROXY", "socks5://me:hunter2-hunter2@127.0.0.1:1").start();
    wait_until("it warns", || machine.log.text().contains("HTTPS_PROXY names no proxy that ghoard can use"));
    assert!(!machine.log.text().contains("hunter2"));
}
