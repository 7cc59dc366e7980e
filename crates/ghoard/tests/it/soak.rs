//! Daemons and the real gh under load, while one daemon after the other is killed and started again.
//!
//! A short one in each run of the tests; `cargo xtask soak` for minutes.

mod fleet;
mod oracle;
mod questions;
mod report;

use std::{
    collections::BTreeMap,
    io,
    process::Output,
    time::{Duration, Instant},
};

use fakehub::{Options, Token, tls};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use task::Tasks;

use crate::world::{GitHub, has_gh, wait_until};
use fleet::{Door, Fleet, Wanted, bounded};
use oracle::{Caches, Writes};
use questions::{Questions, SLOW_FOR, is_issue, kind, path};
use report::{Book, Caller, Report};

/// How long a call may take before it counts as not answered.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A call that a kill cuts ends within this.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// For how long an answer, and the proof that a token may read it, hold.
const TTL: Duration = Duration::from_secs(10);
/// After so long, a write is known to every daemon that was there or is back.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// What a busy machine may take between a decision and what is seen of it.
const SLACK: Duration = Duration::from_secs(2);

const GHS: usize = 3;
const GH_PAUSE: Duration = Duration::from_millis(350);
const CLIENTS: usize = 6;
const CLIENT_PAUSE: Duration = Duration::from_millis(20);
const WRITE_PAUSE: Duration = Duration::from_secs(1);
const CHANGE_PAUSE: Duration = Duration::from_millis(250);
const DEAD_FOR: Duration = Duration::from_secs(1);

const TOKENS: [&str; 3] = [
    "ghp_soakSoakSoakSoakSoakSoakSoakSoak0",
    "ghp_soakSoakSoakSoakSoakSoakSoakSoak1",
    "ghp_soakSoakSoakSoakSoakSoakSoakSoak2",
];
/// Of another login, so that what goes past the cache is counted apart.
const RETRY_TOKEN: &str = "ghp_retryRetryRetryRetryRetryRetryRe";
const RETRY_LOGIN: &str = "hubot";

struct Plan {
    daemons: usize,
    length: Duration,
    kill_each: Duration,
    /// fakehub's count against the oracle's, in hundredths.
    percent_max: u64,
}

#[test]
fn daemons_are_killed_under_load_and_no_call_to_a_living_one_is_lost() {
    if !has_gh("daemons_are_killed_under_load_and_no_call_to_a_living_one_is_lost") {
        return;
    }
    // `cargo xtask soak` sets both, and takes minutes.
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let daemons = usize::try_from(number("GHOARD_SOAK_DAEMONS", 4)).unwrap();
    let length = Duration::from_secs(number("GHOARD_SOAK_SECS", 10));
    let kill_each = Duration::from_secs(if daemons > 4 { 5 } else { 4 });
    // The bound is meant for minutes. Of the few questions of a short run each one more counts: there it finds
    // a fleet that does not share, and no more.
    let percent_max = if length < Duration::from_secs(60) { 160 } else { 115 };
    soak(&Plan { daemons, length, kill_each, percent_max });
}

/// Everything that the callers share.
struct Soak<'a> {
    github: &'a GitHub,
    proxy: &'a tls::Proxy,
    fleet: &'a Fleet,
    questions: &'a Questions,
    book: &'a Book,
    over: Instant,
}

fn soak(plan: &Plan) {
    let github = GitHub::start();
    for token in TOKENS {
        github.hub().add_token(Token::new(token, "octocat").with_repo("octocat/Hello-World", fakehub::Role::Write));
    }
    github.hub().add_token(Token::new(RETRY_TOKEN, RETRY_LOGIN));
    let proxy = {
        let _context = github.runtime.enter();
        let tasks = Tasks::tokio();
        let serving = tls::serve(&tasks, github.shared_hub(), Options::default());
        github.runtime.block_on(serving).unwrap()
    };
    let ttl = TTL.as_secs().to_string();
    let fleet = Fleet::start(&github, plan.daemons, &[("CACHE_DEFAULT_TTL", &ttl)]);
    let questions = Questions::new(&github);
    let book = Book::default();
    let soak = Soak {
        github: &github,
        proxy: &proxy,
        fleet: &fleet,
        questions: &questions,
        book: &book,
        over: Instant::now() + plan.length,
    };
    std::thread::scope(|scope| {
        for n in 0..GHS {
            let soak = &soak;
            scope.spawn(move || soak.each(GH_PAUSE, n, |random| soak.ask_by_gh(random)));
        }
        for n in 0..CLIENTS {
            let soak = &soak;
            scope.spawn(move || soak.each(CLIENT_PAUSE, GHS + n, |random| soak.ask_plainly(random)));
        }
        scope.spawn(|| soak.each(WRITE_PAUSE, 100, |random| soak.write(random)));
        scope.spawn(|| soak.each(CHANGE_PAUSE, 101, |random| questions.change(&github, questions.any(random))));
        soak.kill_each(plan);
    });
    drop(fleet);
    judge(plan, &github, &questions, book.close());
}

impl Soak<'_> {
    /// Does it again and again until time is up, in a rhythm of its own.
    fn each(&self, pause: Duration, seed: usize, act: impl Fn(&mut StdRng)) {
        let mut random = StdRng::seed_from_u64(seed as u64);
        while Instant::now() < self.over {
            std::thread::sleep(pause.mul_f64(random.random_range(0.5..1.5)));
            act(&mut random);
        }
    }

    fn any_door(&self, wanted: Wanted, random: &mut StdRng) -> Door {
        self.fleet.door(random.random_range(0..self.fleet.len()), wanted, None)
    }

    fn ask_by_gh(&self, random: &mut StdRng) {
        self.gh(
            &self.any_door(Wanted::Living, random),
            self.questions.any(random),
            random.random_range(0..TOKENS.len()),
        );
    }

    fn gh(&self, door: &Door, key: usize, token: usize) {
        let asked = Instant::now();
        let answer = door.gh(&path(key), TOKENS[token]).and_then(|output| success(&output));
        self.ended(Caller::Gh, asked, (door, key, token), answer);
    }

    fn ask_plainly(&self, random: &mut StdRng) {
        let (door, key, token) =
            (self.any_door(Wanted::Ready, random), self.questions.any(random), random.random_range(0..TOKENS.len()));
        self.plain(Caller::Plain, &door, key, token);
    }

    fn plain(&self, caller: Caller, door: &Door, key: usize, token: usize) {
        let asked = Instant::now();
        let answer = door.plain("GET", &path(key), TOKENS[token], "").and_then(|reply| match reply.status {
            200 => Ok(reply.text()),
            status => Err(io::Error::other(format!("{status}: {}", reply.text()))),
        });
        self.ended(caller, asked, (door, key, token), answer);
    }

    fn write(&self, random: &mut StdRng) {
        let (door, key) = (self.any_door(Wanted::Living, random), self.questions.any_issue(random));
        let asked = Instant::now();
        let answer = door.plain("PATCH", &path(key), TOKENS[0], &self.questions.next_title(key));
        match answer {
            Ok(reply) if reply.status == 200 => {
                self.questions.written(key, door.daemon);
                self.book.open().answered(Caller::Writer, asked.elapsed());
            }
            Ok(reply) => self.wrong(format!("a write was answered {}: {}", reply.status, reply.text())),
            // It may have happened or not: that is not to be repeated by itself.
            Err(cause) => self.failed(Caller::Writer, &door, key, asked, &cause),
        }
    }

    fn ended(
        &self,
        caller: Caller,
        asked: Instant,
        (door, key, token): (&Door, usize, usize),
        answer: io::Result<String>,
    ) {
        match answer {
            Ok(body) => {
                let is_told = is_issue(key) && door.since + TOLD_WITHIN + SLACK < asked;
                let allowed = SLACK + if is_told { TOLD_WITHIN } else { TTL };
                let seen = self.questions.answered(asked, (key, token, door.daemon), &body, allowed);
                self.book.open().answered(caller, asked.elapsed());
                if let Err(wrong) = seen {
                    self.wrong(wrong);
                }
            }
            Err(cause) => {
                self.failed(caller, door, key, asked, &cause);
                self.retry(door, key);
            }
        }
    }

    fn failed(&self, caller: Caller, door: &Door, key: usize, asked: Instant, cause: &io::Error) {
        let words = cause.to_string();
        match self.fleet.killed(door) {
            _ if words.trim().is_empty() => self.wrong(format!("{caller:?} ended without a word")),
            Some(killed) => {
                let took = asked.max(killed).elapsed();
                let socket = door.setup.home.path("door.sock").display().to_string();
                let words = words.trim().replace(&socket, "SOCKET").replace(&path(key), "/PATH");
                self.book.open().cut(caller, took, &words);
            }
            None => {
                let (daemon, took) = (door.daemon, asked.elapsed());
                self.wrong(format!(
                    "{caller:?} was not answered by daemon {daemon}, which lives, in {took:.1?}: {words}"
                ));
            }
        }
    }

    /// The same by `ghoard gh`, as a person would do it; straight to GitHub if the daemon is not back.
    fn retry(&self, door: &Door, key: usize) {
        let asked = Instant::now();
        let mut gh = door.setup.command("gh");
        let ca = door.setup.home.write(&format!("ca-{key}.pem"), &self.proxy.ca_pem);
        gh.args(["api", &path(key)]).env_remove("CACHE_P2P_SHARED_SECRET").env("GH_TOKEN", RETRY_TOKEN);
        gh.env("HTTPS_PROXY", self.proxy.url()).env("SSL_CERT_FILE", ca);
        let mut output = bounded(&mut gh);
        // The system closes a killed daemon's sockets one by one: who is told of the end by the first
        // may still be let in by the last.
        if output.as_ref().is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("connection refused")) {
            self.book.open().let_in_by_the_dying += 1;
            output = bounded(&mut gh);
        }
        let output = match output {
            Ok(output) => output,
            Err(cause) => return self.wrong(format!("a retry by `ghoard gh` did not run: {cause}")),
        };
        let went_direct = String::from_utf8_lossy(&output.stderr).contains("going direct");
        self.book.open().went_direct += u64::from(went_direct);
        match success(&output) {
            Ok(_) => self.book.open().answered(Caller::Retry, asked.elapsed()),
            Err(cause) => self.wrong(format!("a retry by `ghoard gh` was not answered: {cause}")),
        }
    }

    /// Kills one after the other, each while its clients wait for GitHub.
    fn kill_each(&self, plan: &Plan) {
        let mut random = StdRng::seed_from_u64(102);
        let mut next = Instant::now() + plan.kill_each.mul_f64(0.5);
        while next < self.over {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next += plan.kill_each;
            self.kill_one(&mut random);
        }
    }

    fn kill_one(&self, random: &mut StdRng) {
        let door = self.any_door(Wanted::Ready, random);
        let other = self.fleet.door(random.random_range(0..self.fleet.len()), Wanted::Ready, Some(door.daemon));
        let key = self.questions.add_slow(self.github);
        std::thread::scope(|scope| {
            scope.spawn(|| self.gh(&door, key, 0));
            wait_until("GitHub is asked", || self.github.count(&path(key)).requests > 0);
            scope.spawn(|| self.plain(Caller::Plain, &door, key, 0));
            scope.spawn(|| self.plain(Caller::Waiter, &other, key, 0));
            std::thread::sleep(SLOW_FOR / 5);
            let setup = self.fleet.kill(door.daemon);
            self.book.open().kills += 1;
            std::thread::sleep(DEAD_FOR);
            let took = self.fleet.restart(door.daemon, setup);
            self.book.open().ready_after.push(took);
        });
    }

    fn wrong(&self, what: String) {
        self.book.open().wrong.push(what);
    }
}

fn success(output: &Output) -> io::Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(said.replace('\n', " ")))
}

#[expect(clippy::print_stdout, reason = "the table is what a soak is for")]
fn judge(plan: &Plan, github: &GitHub, questions: &Questions, mut report: Report) {
    let counts = github.hub().counts();
    let reads = || counts.rows.iter().filter(|row| row.method == "GET");
    let charged = reads().map(|row| row.tally.charged).sum::<u64>() - report.went_direct;
    let proofs: u64 = reads().map(|row| row.tally.not_modified).sum();
    let trace = questions.trace();
    let ideal = |caches, writes| trace.charged(TTL, caches, writes, is_issue);
    let by_key = ideal(Caches::Shared, Writes::EndAll);
    let [narrow, apart] = [(Caches::Shared, Writes::EndOne), (Caches::Apart, Writes::EndAll)]
        .map(|(caches, writes)| ideal(caches, writes).values().sum::<u64>());
    let oracle = by_key.values().sum::<u64>();
    // Of retries past the cache, too: they are of slow ones.
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (key, ideal) in &by_key {
        let sums = kinds.entry(kind(*key)).or_default();
        *sums = (sums.0 + counts.path(&path(*key)).charged, sums.1 + ideal);
    }

    println!("soak: {} daemons, {} s, {} kills", plan.daemons, plan.length.as_secs(), report.kills);
    report.lines().iter().for_each(|line| println!("{line}"));
    let (ready_after, let_in) = (report.ready_after.iter().max(), report.let_in_by_the_dying);
    println!(
        "ready again after {ready_after:.1?} at most; retries that a dying daemon let in, and that were repeated: {let_in}"
    );
    println!(
        "GitHub: charged {charged}, oracle {oracle}, that is {:.3} of it; {narrow} if a write ended only what it changes; \
         each daemon for itself {apart} at least",
        charged as f64 / oracle as f64
    );
    println!(
        "        free proofs {proofs}, writes {}, retries past the cache {}, most requests at once {:?}",
        counts.total.mutations, report.went_direct, counts.in_flight_max
    );
    for (kind, (charged, ideal)) in kinds {
        println!("        {kind}: {charged}, oracle {ideal}");
    }
    println!("wrong: {}", report.wrong.len());
    report.wrong.iter().take(20).for_each(|wrong| println!("  {wrong}"));

    assert!(report.wrong.is_empty(), "{} things went wrong, of which some are above", report.wrong.len());
    assert!(report.cut_max() <= CUT_WITHIN, "a call that was cut ended after {:?}", report.cut_max());
    let cut = report.count(Caller::Gh).1;
    assert!(cut >= report.kills, "each kill was to cut a call of gh, and {cut} were cut by {} kills", report.kills);
    assert!(charged * 100 <= oracle * plan.percent_max, "{charged} charged, against {oracle} of the oracle");
}
