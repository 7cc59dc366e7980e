//! No secret is found anywhere where it could be read.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use fakehub::Token;
use flate2::read::GzDecoder;

use crate::{
    http,
    world::{GitHub, Lines, Setup, has_gh, wait_until},
};

/// Random letters, from the kernel.
fn random(prefix: &str) -> String {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345";
    prefix.chars().chain(bytes.iter().map(|byte| char::from(letters[*byte as usize % letters.len()]))).collect()
}

/// How a secret could look: any 8 characters of it, plain, in hex, or in base64 of any alignment.
struct Needles(BTreeSet<Vec<u8>>);

const WINDOW: usize = 8;

impl Needles {
    fn of(secrets: &[&str]) -> Self {
        let mut needles = BTreeSet::new();
        for secret in secrets {
            // A prefix such as `ghp_` is no secret.
            let secret = secret.rsplit('_').next().unwrap().as_bytes();
            for window in secret.windows(WINDOW) {
                needles.insert(window.to_vec());
                needles.insert(window.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
                needles.insert(window.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect());
            }
            for skipped in 0..3 {
                let encoded = base64(&secret[skipped..]);
                // Eight characters fill ten of these, and a little.
                needles.extend(encoded.windows(WINDOW + 2).map(<[u8]>::to_vec));
                let url_safe: Vec<u8> = encoded.iter().map(|c| if *c == b'+' { b'-' } else { *c }).collect();
                needles.extend(url_safe.windows(WINDOW + 2).map(<[u8]>::to_vec));
            }
        }
        Self(needles)
    }

    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        for length in self.0.iter().map(Vec::len).collect::<BTreeSet<_>>() {
            for window in bytes.windows(length) {
                assert!(!self.0.contains(window), "{place} shows {:?}", String::from_utf8_lossy(window));
            }
        }
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).map(|c| u32::from(c[0]) << 16 | u32::from(c[1]) << 8 | u32::from(c[2]));
    groups.flat_map(|group| [18, 12, 6, 0].map(|shift| alphabet[(group >> shift & 63) as usize])).collect()
}

/// What can be unpacked of bytes that hold gzip somewhere: bodies lie packed on the disk.
fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let starts = bytes.windows(3).enumerate().filter(|(_, window)| *window == [0x1f, 0x8b, 8]).map(|(at, _)| at);
    let unpack = |at: usize| {
        let mut plain = Vec::new();
        let _ = GzDecoder::new(&bytes[at..]).take(1 << 20).read_to_end(&mut plain);
        plain
    };
    starts.map(unpack).filter(|plain| !plain.is_empty()).collect()
}

fn files_below(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push((entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()));
        }
    }
}

/// Passes a connection on, and keeps every byte of both ways.
#[expect(clippy::disallowed_methods, reason = "the test's own threads, beside the programs")]
pub(crate) fn listening_in(to: SocketAddr, heard: Arc<Mutex<Vec<u8>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for from in listener.incoming().map_while(Result::ok) {
            let to = TcpStream::connect(to).unwrap();
            for (mut from, mut to) in [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)] {
                let heard = heard.clone();
                std::thread::spawn(move || {
                    let mut bytes = [0; 16 << 10];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
                        if to.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    address
}

#[test]
fn no_token_and_no_secret_is_in_any_file_log_answer_or_byte_on_the_wire() {
    let (token, secret) = (random("ghp_"), random(""));
    let github = GitHub::start();
    github.hub().add_token(Token::new(&token, "hubot").with_repo("acme/secret", fakehub::Role::Write));
    let trace = |setup: Setup, name: &str| {
        let registry = setup.home.path("registry").display().to_string();
        setup.member(&secret, &registry, name).env("GHOARD_LOG", "trace").env("GH_TOKEN", &token)
    };
    let a = trace(Setup::new(&github), "a").start();
    let listening = a.listening();
    let port: u16 = listening.rsplit('/').next().unwrap().parse().unwrap();
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let wire = listening_in(([127, 0, 0, 1], port).into(), heard.clone());
    let bootstrap = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", wire.port(), a.peer_id());
    let b = trace(Setup::new(&github), "b").env("CACHE_BOOTSTRAP_PEERS", bootstrap).start();
    b.wait_for_peers(1);

    let with_clone_token = a.get("/repos/acme/secret", Some(&token)).json();
    let clone_token = with_clone_token["temp_clone_token"].as_str().unwrap().to_owned();
    let needles = Needles::of(&[&token, &secret, &clone_token]);
    let path = "/repos/acme/secret/branches";
    a.get(path, Some(&token));
    wait_until("b has heard of it", || b.stat("index_entries") == 1);
    assert!(b.get(path, Some(&token)).header("cache-status").contains("detail=peer"));
    let large = "/repos/octocat/Hello-World/git/blobs/size-300000";
    a.get(large, Some(&token));
    wait_until("b has heard of it", || b.stat("index_entries") == 2);
    b.get(large, Some(&token));
    let passed = [("/search/issues?q=x", ""), ("/repos/acme/secret", "\nX-Unknown: 1"), ("/nothing?access_token=", "")];
    for (path, more) in passed {
        let path = if path.ends_with('=') { format!("{path}{token}") } else { path.to_owned() };
        a.request("GET", &path, Some(&token), more);
    }
    let head = format!(
        "POST /repos/acme/secret/issues HTTP/1.1\nHost: {}\nAuthorization: token {token}\nContent-Length: 13",
        a.base()
    );
    http::exchange(http::tcp(a.base()), &head, br#"{"title":"x"}"#);
    if has_gh("the part of this test that runs gh") {
        let login = format!("github.com:\n    oauth_token: {token}\n    user: hubot\n");
        a.setup.home.write(".config/gh/hosts.yml", login);
        let script = "cat $GH_CONFIG_DIR/config.yml; gh api /repos/acme/secret/branches --jq .[].name";
        let output = a.setup.command("exec --").args(["sh", "-c", script]).output().unwrap();
        assert!(output.status.success());
        needles.assert_absent("exec", &[output.stdout, output.stderr].concat());
        std::fs::remove_file(a.setup.home.path(".config/gh/hosts.yml")).unwrap();
    }

    for (name, machine) in [("a", &a), ("b", &b)] {
        for page in ["/", "/healthz", "/metrics", "/api/mcp/cache/stats", "/api/mcp/peers"] {
            needles.assert_absent(page, &machine.status(page).body);
        }
        let config = machine.setup.command("config").output().unwrap();
        needles.assert_absent("ghoard config", &config.stdout);
        needles.assert_absent("standard output", machine.told.text().as_bytes());
        let log: &Lines = &machine.log;
        assert!(log.text().contains("TRACE"), "the log of {name} is as verbose as it gets");
        needles.assert_absent("the log", log.text().as_bytes());
    }
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(heard.len() > 200_000, "the large body crossed the wire: {}", heard.len());
    needles.assert_absent("the wire", &heard);
    for machine in [a, b] {
        let (setup, code) = machine.terminate();
        assert_eq!(code, Some(0));
        let mut files = Vec::new();
        files_below(&setup.home.path(""), &mut files);
        assert!(
            files.iter().any(|(name, bytes)| name.ends_with("ghoard.redb") && !bytes.is_empty()),
            "the store is there"
        );
        for (name, bytes) in files {
            needles.assert_absent(&name, &bytes);
            for plain in unpacked(&bytes) {
                needles.assert_absent(&name, &plain);
            }
        }
    }
}

#[test]
fn the_search_finds_what_it_searches_for() {
    let needles = Needles::of(&["ghp_ABCDEFGHIJKLMNOPQRSTUVWXYZ"]);
    let hay = |text: &str| std::panic::catch_unwind(|| needles.assert_absent("hay", text.as_bytes())).is_err();
    assert!(hay("..CDEFGHIJ.."));
    assert!(hay("..434445464748494a.."));
    assert!(hay(&String::from_utf8(base64(b"xxABCDEFGHIJKLMNOPQRSTUVWXYZ")).unwrap()));
    assert!(!hay("ghp_..CDEFGHI..CDEFGH"));
}
