//! Minutes of mixed load on both tiers, with eviction running: is memory flat, is the file bounded, and does a
//! hit notice a commit?

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use store::{DiskStore, Hot, Space, Store};
use wire::{Body, Millis};

use crate::{
    Failure,
    entries::{entry, key},
    figures::{self, quantile},
    plot::{Plot, Series},
    print,
    rivals::Ours,
    start::rss_bytes,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Lines of the table.
    #[arg(long, default_value_t = 60)]
    points: usize,
    /// Puts in each second.
    #[arg(long, default_value_t = 400)]
    puts: u64,
    /// What the disk tier may hold, in MB; the memory tier holds a quarter of it.
    #[arg(long, default_value_t = 128)]
    disk_mb: u64,
    /// Where the store works; the system's temporary directory unless given.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Halfway, removes three entries of four, and then leaves the store alone until it has compacted its file.
    #[arg(long)]
    compact: bool,
    /// Where the plot goes.
    #[arg(long, default_value = "mixed-load.svg")]
    svg: PathBuf,
}

/// The window of the daemon.
const WINDOW: Duration = Duration::from_millis(500);

/// Of a hundred puts, how many are of 1 KB, and of 10 KB; the others are of 100 KB.
const SMALL: u64 = 70;
const MIDDLE: u64 = 95;

/// How far back a question may go, in entries: further than both tiers hold.
const ASKED_BACK: u64 = 40_000;

/// How often somebody asks. Who waits longer keeps others waiting, who are counted, too: a single reader would see one
/// long look-up where a fleet's clients see hundreds.
const ASK_EVERY: Duration = Duration::from_micros(250);

/// How long the store has for a compaction that is due.
const COMPACTED_WITHIN: Duration = Duration::from_secs(60);

/// How long somebody still asks when there is much to compact: longer than the store waits for a quiet moment.
const ASKED_ON: Duration = Duration::from_secs(2 * store::limits::COMPACT_QUIET.as_secs());

/// How long one entry is of use at most. Half of them expire, the others are evicted.
const LIFE_MS: u64 = 120_000;

struct Load {
    hot: Hot<Body>,
    store: DiskStore,
    file: PathBuf,
    start: Instant,
    put: AtomicU64,
    /// When a flush made the file shorter.
    compactions: Mutex<Vec<Compaction>>,
    /// Nobody asks.
    is_quiet: AtomicBool,
    is_over: AtomicBool,
}

/// What a reader saw since the last point, in seconds.
#[derive(Default)]
struct Seen {
    memory_hits: Vec<f64>,
    disk_hits: Vec<f64>,
    misses: u64,
}

struct Compaction {
    seconds: f64,
    took: Duration,
    from_bytes: u64,
    to_bytes: u64,
}

struct Point {
    seconds: f64,
    rss_mb: f64,
    file_mb: f64,
    memory_us: f64,
    disk_us: f64,
    /// The longest of all disk hits.
    disk_max_us: f64,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let dir = options.dir.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
    let disk_bytes = options.disk_mb << 20;
    let Ours { store, dir: _ours_alone } = Ours::open(dir.path(), disk_bytes)?;
    let load = Arc::new(Load {
        hot: Hot::new(disk_bytes / 4),
        store,
        file: dir.path().join("ghoard/ghoard.redb"),
        start: Instant::now(),
        put: AtomicU64::new(0),
        compactions: Mutex::default(),
        is_quiet: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
    });
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let step = length / u32::try_from(options.points.max(1))?;
    print(&format!("{} minutes, {} puts/s, {}\n", options.minutes, options.puts, figures::load()));
    print(
        "| s | RSS | file | held | evicted | expired | memory hits | p50 | p99.9 | disk hits | p50 | p99.9 | longest |",
    );
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let points = std::thread::scope(|threads| -> Result<_, Failure> {
        threads.spawn(|| load.write(options.puts, options.compact.then_some(length / 2)));
        threads.spawn(|| load.commit());
        let mut points = Vec::new();
        let mut random = StdRng::seed_from_u64(1);
        for point in 1..=options.points as u32 {
            let seen = load.read(&mut random, load.start + step * point);
            points.push(load.point(&seen, load.file_bytes()));
        }
        load.is_over.store(true, Ordering::Release);
        Ok(points)
    })?;
    let compactions = load.compactions.lock().expect("no panic while held");
    for Compaction { seconds, took, from_bytes, to_bytes } in &*compactions {
        let (from, to) = (figures::bytes(*from_bytes), figures::bytes(*to_bytes));
        print(&format!("\nat {seconds:.1} s compacted from {from} to {to} in {:.2} s", took.as_secs_f64()));
    }
    std::fs::write(&options.svg, plot(&points, &compactions))?;
    print(&format!("\n{}; the plot is {}", figures::load(), options.svg.display()));
    Ok(())
}

impl Load {
    fn now(&self) -> Millis {
        Millis(self.start.elapsed().as_millis() as u64)
    }

    fn write(&self, puts_per_second: u64, mut shrink_at: Option<Duration>) {
        let mut start = self.start;
        for n in 0.. {
            if shrink_at.take_if(|at| self.start.elapsed() > *at).is_some() {
                start += self.shrink();
            }
            let due = start + Duration::from_secs(n) / u32::try_from(puts_per_second).unwrap_or(u32::MAX).max(1);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            let mut entry = entry(n, size(n));
            let life = if n % 2 == 0 { LIFE_MS / 4 } else { LIFE_MS * 100 };
            entry.stored.record.stale_until = Millis(self.now().0 + life);
            let bytes = entry.body.encoded.len() as u64;
            self.hot.insert(entry.key, Arc::new(entry.body.clone()), bytes);
            if self.store.put(Space::Local, entry.key, entry.stored, Some(entry.body)).is_ok() {
                self.put.store(n + 1, Ordering::Release);
            }
        }
    }

    /// Removes three entries of four. Then nothing is put, after a while nobody asks either, and the store may
    /// compact. Returns how long it took.
    fn shrink(&self) -> Duration {
        let begun = Instant::now();
        let is_compacted = || !self.compactions.lock().expect("no panic while held").is_empty();
        for scope in [0, 2, 3].map(|n| key(n).scope) {
            self.store.remove_scope(Space::Local, &scope).expect("the disk is read");
        }
        std::thread::sleep(ASKED_ON);
        let asked_on = if is_compacted() { "compacted while somebody asked" } else { "not compacted" };
        print(&format!("\n{ASKED_ON:?} after much was removed: {asked_on}\n"));
        self.is_quiet.store(true, Ordering::Release);
        while !is_compacted() && begun.elapsed() < COMPACTED_WITHIN {
            std::thread::sleep(WINDOW);
        }
        self.is_quiet.store(false, Ordering::Release);
        begun.elapsed()
    }

    fn commit(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            std::thread::sleep(WINDOW);
            let (begun, from_bytes) = (Instant::now(), self.file_bytes());
            self.store.flush(self.now()).expect("the disk is written");
            let (took, to_bytes) = (begun.elapsed(), self.file_bytes());
            if to_bytes < from_bytes {
                let seconds = (begun - self.start).as_secs_f64();
                let compaction = Compaction { seconds, took, from_bytes, to_bytes };
                self.compactions.lock().expect("no panic while held").push(compaction);
            }
        }
    }

    fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    /// Asks as clients would until `until`: mostly for what is young, memory first.
    fn read(&self, random: &mut StdRng, until: Instant) -> Seen {
        let mut seen = Seen::default();
        while Instant::now() < until {
            let put = self.put.load(Ordering::Acquire);
            if put == 0 || self.is_quiet.load(Ordering::Acquire) {
                std::thread::sleep(ASK_EVERY);
                continue;
            }
            let back = (random.random::<f64>().powi(3) * put.min(ASKED_BACK) as f64) as u64;
            let key = key(put - 1 - back);
            let start = Instant::now();
            if let Some(body) = self.hot.get(&key) {
                std::hint::black_box(body.encoded.len());
                each_who_waited(start.elapsed(), |took| seen.memory_hits.push(took));
            } else if let Some((_, body)) = self.store.load(Space::Local, &key).expect("the disk is read") {
                let took = start.elapsed();
                let bytes = body.encoded.len() as u64;
                self.hot.insert(key, Arc::new(body), bytes);
                each_who_waited(took, |took| seen.disk_hits.push(took));
            } else {
                seen.misses += 1;
            }
            // Some thousands of questions in a second are a busy machine; the rest of the time is others'.
            std::thread::sleep(ASK_EVERY.saturating_sub(start.elapsed()));
        }
        seen
    }

    fn point(&self, seen: &Seen, file_bytes: u64) -> Point {
        let stats = self.store.stats();
        let rss_bytes = rss_bytes().unwrap_or(0);
        let of = |times: &[f64], part| figures::seconds(quantile(times, part));
        let point = Point {
            seconds: self.start.elapsed().as_secs_f64(),
            rss_mb: rss_bytes as f64 / 1_048_576.0,
            file_mb: file_bytes as f64 / 1_048_576.0,
            memory_us: quantile(&seen.memory_hits, 0.999) * 1e6,
            disk_us: quantile(&seen.disk_hits, 0.999) * 1e6,
            disk_max_us: quantile(&seen.disk_hits, 1.0) * 1e6,
        };
        print(&format!(
            "| {:.0} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            point.seconds,
            figures::bytes(rss_bytes),
            figures::bytes(file_bytes),
            figures::bytes(stats.bytes),
            stats.evictions,
            stats.expirations,
            seen.memory_hits.len(),
            of(&seen.memory_hits, 0.5),
            of(&seen.memory_hits, 0.999),
            seen.disk_hits.len(),
            of(&seen.disk_hits, 0.5),
            of(&seen.disk_hits, 0.999),
            of(&seen.disk_hits, 1.0),
        ));
        point
    }
}

/// The time of one who asked, and of all who would have asked while that one waited.
fn each_who_waited(took: Duration, mut note: impl FnMut(f64)) {
    let mut left = Some(took);
    while let Some(took) = left {
        note(took.as_secs_f64());
        left = took.checked_sub(ASK_EVERY).filter(|left| *left > ASK_EVERY);
    }
}

fn size(n: u64) -> usize {
    match n * 37 % 100 {
        part if part < SMALL => 1 << 10,
        part if part < MIDDLE => 10 << 10,
        _ => 100 << 10,
    }
}

fn plot(points: &[Point], compactions: &[Compaction]) -> String {
    let series = |name: &str, unit: &str, pick: fn(&Point) -> f64| Series {
        title: format!("{name}, {unit}"),
        points: points.iter().map(|point| (point.seconds / 60.0, pick(point))).collect(),
    };
    Plot {
        x_title: "minutes".to_owned(),
        marks: compactions.iter().map(|compaction| compaction.seconds / 60.0).collect(),
        series: vec![
            series("resident memory", "MB", |point| point.rss_mb),
            series("file", "MB", |point| point.file_mb),
            series("p99.9 of a memory hit", "µs", |point| point.memory_us),
            series("p99.9 of a disk hit", "µs", |point| point.disk_us),
            series("longest disk hit", "µs", |point| point.disk_max_us),
        ],
    }
    .svg()
}
