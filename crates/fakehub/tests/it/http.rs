use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use fakehub::{Delivery, Options};

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

/// All that comes for a GET of `path`, until the end or until nothing came for a while.
fn raw(addr: std::net::SocketAddr, path: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let (mut told, mut buffer) = (Vec::new(), [0; 4_096]);
    let ended = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => told.extend(&buffer[..count]),
            Err(error) => break !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    };
    (String::from_utf8(told).unwrap(), ended)
}

#[test]
fn bodies_are_spoilt_on_the_wire_as_told() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    let length = |head: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        line.map(|text| text.parse::<usize>().unwrap())
    };
    let (whole, _) = raw(server.addr, "/meta");
    let full = whole.split_once("\r\n\r\n").unwrap().1.len();
    for (delivery, claimed, sent, ends) in [
        (Delivery::Whole, Some(full), full, false),
        (Delivery::Cut { after: 10 }, Some(full), 10, true),
        (Delivery::Cut { after: 0 }, Some(full), 0, true),
        (Delivery::Hang { after: 10 }, Some(full), 10, false),
        (Delivery::Understated { by: 5 }, Some(full - 5), full - 5, false),
        (Delivery::Overstated { by: 5 }, Some(full + 5), full, true),
    ] {
        stage.hub().deliver("/meta", delivery);
        let (told, ended) = raw(server.addr, "/meta");
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert_eq!((length(head), body.len(), ended), (claimed, sent, ends), "{delivery:?}: {told}");
    }
    stage.hub().deliver("/meta", Delivery::CutChunked { after: 10 });
    let (told, ended) = raw(server.addr, "/meta");
    assert!(ended && told.contains("transfer-encoding: chunked\r\n"), "{told}");
    assert!(told.contains("\r\n\r\nA\r\n") && !told.contains("\r\n0\r\n"), "{told}");
}

#[test]
fn requests_are_in_flight_until_they_are_through_and_no_longer() {
    let stage = Stage::new();
    let server = stage.serve(Options::default());
    stage.hub().set_latency("/meta", Duration::from_millis(300));
    stage.hub().secondary.concurrent_max = Some(3);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(server.addr).unwrap();
            stream.write_all(b"GET /meta HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let answers: Vec<String> = clients
        .into_iter()
        .map(|mut stream| {
            let mut told = String::new();
            stream.read_to_string(&mut told).unwrap();
            told
        })
        .collect();
    let refused = answers.iter().filter(|told| told.starts_with("HTTP/1.1 403") && told.contains("retry-after: 60"));
    assert_eq!(refused.count(), 1);
    assert_eq!(stage.hub().counts().in_flight_max["anonymous"], 4);
    // A client that goes away in the middle departs too.
    stage.hub().silence("/users");
    let gone = TcpStream::connect(server.addr).unwrap();
    (&gone).write_all(b"GET /users/octocat HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    drop(gone);
    stage.hub().reset_counts();
    stage.hub().recover();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        stage.hub().reset_counts();
        exchange(server.addr, "GET /zen HTTP/1.1", "");
        if stage.hub().counts().in_flight_max["anonymous"] == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("a request whose client is gone is still in flight");
}

#[test]
fn every_control_route_of_the_table_does_something_or_says_why_not() {
    let stage = Stage::new();
    let server = stage.serve(CONTROL);
    let control = |line: &str, body: &str| exchange(server.addr, &format!("POST /_fakehub/{line} HTTP/1.1"), body);
    let run = stage.hub().runs("octocat/Hello-World")[0];
    let repo = "repo=octocat/Hello-World";
    let app =
        r#"{"id":42,"slug":"robot","installations":[{"id":7,"account":"acme","permissions":{"issues":"write"}}]}"#;
    let permissions = r#"{"text":"octocat-t","permissions":{"issues":"read"}}"#;
    for (line, body) in [
        ("fail?status=502&html=1&path=/x".to_owned(), ""),
        ("fail?retry_after=none&path=/x".to_owned(), ""),
        ("silence?path=/x".to_owned(), ""),
        ("latency?ms=1&path=/x".to_owned(), ""),
        ("deliver?how=cut&bytes=1&path=/x".to_owned(), ""),
        ("deliver?how=garbled-gzip&path=/x".to_owned(), ""),
        ("skew?secs=-90".to_owned(), ""),
        ("secondary?documented=1".to_owned(), ""),
        ("secondary".to_owned(), r#"{"concurrent_max":7}"#),
        ("recover".to_owned(), ""),
        ("etag-rule?rule=changed".to_owned(), ""),
        ("enterprise?version=3.17.0".to_owned(), ""),
        ("enterprise".to_owned(), ""),
        ("storage?url=http://localhost:1".to_owned(), ""),
        ("apps".to_owned(), app),
        ("role?repo=acme/secret&role=admin".to_owned(), "octocat-t"),
        ("permissions".to_owned(), permissions),
        ("exhaust?login=octocat".to_owned(), ""),
        ("spend?login=octocat&resource=search&points=3".to_owned(), ""),
        (format!("modify?{repo}&push=More%20of%20it"), ""),
        (format!("issues?{repo}&count=3"), ""),
        (format!("issues?{repo}&delete=2"), ""),
        (format!("run?{repo}&run={run}&status=completed&conclusion=failure"), ""),
        (format!("artifact?{repo}&run={run}&name=big&bytes=9"), ""),
        (format!("log?{repo}&run={run}&bytes=9"), ""),
        (format!("downloads?{repo}"), ""),
        (format!("private?{repo}&to=true"), ""),
        (format!("block?{repo}&to=false"), ""),
        (format!("document?path=/x&{repo}"), "[]"),
        (format!("rename?{repo}&name=Hi"), ""),
        ("revoke".to_owned(), "octocat-t"),
        ("reset-counts".to_owned(), ""),
    ] {
        let told = control(&line, body);
        assert!(told.starts_with("HTTP/1.1 200"), "{line}: {told}");
    }
    assert!(exchange(server.addr, "GET /_fakehub/runs?repo=octocat/Hi HTTP/1.1", "").contains(&run.to_string()));
    for (line, reason) in [
        ("nothing", "there is no POST nothing"),
        ("deliver?how=x&bytes=1", "there is no delivery x"),
        ("spend?resource=x&points=1", "there is no resource x"),
        ("permissions", "the body is not"),
        ("run?repo=octocat/Hi&run=1&status=queued", "nothing is called run 1"),
    ] {
        let told = control(line, "");
        assert!(told.starts_with("HTTP/1.1 400") && told.contains(reason), "{line}: {told}");
    }
}
