//! Stories: a client, a scripted origin, and what each of them saw.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use gateway::{Body, Broken, Handle, Origin, OriginError, empty, full};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use task::Tasks;
use tokio::sync::Semaphore;

use crate::HttpCache;

type Script = Box<dyn Fn(&Request<()>) -> Option<Response<Body>> + Send + Sync>;

/// Answers by a script; `None` is a connection that breaks. A request with the field `slow` needs a permit of `gate`.
struct Scripted {
    script: Script,
    asked: Mutex<Vec<String>>,
    gate: Semaphore,
}

impl Origin for Scripted {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        let (head, _) = request.into_parts();
        let shown = ["if-none-match", "range"]
            .into_iter()
            .filter_map(|name| Some(format!(" {name}={}", head.headers.get(name)?.to_str().ok()?)));
        let asked = format!("{} {}{}", head.method, head.uri.path_and_query().unwrap(), shown.collect::<String>());
        self.asked.lock().unwrap().push(asked);
        async move {
            if head.headers.contains_key(SLOW.0) {
                self.gate.acquire().await.unwrap().forget();
            }
            let broken = || OriginError::Broken {
                host: "origin".to_owned(),
                cause: Broken::new(std::io::Error::other("closed")),
            };
            (self.script)(&Request::from_parts(head, ())).ok_or_else(broken)
        }
        .boxed()
    }
}

struct World {
    origin: Arc<Scripted>,
    cache: Arc<HttpCache>,
}

/// What a client saw.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get_all(name).iter().next_back().map_or("", |value| value.to_str().unwrap())
    }

    /// Status, body and the last word of `Cache-Status` about it.
    fn told(&self) -> String {
        let status = self.header("cache-status");
        let how = status.split("; ").nth(1).unwrap_or(status);
        format!("{} {} {how}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl World {
    fn new(script: impl Fn(&Request<()>) -> Option<Response<Body>> + Send + Sync + 'static) -> Self {
        Self::with_memory(1 << 20, script)
    }

    fn with_memory(
        bytes: u64,
        script: impl Fn(&Request<()>) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let gate = Semaphore::new(0);
        let origin = Arc::new(Scripted { script: Box::new(script), asked: Mutex::default(), gate });
        let hour = Duration::from_secs(3600);
        let cache = Arc::new(HttpCache::new(origin.clone(), "http://origin", bytes, hour, Tasks::tokio()));
        Self { origin, cache }
    }

    async fn response(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:9120");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.cache.clone().answer(request.body(empty()).unwrap()).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Seen {
        let (head, body) = self.response(method, path, headers).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_else(|_| b"(broken)".to_vec());
        Seen { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> String {
        self.ask("GET", path, &[]).await.told()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.origin.asked.lock().unwrap())
    }

    /// Waits until the origin was asked `count` times since [`World::asked`].
    async fn until_asked(&self, count: usize) {
        while self.origin.asked.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn until(&self, holds: impl Fn(&HttpCache) -> bool) {
        while !holds(&self.cache) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Option<Response<Body>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Some(response.body(full(body)).unwrap())
}

const SLOW: (&str, &str) = ("slow", "1");
const FRESH: (&str, &str) = ("cache-control", "max-age=60");

#[tokio::test]
async fn a_fresh_answer_is_asked_for_once() {
    let world = World::new(|request| answer(200, &[FRESH], request.uri().path().to_owned()));
    assert_eq!(world.get("/a").await, "200 /a fwd=uri-miss");
    assert_eq!(world.get("/a").await, "200 /a hit");
    assert_eq!(world.get("/a?b").await, "200 /a fwd=uri-miss");
    let head = world.ask("HEAD", "/a", &[]).await;
    assert_eq!((head.told().as_str(), head.header("content-length"), head.header("age")), ("200  hit", "2", "0"));
    assert_eq!(world.asked(), ["GET /a", "GET /a?b"]);
}

#[tokio::test]
async fn equal_misses_wait_for_the_first() {
    let world = Arc::new(World::new(|_| answer(200, &[FRESH], "x")));
    let clients = futures::future::join_all((0..20).map(|_| async { world.ask("GET", "/a", &[SLOW]).await.told() }));
    let (told, ()) = tokio::join!(clients, async {
        world.until_asked(1).await;
        world.origin.gate.add_permits(1);
    });
    assert_eq!(world.asked(), ["GET /a"]);
    assert_eq!(told.iter().filter(|told| *told == "200 x hit").count(), 19, "{told:?}");
}

#[tokio::test]
async fn a_stale_answer_is_confirmed_with_its_tag() {
    let world = World::new(|request| match request.headers().get("if-none-match") {
        Some(_) => answer(304, &[FRESH, ("a", "2")], ""),
        None => answer(200, &[("cache-control", "max-age=0"), ("etag", "\"x\""), ("a", "1")], "body"),
    });
    assert_eq!(world.get("/a").await, "200 body fwd=uri-miss");
    let confirmed = world.ask("GET", "/a", &[("range", "bytes=1-2")]).await;
    assert_eq!((confirmed.told().as_str(), confirmed.header("a")), ("206 od fwd=stale", "2"));
    assert_eq!(world.get("/a").await, "200 body hit");
    assert_eq!(world.ask("GET", "/a", &[("if-none-match", "\"x\"")]).await.told(), "304  hit");
    assert_eq!(world.asked(), ["GET /a", "GET /a if-none-match=\"x\""]);
}

#[tokio::test]
async fn what_breaks_off_is_passed_on_and_not_kept() {
    let world = World::new(|request| {
        let pieces = [Ok(hyper::body::Frame::data(Bytes::from_static(b"half")))];
        let end = request.uri().path().ends_with("error").then(|| Err(Broken::new(std::io::Error::other("reset"))));
        let body = Body::streamed(StreamBody::new(stream::iter(pieces.into_iter().chain(end))));
        Some(Response::builder().header(FRESH.0, FRESH.1).header("content-length", "8").body(body).unwrap())
    });
    assert_eq!(world.get("/error").await, "200 (broken) fwd=uri-miss");
    assert_eq!(world.get("/short").await, "200 half fwd=uri-miss");
    assert_eq!(world.cache.held().1, 0);
}

#[tokio::test]
async fn an_answer_is_kept_although_its_client_left() {
    let world = World::new(|_| {
        let pieces = stream::iter((0..100).map(|_| Ok(hyper::body::Frame::data(Bytes::from_static(&[b'x'; 100])))));
        let body = Body::streamed(StreamBody::new(pieces.then(|piece| async {
            tokio::task::yield_now().await;
            piece
        })));
        Some(Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap())
    });
    drop(world.response("GET", "/a", &[]).await);
    world.until(|cache| cache.held().1 == 1).await;
    let seen = world.ask("GET", "/a", &[("range", "bytes=-1")]).await;
    assert_eq!((seen.status, seen.header("content-range")), (206, "bytes 9999-9999/10000"));
    assert_eq!(world.ask("GET", "/a", &[("range", "bytes=10000-")]).await.status, 416);
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_not_read_for_ever() {
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    struct Ends(Arc<std::sync::atomic::AtomicBool>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let told = ended.clone();
    let world = World::new(move |_| {
        let pieces = stream::unfold(Ends(told.clone()), |ends| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(hyper::body::Frame::data(Bytes::from_static(b"x"))), ends))
        });
        let body = Body::streamed(StreamBody::new(pieces));
        Some(Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap())
    });
    drop(world.response("GET", "/a", &[]).await);
    let (began, is_over) = (tokio::time::Instant::now(), || ended.load(std::sync::atomic::Ordering::SeqCst));
    while !is_over() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(began.elapsed() < 2 * crate::limits::ORPHAN_PATIENCE, "still read");
    }
}

#[tokio::test]
async fn stale_is_served_while_one_asks() {
    let world = World::new(|_| {
        let stale = "max-age=0, stale-while-revalidate=60";
        answer(200, &[("cache-control", stale), ("etag", "\"x\"")], "x")
    });
    world.get("/a").await;
    for _ in 0..3 {
        assert_eq!(world.ask("GET", "/a", &[SLOW]).await.told(), "200 x hit");
    }
    world.until_asked(2).await;
    assert_eq!(world.asked(), ["GET /a", "GET /a if-none-match=\"x\""]);
}

#[tokio::test]
async fn without_the_origin_stale_is_served_unless_it_is_forbidden() {
    let world = World::new(|request| {
        let directives = match request.uri().path() {
            "/may" => "max-age=0",
            _ => "max-age=0, must-revalidate",
        };
        let is_first = !request.headers().contains_key("if-none-match");
        is_first.then(|| answer(200, &[("cache-control", directives), ("etag", "\"x\"")], "x"))?
    });
    for path in ["/may", "/must"] {
        world.get(path).await;
    }
    assert_eq!(world.get("/may").await, "200 x hit");
    assert_eq!(world.ask("GET", "/must", &[]).await.status, 504);
}

#[tokio::test]
async fn a_write_ends_what_it_names_and_what_is_under_way() {
    let world = World::new(|request| match request.method().as_str() {
        "GET" => answer(200, &[FRESH], "x"),
        _ => answer(201, &[("location", "/made")], ""),
    });
    for path in ["/a", "/made", "/else"] {
        world.get(path).await;
    }
    let (late, ()) = tokio::join!(world.ask("GET", "/late", &[SLOW]), async {
        world.until_asked(4).await;
        assert_eq!(world.ask("POST", "/late", &[]).await.status, 201);
        world.origin.gate.add_permits(1);
    });
    assert_eq!(late.told(), "200 x fwd=uri-miss");
    assert_eq!(world.get("/late").await, "200 x fwd=uri-miss");
    assert_eq!(world.get("/made").await, "200 x fwd=uri-miss");
    assert_eq!(world.get("/a").await, "200 x hit");
    assert_eq!(world.ask("POST", "/else", &[]).await.status, 201);
    assert_eq!(world.get("/else").await, "200 x fwd=uri-miss");
}

#[tokio::test]
async fn a_part_is_completed_by_what_it_lacks() {
    let world = World::new(|request| match request.headers().get("range").map(http::HeaderValue::as_bytes) {
        Some(b"bytes=0-4") => answer(206, &[FRESH, ("etag", "\"x\""), ("content-range", "bytes 0-4/10")], "01234"),
        Some(b"bytes=5-") => answer(206, &[FRESH, ("etag", "\"x\""), ("content-range", "bytes 5-9/10")], "56789"),
        _ => answer(200, &[FRESH], "all"),
    });
    assert_eq!(world.ask("GET", "/a", &[("range", "bytes=0-4")]).await.told(), "206 01234 fwd=uri-miss");
    assert_eq!(world.ask("GET", "/a", &[("range", "bytes=1-2")]).await.told(), "206 12 hit");
    assert_eq!(world.get("/a").await, "200 0123456789 fwd=partial");
    assert_eq!(world.get("/a").await, "200 0123456789 hit");
    assert_eq!(world.asked(), ["GET /a range=bytes=0-4", "GET /a range=bytes=5-"]);
}

#[tokio::test]
async fn variants_live_side_by_side() {
    let world = World::new(|request| {
        let foo = request.headers().get("foo").map_or("none", |foo| foo.to_str().unwrap());
        answer(200, &[FRESH, ("vary", "Foo")], foo.to_owned())
    });
    for foo in ["1", "2", "1", "2"] {
        assert!(world.ask("GET", "/a", &[("foo", foo)]).await.told().starts_with(&format!("200 {foo} ")));
    }
    assert_eq!(world.get("/a").await, "200 none fwd=vary-miss");
    assert_eq!(world.asked().len(), 3);
}

#[tokio::test]
async fn the_memory_has_a_bound() {
    let world = World::with_memory(256 << 10, |request| {
        let bytes = if request.uri().path() == "/large" { 64 << 10 } else { 4 << 10 };
        answer(200, &[FRESH, ("content-length", &bytes.to_string())], vec![b'x'; bytes])
    });
    for n in 0..200 {
        world.get(&format!("/{n}")).await;
        assert!(world.cache.held().0 <= 256 << 10);
    }
    assert!(world.cache.held().1 > 20);
    assert_eq!(world.ask("GET", "/large", &[]).await.body.len(), 64 << 10);
    let again = world.ask("GET", "/large", &[]).await;
    assert_eq!(again.header("cache-status"), "ghoard; fwd=uri-miss; fwd-status=200");
}

#[tokio::test]
async fn what_could_mean_two_things_is_refused() {
    let world = World::new(|_| answer(200, &[FRESH], "x"));
    let status = |method, path, headers| {
        let world = &world;
        async move { StatusCode::from_u16(world.ask(method, path, headers).await.status).unwrap() }
    };
    assert_eq!(status("GET", "/a/../b", &[]).await, StatusCode::BAD_REQUEST);
    assert_eq!(status("GET", "/a", &[("host", "evil.example")]).await, StatusCode::BAD_REQUEST);
    assert_eq!(status("POST", "/a", &[("origin", "http://evil.example")]).await, StatusCode::FORBIDDEN);
    assert_eq!(status("GET", "/a", &[("cache-control", "only-if-cached")]).await, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(status("TRACE", "/a", &[("max-forwards", "0")]).await, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(world.asked(), [""; 0]);
}

/// What is in the key must be what is sent: the client's URL parser may change nothing.
#[test]
fn a_target_is_sent_as_it_is_stored() {
    let all: String = (0x21..0x7f).map(char::from).filter(|c| !"?#\\".contains(*c)).collect();
    for path in [format!("/a/{all}/b?{all}?/"), "/\u{e9}\u{4e2d}?\u{e9}".to_owned(), "//a//b".to_owned()] {
        let target = http_rules::target(&path).unwrap();
        let sent = reqwest::Url::parse(&format!("http://origin{target}")).unwrap();
        let query = sent.query().map(|query| format!("?{query}")).unwrap_or_default();
        assert_eq!(format!("{}{query}", sent.path()), target);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Read { path: u8, foo: u8, range: bool, no_cache: bool },
    Head { path: u8 },
    Write { path: u8 },
}

/// An origin whose resources have versions: a write makes the next one.
fn versions(freshness: &'static str) -> World {
    let versions = Mutex::new([0_u32; 4]);
    World::new(move |request| {
        let path: usize = request.uri().path()[1..].parse().unwrap();
        let mut versions = versions.lock().unwrap();
        if request.method() == "PUT" {
            versions[path] += 1;
            return answer(204, &[], "");
        }
        let foo = request.headers().get("foo").map_or("", |foo| foo.to_str().unwrap());
        let (version, etag) = (versions[path], format!("\"{}-{foo}\"", versions[path]));
        let headers = [("cache-control", freshness), ("etag", &etag), ("vary", "foo")];
        if request.headers().get("if-none-match").is_some_and(|tag| tag == etag.as_str()) {
            return answer(304, &headers, "");
        }
        answer(200, &headers, format!("{version:04}-{foo}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the order: a client reads what the last write through the cache left, in its own variant.
    #[test]
    fn nobody_reads_what_a_write_has_ended(
        freshness in proptest::sample::select(vec!["max-age=60", "max-age=0", "no-cache", "max-age=60, must-revalidate"]),
        ops in proptest::collection::vec(prop_oneof![
            4 => (0_u8..4, 0_u8..3, any::<bool>(), any::<bool>())
                .prop_map(|(path, foo, range, no_cache)| Op::Read { path, foo, range, no_cache }),
            1 => (0_u8..4).prop_map(|path| Op::Head { path }),
            1 => (0_u8..4).prop_map(|path| Op::Write { path }),
        ], 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (world, mut written) = (versions(freshness), [0_u32; 4]);
            for op in ops {
                match op {
                    Op::Write { path } => {
                        world.ask("PUT", &format!("/{path}"), &[]).await;
                        written[usize::from(path)] += 1;
                    }
                    Op::Head { path } => {
                        assert_eq!(world.ask("HEAD", &format!("/{path}"), &[]).await.status, 200);
                    }
                    Op::Read { path, foo, range, no_cache } => {
                        let foo = foo.to_string();
                        let mut headers = vec![("foo", foo.as_str())];
                        headers.extend(range.then_some(("range", "bytes=0-")));
                        headers.extend(no_cache.then_some(("cache-control", "no-cache")));
                        let seen = world.ask("GET", &format!("/{path}"), &headers).await;
                        let expected = format!("{:04}-{foo}", written[usize::from(path)]);
                        assert_eq!(String::from_utf8_lossy(&seen.body), expected, "{seen:?}");
                    }
                }
            }
        });
    }
}
