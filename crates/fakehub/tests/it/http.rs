use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use fakehub::Options;

use crate::{Stage, exchange};

const CONTROL: Options = Options { control: true };

#[test]
fn a_connection_is_kept_and_head_has_no_body() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    let mut stream = TcpStream::connect(server.addr).unwrap();
    let two = "HEAD /users/octocat HTTP/1.1\r\nhost: a\r\n\r\nGET /repos/octo-org/empty/issues HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(two.as_bytes()).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    let (head, rest) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("content-length: 0"), "{head}");
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\n[]"), "{rest}");
    assert_eq!(stage.hub().counts().total.requests, 2);
}

#[test]
fn a_304_over_the_wire_is_empty_and_free() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    let head = "GET /user HTTP/1.1\r\nauthorization: Bearer octocat-t";
    let first = exchange(server.addr, head, "");
    let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let second = exchange(server.addr, &format!("{head}\r\nif-none-match: {tag}"), "");
    assert!(second.starts_with("HTTP/1.1 304 Not Modified\r\n") && second.ends_with("\r\n\r\n"), "{second}");
    assert!(second.contains("x-ratelimit-remaining: 4999\r\n"), "{second}");
    let total = stage.hub().counts().total;
    assert_eq!((total.charged, total.not_modified), (1, 1));
}

#[test]
fn a_body_over_16_mib_arrives_whole() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    let bytes = (16 << 20) + 1;
    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}");
    let told = exchange(server.addr, &format!("GET {path} HTTP/1.1"), "");
    assert_eq!(told.split_once("\r\n\r\n").unwrap().1.len(), bytes);
}

#[test]
fn the_shell_waits_and_keeps_silent_as_told() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    stage.hub().set_latency("/meta", Duration::from_millis(120));
    stage.hub().silence("/users");
    let started = Instant::now();
    assert!(exchange(server.addr, "GET /meta HTTP/1.1", "").starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() >= Duration::from_millis(120));

    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    stream.write_all(b"GET /users/octocat HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert_eq!(stage.hub().counts().total.failed, 1);
}

#[test]
fn stop_closes_the_port_and_open_connections() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    stage.hub().silence("");
    let addr = server.addr;
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    while stage.hub().counts().total.requests == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    stage.runtime.block_on(server.stop());
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn control_routes_steer_the_hub_and_are_not_counted() {
    let stage = Stage::new();
    let server = stage.serve(CONTROL);
    let control = |line: &str, body: &str| exchange(server.addr, &format!("{line} HTTP/1.1"), body);
    let get = |path: &str, token: &str| {
        exchange(server.addr, &format!("GET {path} HTTP/1.1\r\nauthorization: token {token}"), "")
    };

    let token = r#"{"text":"new-t","login":"newcomer","repos":{"acme/secret":"read"},"limit":9}"#;
    assert!(control("POST /_fakehub/tokens", token).starts_with("HTTP/1.1 200"));
    assert!(get("/repos/acme/secret", "new-t").contains("x-ratelimit-limit: 9\r\n"));
    let refused = control("POST /_fakehub/tokens", r#"{"text":"leaky-t","login":5}"#);
    assert!(refused.starts_with("HTTP/1.1 400") && !refused.contains("leaky-t"), "{refused}");

    control("POST /_fakehub/fail?status=500&path=/user", "");
    assert!(get("/user", "new-t").starts_with("HTTP/1.1 500"));
    control("POST /_fakehub/fail?retry_after=7&path=/user", "");
    assert!(get("/user", "new-t").contains("retry-after: 7\r\n"));
    control("POST /_fakehub/recover", "");

    let before = get("/repos/octocat/Hello-World/issues/1", "new-t");
    control("POST /_fakehub/modify?repo=octocat/Hello-World&issue=1&title=Changed", "");
    assert_ne!(before, get("/repos/octocat/Hello-World/issues/1", "new-t"));
    assert!(get("/repos/octocat/Hello-World/issues/1", "new-t").contains(r#""title":"Changed""#));
    assert!(control("POST /_fakehub/modify?repo=no/where", "").contains("nothing is called no/where"));

    control("POST /_fakehub/exhaust?login=newcomer", "");
    assert!(get("/user", "new-t").contains("x-ratelimit-remaining: 0\r\n"));
    assert!(control("POST /_fakehub/revoke", "new-t").starts_with("HTTP/1.1 200"));
    assert!(get("/user", "new-t").starts_with("HTTP/1.1 401"));

    let counts = control("GET /_fakehub/counts", "");
    assert!(counts.contains(r#""label":"newcomer""#) && !counts.contains("_fakehub"), "{counts}");
    control("POST /_fakehub/reset-counts", "");
    assert_eq!(stage.hub().counts().total.requests, 0);
}

#[test]
fn without_the_option_there_is_no_control() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    assert!(exchange(server.addr, "GET /_fakehub/counts HTTP/1.1", "").starts_with("HTTP/1.1 404"));
}
