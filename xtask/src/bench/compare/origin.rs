use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::SIZES;

/// A GitHub of three lists, with its headers, which counts what it is asked.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    pub(super) bodies: Arc<Vec<Stored>>,
    asked: Arc<AtomicU64>,
}

/// One list, in both forms.
pub(super) struct Stored {
    pub(super) plain: Vec<u8>,
    pub(super) gzip: Vec<u8>,
}

impl Origin {
    pub(super) fn start() -> Result<Self, String> {
        let mut bodies = Vec::new();
        for (_, bytes) in SIZES {
            let plain = list(bytes);
            let gzip = gzip(&plain)?;
            bodies.push(Stored { plain, gzip });
        }
        let (bodies, asked) = (Arc::new(bodies), Arc::new(AtomicU64::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|cause| format!("no port for the origin: {cause}"))?;
        let address = listener.local_addr().map_err(|cause| cause.to_string())?;
        let (served, counter) = (bodies.clone(), asked.clone());
        in_thread(move || {
            for stream in listener.incoming().flatten() {
                let (bodies, asked) = (served.clone(), counter.clone());
                in_thread(move || serve(&stream, &bodies, &asked));
            }
        });
        Ok(Self { address, bodies, asked })
    }

    /// How often it was asked since its start.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The path of the list of this size.
pub(super) fn path(size: usize) -> String {
    format!("/repos/octocat/hello-{size}/issues")
}

/// The same list as the first one, under one of many paths, counted from 1; `bench/rivals/rotate.lua` has it, too.
pub(super) fn rotating_path(at: usize) -> String {
    format!("/repos/octocat/turn-{at}/issues")
}

#[expect(clippy::disallowed_methods, reason = "no simulated time here")]
pub(super) fn in_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

/// Answers one connection's requests until it ends.
fn serve(stream: &TcpStream, bodies: &[Stored], asked: &AtomicU64) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let mut takes_gzip = false;
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let line = line.to_ascii_lowercase();
            takes_gzip |= line.starts_with("accept-encoding:") && line.contains("gzip");
        }
        let target = first.split(' ').nth(1).unwrap_or_default();
        let found = (0..bodies.len()).find(|size| target == path(*size));
        let found = found.or_else(|| target.starts_with("/repos/octocat/turn-").then_some(0));
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = found.map_or_else(
            || b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
            |size| answer(&bodies[size], takes_gzip),
        );
        let mut out = stream;
        if out.write_all(&answer).is_err() {
            return;
        }
    }
}

/// What GitHub's answers carry, as recorded; the ETag and the identifiers are invented.
fn answer(stored: &Stored, gzip: bool) -> Vec<u8> {
    let (coding, body) = if gzip { ("content-encoding: gzip\r\n", &stored.gzip) } else { ("", &stored.plain) };
    let head = format!(
        "HTTP/1.1 200 OK\r\n\
         server: github.com\r\n\
         date: {}\r\n\
         content-type: application/json; charset=utf-8\r\n\
         cache-control: private, max-age=60, s-maxage=60\r\n\
         vary: Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With\r\n\
         etag: W/\"4f1f8d1f3b1c6d0c8a2d1c1d8b7a6f5e4d3c2b1a0f9e8d7c6b5a493827160504\"\r\n\
         x-oauth-scopes: repo, workflow\r\n\
         x-accepted-oauth-scopes: repo\r\n\
         x-github-media-type: github.v3; format=json\r\n\
         x-github-api-version-selected: 2022-11-28\r\n\
         x-ratelimit-limit: 5000\r\n\
         x-ratelimit-remaining: 4999\r\n\
         x-ratelimit-reset: {}\r\n\
         x-ratelimit-used: 1\r\n\
         x-ratelimit-resource: core\r\n\
         access-control-expose-headers: ETag, Link, Location, Retry-After, X-RateLimit-Limit\r\n\
         access-control-allow-origin: *\r\n\
         strict-transport-security: max-age=31536000; includeSubdomains; preload\r\n\
         x-frame-options: deny\r\n\
         x-content-type-options: nosniff\r\n\
         x-github-request-id: C0DE:1234:5678:9ABC:DEF0\r\n\
         {coding}content-length: {}\r\n\r\n",
        date(),
        unix_secs() + 3000,
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

/// A list of issues, near `bytes` long, as GitHub would write it: mostly URLs, numbers and times.
fn list(bytes: usize) -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut text = String::from("[");
    for number in 1.. {
        let (id, user, word, sha) = (next() % 3_000_000_000, next() % 90_000_000, next(), next());
        let url = format!("https://api.github.com/repos/octocat/hello/issues/{number}");
        let issue = format!(
            "{{\"url\":\"{url}\",\"labels_url\":\"{url}/labels{{/name}}\",\"comments_url\":\"{url}/comments\",\
             \"html_url\":\"https://github.com/octocat/hello/issues/{number}\",\"id\":{id},\"node_id\":\"I_kwDO{word:016x}\",\
             \"number\":{number},\"title\":\"case {word:x} fails after {sha:x}\",\"user\":{{\"login\":\"user-{user}\",\
             \"id\":{user},\"avatar_url\":\"https://avatars.githubusercontent.com/u/{user}?v=4\"}},\"state\":\"open\",\
             \"comments\":{},\"created_at\":\"2026-{:02}-{:02}T{:02}:{:02}:{:02}Z\",\"body\":null}}",
            user % 40,
            user % 12 + 1,
            id % 28 + 1,
            id % 24,
            sha % 60,
            word % 60,
        );
        if number > 1 && text.len() + issue.len() > bytes {
            break;
        }
        if number > 1 {
            text.push(',');
        }
        text.push_str(&issue);
    }
    text.push(']');
    text.extend(std::iter::repeat_n(' ', bytes.saturating_sub(text.len())));
    text.into_bytes()
}

fn gzip(plain: &[u8]) -> Result<Vec<u8>, String> {
    let why = |cause| format!("could not run gzip: {cause}");
    let child = Command::new("gzip").args(["-6", "-n", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(why)?;
    let (mut to, plain) = (child.stdin.take().expect("it is piped"), plain.to_vec());
    in_thread(move || drop(to.write_all(&plain)));
    Ok(child.wait_with_output().map_err(why)?.stdout)
}

fn unix_secs() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn date() -> String {
    let now = Command::new("date").args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]).env("LC_ALL", "C").output();
    now.map_or_else(|_| String::new(), |now| String::from_utf8_lossy(&now.stdout).trim().to_owned())
}
