//! What is asked, how often, and how it changes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fakehub::Visibility;
use rand::{RngExt as _, rngs::StdRng};

use super::oracle::{Asked, Changed, Trace};
use crate::world::GitHub;

/// Of these, each eighth is an issue, which can be written through a daemon.
pub(super) const KEYS: usize = 400;
const ISSUE_EACH: usize = 8;
const REPO_OF_ISSUES: &str = "octocat/Hello-World";
const REPOS: usize = 20;

const SMALL_BYTES: usize = 1 << 10;
/// Too large to be pushed with its announce: it is pulled.
const LARGE_BYTES: usize = 40 << 10;
const LARGE_EACH: usize = 10;

/// Below it GitHub takes its time, so that a kill finds a question on its way.
pub(super) const SLOW: &str = "/repos/soak/slow/";
pub(super) const SLOW_FOR: Duration = Duration::from_secs(1);

/// What may be asked, and what was.
pub(super) struct Questions {
    began: Instant,
    weights: Vec<f64>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    trace: Trace,
    /// When each content of each key was known to be there, the first at the start.
    versions: Vec<Vec<Instant>>,
}

impl Questions {
    pub(super) fn new(github: &GitHub) -> Self {
        let began = Instant::now();
        let weights = (0..KEYS).scan(0.0, |sum, key| {
            *sum += 1.0 / (key + 1) as f64;
            Some(*sum)
        });
        let book = Book { trace: Trace::default(), versions: vec![vec![began]; KEYS] };
        let questions = Self { began, weights: weights.collect(), book: Mutex::new(book) };
        github.hub().set_latency(SLOW, SLOW_FOR);
        for key in 0..KEYS {
            if is_issue(key) {
                github.hub().modify_issue(REPO_OF_ISSUES, issue(key), "version 0", 1_700_000_000).unwrap();
            } else {
                github.hub().put_document(&path(key), Visibility::Public, document(key, 0));
            }
        }
        questions
    }

    /// A key, the hundredth a hundred times less often than the first.
    pub(super) fn any(&self, random: &mut StdRng) -> usize {
        let at = random.random_range(0.0..self.weights[KEYS - 1]);
        self.weights.partition_point(|weight| *weight < at).min(KEYS - 1)
    }

    pub(super) fn any_issue(&self, random: &mut StdRng) -> usize {
        self.any(random) / ISSUE_EACH * ISSUE_EACH + ISSUE_EACH - 1
    }

    /// A key of its own that nobody has asked yet, and that GitHub takes its time for.
    pub(super) fn add_slow(&self, github: &GitHub) -> usize {
        let mut book = self.book();
        book.versions.push(vec![Instant::now()]);
        let key = book.versions.len() - 1;
        github.hub().put_document(&path(key), Visibility::Public, document(key, 0));
        key
    }

    /// Somebody elsewhere changes it; an issue stays as it is.
    pub(super) fn change(&self, github: &GitHub, key: usize) {
        if !is_issue(key) {
            let mut book = self.book();
            github.hub().put_document(&path(key), Visibility::Public, document(key, book.versions[key].len()));
            book.changed(Changed { at: self.began.elapsed(), key, by: None });
        }
    }

    /// The request that gives an issue its next title.
    pub(super) fn next_title(&self, key: usize) -> String {
        format!("{{\"title\":\"version {}\"}}", self.book().versions[key].len())
    }

    pub(super) fn written(&self, key: usize, by: usize) {
        self.book().changed(Changed { at: self.began.elapsed(), key, by: Some(by) });
    }

    /// A client was given `body`. `Err` if something newer was there for longer than `allowed`.
    pub(super) fn answered(
        &self,
        asked: Instant,
        (key, token, daemon): (usize, usize, usize),
        body: &str,
        allowed: Duration,
    ) -> Result<(), String> {
        let mut book = self.book();
        book.trace.asked.push(Asked { at: self.began.elapsed(), key, token, daemon });
        let version = version(body).ok_or_else(|| format!("{} was answered {body:.100}", path(key)))?;
        // A write that was cut short is in no book, and may have happened.
        match book.versions[key].get(version + 1) {
            Some(next) if *next + allowed < asked => {
                let late = asked.duration_since(*next);
                Err(format!("daemon {daemon} told version {version} of {} {late:.1?} after the next", path(key)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn trace(&self) -> Trace {
        self.book().trace.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn changed(&mut self, changed: Changed) {
        self.trace.changed.push(changed);
        self.versions[changed.key].push(Instant::now());
    }
}

pub(super) fn path(key: usize) -> String {
    if key >= KEYS {
        format!("{SLOW}contents/{key}")
    } else if is_issue(key) {
        format!("/repos/{REPO_OF_ISSUES}/issues/{}", issue(key))
    } else {
        format!("/repos/soak/number-{}/contents/{key}", key % REPOS)
    }
}

pub(super) fn is_issue(key: usize) -> bool {
    key < KEYS && key % ISSUE_EACH == ISSUE_EACH - 1
}

/// What a key is counted with.
pub(super) fn kind(key: usize) -> &'static str {
    match key {
        KEYS.. => "slow ones, asked at a kill",
        _ if is_issue(key) => "issues, written to",
        _ if is_large(key) => "documents of 40 KiB",
        _ => "documents of 1 KiB",
    }
}

fn is_large(key: usize) -> bool {
    key % LARGE_EACH == LARGE_EACH - 1
}

fn issue(key: usize) -> u64 {
    (key / ISSUE_EACH + 1) as u64
}

fn document(key: usize, version: usize) -> String {
    let bytes = if is_large(key) { LARGE_BYTES } else { SMALL_BYTES };
    // What cannot be packed away, and is another for each version.
    let mut noise = (key * 1_000_003 + version) as u64;
    let mut text = String::new();
    while text.len() < bytes {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text += &format!("{noise:016x}");
    }
    format!("{{\"title\":\"version {version}\",\"text\":\"{text}\"}}")
}

fn version(body: &str) -> Option<usize> {
    body.split_once("\"title\":\"version ")?.1.split_once('"')?.0.parse().ok()
}
