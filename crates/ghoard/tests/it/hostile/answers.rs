//! What an origin, or whoever plays it, may answer.

use std::{io::Write, time::UNIX_EPOCH};

use flate2::{Compression, write::GzEncoder};

use super::{Origin, assert_unharmed, good, raw, status};
use crate::world::{Machine, TOKEN};

/// How much a daemon may grow over one spoilt answer.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

const PATH: &str = "/repos/o/spoilt";

/// What a client of the door is told for [`PATH`], whole.
fn ask(machine: &Machine, more: &str) -> Vec<u8> {
    let door = machine.base();
    let head = format!("GET {PATH} HTTP/1.1\r\nHost: {door}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n");
    raw(door, format!("{head}{more}\r\n").as_bytes())
}

/// After a spoilt answer the next question goes to the origin again, and its good answer is kept.
fn assert_not_kept(origin: &Origin, machine: &mut Machine, what: &str) {
    origin.answers().insert(PATH.to_owned(), good("{\"good\":true}"));
    for hit in [false, true] {
        let reply = machine.get(PATH, Some(TOKEN));
        assert_eq!((reply.status, reply.text().as_str()), (200, "{\"good\":true}"), "after {what}");
        assert_eq!(reply.header("cache-status").starts_with("ghoard; hit"), hit, "after {what}");
    }
    assert_unharmed(machine, what);
}

/// A write to what was asked, so that it is asked of the origin again. What is asked in the millisecond of
/// a write is not kept, since it may be older; so that has passed on return.
fn write(machine: &Machine) {
    let now_ms = || UNIX_EPOCH.elapsed().unwrap().as_millis();
    machine.request("POST", PATH, Some(TOKEN), "\nContent-Length: 0");
    let written = now_ms();
    while now_ms() == written {
        std::thread::yield_now();
    }
}

#[test]
fn a_broken_answer_is_an_error_and_is_not_kept() {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: close\r\n";
    let long = "a".repeat(1 << 20);
    for (what, answer) in [
        ("a body that ends early", format!("{head}Content-Length: 100\r\n\r\n{{\"a\":")),
        ("a body that does not begin", format!("{head}Content-Length: 100\r\n\r\n")),
        ("a chunk that ends early", format!("{head}Transfer-Encoding: chunked\r\n\r\n64\r\n{{\"a\":")),
        ("chunks without an end", format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")),
        ("a chunk without a size", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")),
        ("two lengths", format!("{head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        ("a length that is none", format!("{head}Content-Length: three\r\n\r\nabc")),
        ("a length past all numbers", format!("{head}Content-Length: 99999999999999999999\r\n\r\nabc")),
        ("a status that is none", "HTTP/1.1 20 OK\r\nContent-Length: 3\r\n\r\nabc".to_owned()),
        ("a header with a zero", format!("{head}X: a\0b\r\nContent-Length: 3\r\n\r\nabc")),
        ("a head without end", format!("{head}X: {long}")),
        ("a head of a megabyte", format!("{head}X: {long}\r\nContent-Length: 3\r\n\r\nabc")),
        ("a thousand headers", format!("{head}{}\r\nabc", "X: 1\r\n".repeat(1000))),
        ("no HTTP at all", "SSH-2.0-OpenSSH_9.9\r\n".to_owned()),
        ("nothing", String::new()),
    ] {
        let origin = Origin::start();
        let mut machine = origin.machine();
        origin.answers().insert(PATH.to_owned(), answer.into_bytes());
        assert_eq!(status(&ask(&machine, "")), 502, "{what}");
        assert_not_kept(&origin, &mut machine, what);
    }
}

#[test]
fn bytes_behind_an_answer_belong_to_no_other() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    // Kept alive, so that what is left over could be taken for the next answer.
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let answer = format!("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\n[]{more}");
    origin.answers().insert(PATH.to_owned(), answer.into_bytes());
    for _ in 0..3 {
        assert!(ask(&machine, "").ends_with(b"\r\n\r\n[]"));
        assert_unharmed(&mut machine, "bytes behind an answer");
    }
}

/// Trailers come after what was decided by the headers, and are not let into it.
#[test]
fn trailers_are_dropped_and_the_body_is_kept_without_them() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let answer = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\nTrailer: ETag\r\nConnection: close\r\n\r\n\
                  2\r\n[]\r\n0\r\nETag: \"late\"\r\nX-Trailed: 1\r\nSet-Cookie: a=b\r\n\r\n";
    origin.answers().insert(PATH.to_owned(), answer.as_bytes().to_vec());
    for hit in [false, true] {
        let reply = machine.get(PATH, Some(TOKEN));
        assert_eq!(reply.text(), "[]");
        assert_eq!(reply.header("cache-status").starts_with("ghoard; hit"), hit);
        assert_eq!(["x-trailed", "set-cookie"].map(|name| reply.header(name)), [""; 2]);
    }
    assert_unharmed(&mut machine, "trailers");
}

fn gzip_of_zeros(bytes: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let piece = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        packed.write_all(&piece).unwrap();
    }
    packed.finish().unwrap()
}

fn packed(body: &[u8]) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Encoding: gzip\r\nConnection: close\r\n";
    let length = body.len();
    [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), body].concat()
}

#[test]
fn a_gzip_bomb_is_passed_on_in_pieces_and_not_kept() {
    const BYTES: usize = 256 << 20;
    let origin = Origin::start();
    let mut machine = origin.machine();
    origin.answers().insert(PATH.to_owned(), packed(&gzip_of_zeros(BYTES)));
    assert_unharmed(&mut machine, "the start");
    let before = machine.rss();
    // To who takes gzip it is what it is: small.
    let answer = ask(&machine, "Accept-Encoding: gzip\r\n");
    assert!(status(&answer) == 200 && answer.len() < 1 << 20, "{}", answer.len());
    // To who does not, it is unpacked as fast as it is read.
    let answer = ask(&machine, "");
    assert!(status(&answer) == 200 && answer.len() > BYTES, "{}", answer.len());
    let growth = machine.rss().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "it grew by {growth} bytes");
    assert!(machine.stat("total_size_bytes") < 1 << 20);
    assert_not_kept(&origin, &mut machine, "a gzip bomb");
}

#[test]
fn gzip_that_is_none_is_not_kept() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let whole = gzip_of_zeros(1 << 20);
    for (what, body) in
        [("no gzip", &b"{\"a\":1}"[..]), ("half of it", &whole[..whole.len() / 2]), ("only its head", &whole[..10])]
    {
        origin.answers().insert(PATH.to_owned(), packed(body));
        let answer = ask(&machine, "Accept-Encoding: gzip\r\n");
        assert!(answer.ends_with(body) || status(&answer) == 502, "{what}");
        ask(&machine, "");
        assert_not_kept(&origin, &mut machine, what);
        // So that the next one is asked for.
        write(&machine);
    }
}

/// Names in `Link` and `Location` are replaced whole or not at all, and nothing of them becomes a header.
#[test]
fn a_link_cannot_carry_more_than_a_link() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let own = format!("http://{}", origin.address);
    let door = machine.base();
    for (link, expected) in [
        (format!("<{own}/x?page=2>; rel=\"next\""), format!("<http://{door}/x?page=2>; rel=\"next\"")),
        ("<https://api.github.com/x>; rel=\"next\"".to_owned(), format!("<http://{door}/x>; rel=\"next\"")),
        ("<https://api.github.com.evil.example/x>".to_owned(), "<https://api.github.com.evil.example/x>".to_owned()),
        ("<https://api.github.com@evil.example/x>".to_owned(), "<https://api.github.com@evil.example/x>".to_owned()),
        (format!("<{own}0/x>"), format!("<{own}0/x>")),
        (
            "<https://evil.example/?https://api.github.community>".to_owned(),
            "<https://evil.example/?https://api.github.community>".to_owned(),
        ),
        (
            "<javascript:alert(1)>, %0d%0aX-Injected: 1".to_owned(),
            "<javascript:alert(1)>, %0d%0aX-Injected: 1".to_owned(),
        ),
        ("a\r\nLink: b".to_owned(), "a, b".to_owned()),
    ] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nLink: {link}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
        );
        origin.answers().insert(PATH.to_owned(), answer.into_bytes());
        for _ in 0..2 {
            let reply = machine.get(PATH, Some(TOKEN));
            assert_eq!((reply.header("link"), reply.header("x-injected")), (expected.as_str(), ""), "{link:?}");
        }
        write(&machine);
        assert_unharmed(&mut machine, &link);
    }
}

/// Bytes that are no text, and doubled headers: the answer is one, the same the first time and from the cache.
#[test]
fn odd_headers_of_an_answer_stay_what_they_are() {
    let origin = Origin::start();
    let mut machine = origin.machine();
    let head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\nConnection: close\r\n";
    for odd in [
        &b"ETag: \"a\"\r\nETag: \"b\"\r\n"[..],
        b"ETag: not quoted\r\n",
        b"ETag: \"\xff\xfe\"\r\n",
        b"Link: <\xff\xfe>; rel=\"next\"\r\n",
        b"Content-Type: \xc3\x28\r\n",
        b"Date: yesterday\r\n",
        b"Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
        b"Cache-Control: max-age=99999999999999999999\r\n",
        b"X-RateLimit-Remaining: -1\r\nX-RateLimit-Reset: 99999999999999999999\r\nRetry-After: never\r\n",
        b"Set-Cookie: session=1\r\n",
    ] {
        origin.answers().insert(PATH.to_owned(), [&head[..], odd, b"\r\n[]"].concat());
        let odd = String::from_utf8_lossy(odd).into_owned();
        for _ in 0..2 {
            let answer = ask(&machine, "");
            assert!(status(&answer) == 200 && answer.ends_with(b"\r\n\r\n[]"), "{odd:?}");
        }
        let again = String::from_utf8_lossy(&ask(&machine, "")).into_owned();
        assert!(!again.to_lowercase().contains("set-cookie"), "a cookie is nobody else's: {again}");
        write(&machine);
        assert_unharmed(&mut machine, &odd);
    }
}
