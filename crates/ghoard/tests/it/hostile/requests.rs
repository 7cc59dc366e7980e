//! What a client may try at the doors.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use super::{Origin, assert_unharmed, cut, raw, status};
use crate::{
    http,
    world::{Machine, TOKEN},
};

/// Each `{host}` stands for the door. Each is refused: what of it the origin hears is nothing.
const REFUSED: &[(&str, &str)] = &[
    ("a foreign host", "GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    ("a foreign host with a port", "GET /x HTTP/1.1\r\nHost: evil.example:9120\r\n\r\n"),
    ("two hosts", "GET /x HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n"),
    ("no host", "GET /x HTTP/1.1\r\n\r\n"),
    ("a host with a user", "GET /x HTTP/1.1\r\nHost: {host}@evil.example\r\n\r\n"),
    ("a target of another host", "GET http://evil.example/x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("a web page", "GET /x HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\n\r\n"),
    ("a web page without a name", "GET /x HTTP/1.1\r\nHost: {host}\r\nOrigin: null\r\n\r\n"),
    ("a preflight", "OPTIONS /x HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\n\r\n"),
    ("two credentials", "GET /x HTTP/1.1\r\nHost: {host}\r\nAuthorization: token a\r\nAuthorization: token b\r\n\r\n"),
    ("a credential of the connection", "GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: Authorization\r\n\r\n"),
    ("dots", "GET /repos/o/../../x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("one dot", "GET /repos/./o HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("escaped dots", "GET /repos/%2e%2E/x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("dots behind the prefix", "GET /api/v3/../x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("an escaped slash before dots", "GET /repos/..%2fx HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("an escaped backslash", "GET /repos/..%5Cx HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("an escape of an escape", "GET /repos/%252e%252e/x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("an escaped zero", "GET /repos/o%00/x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("an escaped line break", "GET /repos/o%0d%0aHost:evil/x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("half an escape", "GET /repos/o%2 HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("two slashes", "GET //evil.example/x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("two slashes behind the prefix", "GET /api/v3//x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("a bare line feed in a value", "GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: a\nX: b\rY: c\r\n\r\n"),
    ("a zero in a value", "GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: a\0b\r\n\r\n"),
    ("a space before the colon", "GET /x HTTP/1.1\r\nHost: {host}\r\nContent-Length : 5\r\n\r\nabcde"),
    ("a folded header", "GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: a\r\n folded: b\r\n\r\n"),
    ("a length that is none", "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: five\r\n\r\nabcde"),
    ("a length with a sign", "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: +5\r\n\r\nabcde"),
    ("a negative length", "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: -5\r\n\r\nabcde"),
    ("two lengths", "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
    ("a length past all numbers", "POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999999999999999\r\n\r\nab"),
    ("a coding that nobody has", "POST /x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: magic\r\n\r\nabcde"),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
    ("HTTP/1.0", "GET /x HTTP/1.0\r\nHost: {host}\r\n\r\n"),
    ("HTTP/0.9", "GET /x\r\n\r\n"),
    ("no request", "\r\n\r\n\r\n\r\n\0"),
    ("a method that is none", "G@T /x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("a target that is a star", "GET * HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ("no HTTP at all", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03"),
];

#[test]
fn what_could_mean_two_things_is_refused_at_the_door() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let door = machine.base();
    for (what, request) in REFUSED {
        let request = request.replace("{host}", &door.to_string());
        let before = origin.heard().len();
        let answer = raw(door, request.as_bytes());
        let status = status(&answer);
        assert!((400..500).contains(&status), "{what}: {}", String::from_utf8_lossy(&answer));
        assert_eq!(origin.heard()[before..], [""; 0], "{what}");
        assert_unharmed(&mut machine, what);
    }
    // Who begins with HTTP/2 would not understand an answer in HTTP/1.
    assert_eq!(raw(door, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), b"");
    assert_unharmed(&mut machine, "HTTP/2");
}

#[test]
fn a_head_past_its_limit_is_refused_and_one_below_is_not() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let door = machine.base();
    let long = "a".repeat(64 << 10);
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (what, request) in [
        ("a long header", format!("GET /x HTTP/1.1\r\nHost: {door}\r\nX: {long}\r\n\r\n")),
        ("a long credential", format!("GET /x HTTP/1.1\r\nHost: {door}\r\nAuthorization: Bearer {long}\r\n\r\n")),
        ("a long name", format!("GET /x HTTP/1.1\r\nHost: {door}\r\n{long}: 1\r\n\r\n")),
        ("a long path", format!("GET /{long} HTTP/1.1\r\nHost: {door}\r\n\r\n")),
        ("a long query", format!("GET /x?{long} HTTP/1.1\r\nHost: {door}\r\n\r\n")),
        ("a long method", format!("{} /x HTTP/1.1\r\nHost: {door}\r\n\r\n", "A".repeat(64 << 10))),
        ("a line without end", long.clone()),
        ("many headers", format!("GET /x HTTP/1.1\r\nHost: {door}\r\n{many}\r\n")),
    ] {
        let before = origin.heard().len();
        let status = status(&raw(door, request.as_bytes()));
        // Closed without an answer is what a client sees whose head is still on its way.
        assert!(matches!(status, 0 | 400 | 414 | 431), "{what}: {status}");
        assert_eq!(origin.heard().len(), before, "{what}");
        assert_unharmed(&mut machine, what);
    }
}

/// Absurd, and not ambiguous: each is one question, kept under its own key and under no other.
#[test]
fn an_absurd_query_is_a_question_of_its_own() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let pairs = |separator: &str| (0..2000).map(|n| format!("a{n}={n}")).collect::<Vec<_>>().join(separator);
    let queries =
        ["&&&&", "====", "a=b&a=c&a=b", "a[]=%5B&b=%26%3d", "%E2%98%83=1", "?????", "a=%20+%20", "page=-1&page=1e99"];
    for query in queries.into_iter().map(str::to_owned).chain([pairs("&"), pairs(";")]) {
        let path = format!("/repos/o/r/issues?{query}");
        for hit in [false, true] {
            let reply = machine.get(&path, Some(TOKEN));
            assert_eq!(reply.status, 200, "{query:.40}");
            assert_eq!(reply.header("cache-status").starts_with("ghoard; hit"), hit, "{query:.40}");
        }
    }
    let asked: Vec<_> = origin.heard().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(asked.len(), 10);
    for (at, one) in asked.iter().enumerate() {
        assert!(!asked[..at].contains(one), "asked twice: {one:.80}");
    }
    assert_unharmed(&mut machine, "absurd queries");
}

fn post(machine: &Machine, headers: &str, body: &str) -> Vec<u8> {
    let door = machine.base();
    let head = format!("POST /repos/o/r/issues HTTP/1.1\r\nHost: {door}\r\nConnection: close\r\n");
    cut(door, format!("{head}{headers}\r\n\r\n{body}").as_bytes())
}

#[test]
fn a_body_that_is_not_as_announced_is_no_write_that_succeeded() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    for (what, headers, body) in [
        ("a body that ends early", "Content-Length: 100", "{\"title\":"),
        ("no body at all", "Content-Length: 100", ""),
        ("a chunk that ends early", "Transfer-Encoding: chunked", "64\r\n{\"title\":"),
        ("a chunk without a size", "Transfer-Encoding: chunked", "zz\r\nabc\r\n0\r\n\r\n"),
        ("a chunk past all numbers", "Transfer-Encoding: chunked", "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("chunks without an end", "Transfer-Encoding: chunked", "3\r\nabc\r\n"),
    ] {
        let answer = post(&machine, headers, body);
        // The origin of this test answers before it has read the body; then its answer may be passed on.
        let status = status(&answer);
        assert!(matches!(status, 0 | 200 | 400 | 502), "{what}: {}", String::from_utf8_lossy(&answer));
        assert_unharmed(&mut machine, what);
    }
    let graphql = |body: &str| {
        let door = machine.base();
        let head = format!("POST /graphql HTTP/1.1\r\nHost: {door}\r\nContent-Length: 100\r\n\r\n{body}");
        (status(&cut(door, head.as_bytes())), origin.heard().iter().filter(|head| head.contains("/graphql")).count())
    };
    let (status, heard) = graphql("{\"query\":\"mutation");
    assert!(status == 0 || status >= 400, "{status}");
    assert_eq!(heard, 0, "half a document goes nowhere");
    assert_unharmed(&mut machine, "half a document");
}

/// Two lengths that disagree are how one request hides in another: whatever is done, the origin must
/// not see both, nor a second request.
#[test]
fn a_request_cannot_hide_in_another() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: api.github.com\r\n\r\n";
    for (what, headers, body) in [
        ("chunked and a length", "Transfer-Encoding: chunked\r\nContent-Length: 4", format!("0\r\n\r\n{hidden}")),
        ("a length and chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked", format!("0\r\n\r\n{hidden}")),
        ("chunked twice", "Transfer-Encoding: chunked, chunked", format!("0\r\n\r\n{hidden}")),
        ("chunked in disguise", "Transfer-Encoding: xchunked", format!("0\r\n\r\n{hidden}")),
        (
            "a trailer",
            "Transfer-Encoding: chunked\r\nTrailer: authorization",
            "3\r\nabc\r\n0\r\nAuthorization: token t\r\nX-Trailed: 1\r\n\r\n".to_owned(),
        ),
    ] {
        let before = origin.heard().len();
        post(&machine, headers, &body);
        for head in &origin.heard()[before..] {
            let head = head.to_lowercase();
            assert!(head.starts_with("post /repos/o/r/issues "), "{what}: {head}");
            let both = head.contains("content-length") && head.contains("transfer-encoding");
            let trailed =
                ["authorization:", "x-trailed:"].iter().any(|name| head.lines().any(|line| line.starts_with(name)));
            assert!(!both && !trailed, "{what}: {head}");
        }
        assert_unharmed(&mut machine, what);
    }
}

#[test]
fn doubled_headers_that_select_an_answer_are_not_kept() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    for name in ["Accept", "X-GitHub-Api-Version"] {
        for _ in 0..2 {
            let reply = machine.request("GET", "/repos/o/r", Some(TOKEN), &format!("\n{name}: a/b\n{name}: c/d"));
            assert_eq!((reply.status, reply.header("cache-status")), (200, "ghoard; fwd=bypass; fwd-status=200"));
        }
        assert_unharmed(&mut machine, name);
    }
}

/// The socket knows hosts; it is no way to any other.
#[test]
fn the_socket_leads_to_no_foreign_host() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let nearby: SocketAddr = machine.base();
    for host in
        ["evil.example", "127.0.0.1", &nearby.to_string(), "localhost", "169.254.169.254", "github.com.evil.example"]
    {
        let reply = http::exchange(http::unix(&machine.socket()), &format!("GET /x HTTP/1.1\nHost: {host}"), b"");
        assert_eq!(reply.status, 403, "{host}");
    }
    let mut stream = http::unix(&machine.socket());
    stream.write_all(b"GET /%2e%2e/x HTTP/1.1\r\nHost: api.github.com\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((status(&answer), origin.heard().len()), (400, 0));
    assert_unharmed(&mut machine, "foreign hosts");
}
