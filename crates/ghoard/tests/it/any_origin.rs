//! `rules = "http"`: the same binary before an origin that is not GitHub.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{home::Home, world::Setup};

/// Answers every request with its count, fresh for a minute, and closes the connection.
fn counting_origin() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    #[expect(clippy::disallowed_methods, reason = "a server of this test's own, on real time")]
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|bytes| bytes > 0) {}
            let body = (counted.fetch_add(1, Ordering::SeqCst) + 1).to_string();
            let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\n";
            let _ = write!(stream.get_mut(), "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    (url, count)
}

#[test]
fn any_origin_is_cached_by_http_alone() {
    let (origin, asked) = counting_origin();
    let home = Arc::new(Home::new());
    let machine = Setup::at(home.clone(), &origin).env("GHOARD_RULES", "http").start();
    assert_eq!(machine.line("rules"), format!("http, for {origin}"));
    assert!(machine.line("shares").starts_with("no: "));

    // A token and `Origin` are the origin's business here; what a token got is not kept.
    for (method, more, body, status) in [
        ("GET", "", "1", "fwd=uri-miss"),
        ("GET", "\norigin: https://page.example", "1", "hit"),
        ("GET", "\ncache-control: no-cache", "2", "fwd=request"),
        ("DELETE", "", "3", "fwd=method"),
        ("GET", "\nauthorization: Bearer x", "4", "fwd=uri-miss"),
        ("GET", "", "5", "fwd=uri-miss"),
        ("GET", "", "5", "hit"),
    ] {
        let reply = machine.request(method, "/things?a=%7e", None, more);
        assert_eq!((reply.status, reply.text().as_str()), (200, body), "{method} {more}");
        assert!(reply.header("cache-status").starts_with(&format!("ghoard; {status}")), "{reply:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    assert!(machine.status("/metrics").text().contains("ghoard_http_hits_total 2\n"));
    assert!(!home.path("cache").exists() && !home.path("door.sock").exists());
    assert_eq!(machine.terminate().1, Some(0));
}
