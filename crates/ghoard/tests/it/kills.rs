//! SIGKILL at random moments under write load. A few in each run of the tests; `cargo xtask bench kill` for
//! hundreds.

use std::{
    fmt,
    net::TcpStream,
    sync::Mutex,
    time::{Duration, Instant},
};

use fakehub::Token;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    http,
    world::{GitHub, Machine, Setup},
};

/// How often, unless `GHOARD_KILLS` says so.
const KILLS: usize = 6;

/// What was answered so long before the kill is there afterwards.
const WINDOW: Duration = Duration::from_secs(1);

/// What a busy machine may take for one commit, or to carry out a kill.
const SLACK: Duration = Duration::from_millis(1500);

/// The longest run; long enough for some answers to be older than window and slack.
const RUN_MS_MAX: u64 = 3500;

/// Questions in one run; with those that are asked again, within the limit of a token.
const ASKED_MAX: usize = 4000;

/// How many answers of a run are asked for again: of the last ones, where something may be lost.
const CHECKED_MAX: usize = 400;

/// The last ones are those that were told so long before the kill, however many a fast machine tells.
const CHECKED_AGE_MAX: Duration = Duration::from_secs(3);

/// One answer that a client was given in full.
struct Told {
    path: String,
    body: Vec<u8>,
    at: Instant,
}

/// What the starts took, and how many of them had to read all of the file.
#[derive(Default)]
struct Starts {
    slowest: Duration,
    /// Of the cache's file at the slowest.
    bytes: u64,
    repairs: usize,
    slowest_repair: Duration,
}

impl Starts {
    fn start(&mut self, setup: Setup) -> Machine {
        let bytes = std::fs::metadata(setup.home.path("cache/ghoard.redb")).map_or(0, |file| file.len());
        let start = Instant::now();
        let machine = setup.start();
        let took = start.elapsed();
        if took > self.slowest {
            (self.slowest, self.bytes) = (took, bytes);
        }
        if machine.log.text().contains("reading all of it took") {
            self.repairs += 1;
            self.slowest_repair = self.slowest_repair.max(took);
        }
        machine
    }
}

impl fmt::Display for Starts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slowest, bytes, repairs, slowest_repair } = self;
        let mb = bytes >> 20;
        write!(f, "the slowest in {slowest:.1?} with a file of {mb} MB; ")?;
        write!(f, "{repairs} read all of the file, the slowest of these in {slowest_repair:.1?}")
    }
}

#[test]
fn after_a_kill_at_any_moment_every_start_succeeds_and_what_was_committed_is_whole() {
    let kills = std::env::var("GHOARD_KILLS").ok().map_or(KILLS, |kills| kills.parse().unwrap());
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let github = GitHub::start();
    let mut setup = Setup::new(&github);
    let (mut asked, mut checked, mut hits, mut lost_in_window) = (0, 0, 0, 0);
    let (mut oldest_lost, mut starts) = (Duration::ZERO, Starts::default());
    for kill in 0..kills {
        let machine = starts.start(setup);
        let told = Mutex::new(Vec::new());
        // Of another login each time, whose limit is not used up.
        let token = format!("ghp_kill{kill:032}");
        github.hub().add_token(Token::new(&token, format!("kill-{kill}")));
        let base = machine.base();
        let (killed_at, killed) = std::thread::scope(|threads| {
            threads.spawn(|| {
                // Until the daemon is gone: then no answer comes.
                for n in asked..asked + ASKED_MAX {
                    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{}", 2000 + n);
                    let head = format!("GET {path} HTTP/1.1\nHost: {base}\nAuthorization: Bearer {token}");
                    let Ok(stream) = TcpStream::connect(base) else { return };
                    let Ok(reply) = http::try_exchange(stream, &head, b"") else { return };
                    if reply.status == 200 {
                        told.lock().unwrap().push(Told { path, body: reply.body, at: Instant::now() });
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(random.random_range(0..RUN_MS_MAX)));
            (Instant::now(), machine.kill())
        });
        let told = told.into_inner().unwrap();
        asked += told.len() + 1;

        let machine = starts.start(killed);
        let last = told.iter().filter(|told| killed_at.saturating_duration_since(told.at) < CHECKED_AGE_MAX);
        let last: Vec<_> = last.collect();
        for Told { path, body, at } in last.iter().rev().step_by(last.len().div_ceil(CHECKED_MAX).max(1)) {
            let reply = machine.get(path, Some(&token));
            assert_eq!(reply.status, 200, "kill {kill}: {path}: {}", reply.text());
            assert!(reply.body == *body, "kill {kill}: {path} came back as another");
            checked += 1;
            let age = killed_at.saturating_duration_since(*at);
            if reply.header("cache-status").starts_with("ghoard; hit") {
                hits += 1;
                continue;
            }
            lost_in_window += 1;
            oldest_lost = oldest_lost.max(age);
            assert!(age < WINDOW + SLACK, "kill {kill}: {path} was told {age:?} before it, and is lost");
        }
        assert!(machine.stats()["damaged_cache"].is_null(), "kill {kill}: {:?}", machine.stats()["damaged_cache"]);
        assert_eq!(machine.stat("damaged_entries"), 0);
        setup = machine.kill();
    }
    eprintln!(
        "{kills} kills under load and as many after it: every start succeeded, {starts}\n\
         {checked} answers asked for again: all as they were told, {hits} from the disk, {lost_in_window} asked of \
         the origin again\nthe oldest of these was told {oldest_lost:.2?} before the kill"
    );
    assert!(hits > 0, "nothing was old enough");
}
