//! ghoard's tiers beside their rivals, in turn, round by round; ratios are medians over the rounds.

use std::{collections::HashMap, path::Path, time::Instant};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use store::EntryKey;
use wire::Body;

use crate::{
    Failure,
    entries::{Entry, entries},
    figures::{self, median},
    print,
    rivals::{BareMemory, BareRedb, Files, Make, OurMemory, Ours},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds of all rivals; ratios are medians over them.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Where the durable ones work; the system's temporary directory unless given.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

/// Bytes of a body, entries of a window, and of these the ones that get files of their own.
const SIZES: [(usize, usize, usize); 3] = [(1 << 10, 4000, 100), (10 << 10, 2000, 100), (100 << 10, 300, 50)];

/// How often one measurement reads everything.
const DISK_PASSES: usize = 5;
const MEMORY_PASSES: usize = 100;

const OURS: usize = 0;
const REDB: usize = 1;
const REDB_DEFAULT: usize = 2;
const FILES: usize = 3;
const OUR_MEMORY: usize = 4;
const MEMORY: usize = 5;

const RIVALS: [(&str, Make); 6] = [
    ("ghoard, disk", Ours::make),
    ("bare redb, same commits", BareRedb::make),
    ("bare redb, default commits", BareRedb::make_default),
    ("a file each, fsynced", Files::make),
    ("ghoard, memory", OurMemory::make),
    ("bare quick_cache", BareMemory::make),
];

/// Seconds for each entry, in one round.
#[derive(Clone, Copy, Default)]
struct Sample {
    put: f64,
    put_by_two: f64,
    get: f64,
    /// Each thread asks for entries of its own.
    get_by_two: f64,
    /// Both threads ask for the same entries, each in an order of its own.
    get_same_by_two: f64,
}

type Pick = fn(&Sample) -> f64;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    print(&format!("{} rounds; {}\n", options.rounds, figures::load()));
    let mut verdicts = Vec::new();
    for (bytes, count, files) in SIZES {
        let kept = entries(2 * count, bytes);
        let mut samples: [Vec<Sample>; 6] = Default::default();
        let mut limits = Vec::new();
        for round in 0..options.rounds {
            limits.push(machine_limit(&kept));
            let dir = options.dir.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
            for turn in 0..RIVALS.len() {
                let which = (turn + round) % RIVALS.len();
                let kept = if which == FILES { &kept[..2 * files] } else { &kept[..] };
                let passes = if which >= OUR_MEMORY { MEMORY_PASSES } else { DISK_PASSES };
                samples[which].push(sample(RIVALS[which].1, dir.path(), kept, passes)?);
            }
        }
        table(bytes, &samples);
        verdicts.extend(judge(bytes, &samples, median(&limits)));
    }
    print("| goal | measured | |");
    print("|---|---|---|");
    verdicts.iter().for_each(|verdict| print(verdict));
    print(&format!("\n{}", figures::load()));
    Ok(())
}

fn sample(make: Make, dir: &Path, kept: &[Entry], passes: usize) -> Result<Sample, Failure> {
    let rival = make(dir)?;
    let rival = &*rival;
    let (first, second) = kept.split_at(kept.len() / 2);
    let put = timed(|| rival.put_all(first)) / first.len() as f64;
    let halves = second.split_at(second.len() / 2);
    let by_two = timed(|| beside(|| rival.put_all(halves.0), || rival.put_all(halves.1)));
    let get = |entry: &Entry| rival.get(entry);
    let [get, get_by_two, get_same_by_two] = gets(kept, passes, &get);
    Ok(Sample { put, put_by_two: by_two / second.len() as f64, get, get_by_two, get_same_by_two })
}

/// Seconds for a get: of one thread, of two with entries of their own, of two with the same.
fn gets(kept: &[Entry], passes: usize, get: &(dyn Fn(&Entry) -> usize + Sync)) -> [f64; 3] {
    let (first, second) = kept.split_at(kept.len() / 2);
    let shuffled = |entries: &'_ [Entry], seed| {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        order
    };
    let (order, other_order) = (shuffled(first, 1), shuffled(first, 2));
    let read = |entries: &[Entry], order: &[usize]| {
        let all = order.iter().cycle().take(passes * order.len());
        let bytes: usize = all.map(|n| get(&entries[*n])).sum();
        assert!(std::hint::black_box(bytes) > 0, "something came back");
    };
    let gets = (passes * first.len()) as f64;
    read(second, &order);
    read(first, &order);
    let alone = timed(|| read(first, &order)) / gets;
    let apart = timed(|| beside(|| read(first, &order), || read(second, &other_order))) / (2.0 * gets);
    let same = timed(|| beside(|| read(first, &order), || read(first, &other_order))) / (2.0 * gets);
    [alone, apart, same]
}

/// How much more two threads get from a map that nobody changes, locks or counts: what this machine allows.
fn machine_limit(kept: &[Entry]) -> f64 {
    let map: HashMap<EntryKey, Body> = kept.iter().map(|entry| (entry.key, entry.body.clone())).collect();
    let [alone, apart, _] = gets(kept, MEMORY_PASSES, &|entry| map[&entry.key].encoded.len());
    alone / apart
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn beside(one: impl FnOnce() + Send, other: impl FnOnce()) {
    std::thread::scope(|threads| {
        threads.spawn(one);
        other();
    });
}

fn table(bytes: usize, samples: &[Vec<Sample>; 6]) {
    print(&format!(
        "| {}, medians | put | put, two threads | get | get, two threads | the same entries |",
        figures::bytes(bytes as u64)
    ));
    print("|---|---|---|---|---|---|");
    for ((name, _), samples) in RIVALS.iter().zip(samples) {
        let picks: [Pick; 5] = [|s| s.put, |s| s.put_by_two, |s| s.get, |s| s.get_by_two, |s| s.get_same_by_two];
        let cells = picks.map(|pick| figures::seconds(median(&samples.iter().map(pick).collect::<Vec<_>>())));
        print(&format!("| {name} | {} |", cells.join(" | ")));
    }
    print("");
}

/// Each goal that this size has, with what was reached.
fn judge(bytes: usize, samples: &[Vec<Sample>; 6], machine_limit: f64) -> Vec<String> {
    let size = figures::bytes(bytes as u64);
    let ratio = |(over, pick): (usize, Pick), (under, other): (usize, Pick)| {
        let ratios = samples[over].iter().zip(&samples[under]).map(|(over, under)| pick(over) / other(under));
        median(&ratios.collect::<Vec<_>>())
    };
    let (put, get): (Pick, Pick) = (|s| s.put, |s| s.get);
    let (put_by_two, get_by_two): (Pick, Pick) = (|s| s.put_by_two, |s| s.get_by_two);
    let get_same_by_two: Pick = |s| s.get_same_by_two;
    let at_most = |what: &str, goal: f64, value: f64| line(&format!("{size}: {what} ≤ {goal}"), value, value <= goal);
    let at_least = |what: &str, goal: f64, value: f64| line(&format!("{size}: {what} ≥ {goal}"), value, value >= goal);
    let mut verdicts = vec![
        at_most("memory get, time of bare quick_cache", 2.0, ratio((OUR_MEMORY, get), (MEMORY, get))),
        at_most("disk get, time of bare redb", 1.3, ratio((OURS, get), (REDB, get))),
        at_least("memory get, two threads over one", 1.6, ratio((OUR_MEMORY, get), (OUR_MEMORY, get_by_two))),
        at_least("disk get, two threads over one", 1.6, ratio((OURS, get), (OURS, get_by_two))),
    ];
    let stated = |what: &str, value: f64| format!("| {size}: {what} | {value:.2} | stated |");
    let of = |name: &str, which| {
        let same = stated(
            &format!("{name}, two threads with the same entries"),
            ratio((which, get), (which, get_same_by_two)),
        );
        [stated(&format!("{name}, two threads over one"), ratio((which, get), (which, get_by_two))), same]
    };
    verdicts.push(stated("a map that is only read, two threads over one", machine_limit));
    verdicts.extend(of("memory get", OUR_MEMORY).into_iter().skip(1));
    verdicts.extend(of("bare quick_cache's get", MEMORY));
    verdicts.extend(of("disk get", OURS).into_iter().skip(1));
    verdicts.extend(of("bare redb's get", REDB));
    verdicts.push(stated("put, two threads over one", ratio((OURS, put), (OURS, put_by_two))));
    let puts = (ratio((REDB, put), (OURS, put)), ratio((REDB_DEFAULT, put), (OURS, put)));
    let over_files = ratio((FILES, put), (OURS, put));
    if bytes == SIZES[0].0 {
        verdicts.push(at_least("put, rate of bare redb with the same commits", 0.8, puts.0));
        verdicts.push(at_least("put, rate of a file each, fsynced", 5.0, over_files));
    } else {
        verdicts.push(stated("put, rate of bare redb with the same commits", puts.0));
        verdicts.push(stated("put, rate of a file each, fsynced", over_files));
    }
    verdicts.push(stated("put, rate of bare redb with default commits", puts.1));
    verdicts
}

fn line(goal: &str, value: f64, is_met: bool) -> String {
    format!("| {goal} | {value:.2} | {} |", if is_met { "met" } else { "MISSED" })
}
