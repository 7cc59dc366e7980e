//! From start to first hit, with many entries on disk: a process of its own opens the store and reads one.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use store::{Space, Store};
use wire::Millis;

use crate::{
    Failure,
    daemon::{self, Binaries},
    entries::entry,
    figures::{self, median},
    print,
    rivals::Ours,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Entries on disk; a million of 1 KB make a file of 2 GB and more.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
    entries: Vec<u64>,
    /// Bytes of each body.
    #[arg(long, default_value_t = 1 << 10)]
    bytes: usize,
    /// Starts of each kind; the figures are medians.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the store works; the system's temporary directory unless given.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Measures the daemon too: its binary.
    #[arg(long, requires = "fakehub")]
    ghoard: Option<PathBuf>,
    /// What the daemon stands before.
    #[arg(long)]
    fakehub: Option<PathBuf>,
    /// Leaves out the store by itself.
    #[arg(long)]
    daemon_only: bool,
}

#[derive(clap::Args)]
pub(crate) struct ChildOptions {
    dir: PathBuf,
    /// Which entry is read first.
    n: u64,
    bytes: usize,
    /// Then writes until it is killed.
    #[arg(long)]
    write: bool,
}

/// What one start took, as the child and its parent saw it.
struct Start {
    open_secs: f64,
    hit_secs: f64,
    exec_to_hit_secs: f64,
    rss_bytes: f64,
    is_repaired: bool,
}

const WINDOW: usize = 4000;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    print(&format!("{}; the reference loads 10,000 entries in 0.21 s\n", figures::load()));
    if !options.daemon_only {
        store_alone(options)?;
    }
    if let (Some(ghoard), Some(fakehub)) = (&options.ghoard, &options.fakehub) {
        let binaries = Binaries { ghoard, fakehub };
        daemon::run(&binaries, &options.entries, options.bytes, options.rounds, options.dir.as_ref())?;
    }
    print(&format!("\n{}", figures::load()));
    Ok(())
}

fn store_alone(options: &Options) -> Result<(), Failure> {
    print("| entries | file | after | opened in | first hit after opening | process start to first hit | RSS then |");
    print("|---|---|---|---|---|---|---|");
    for count in &options.entries {
        let dir = options.dir.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
        fill(dir.path(), *count, options.bytes)?;
        let file_bytes = std::fs::metadata(dir.path().join("ghoard/ghoard.redb"))?.len();
        for is_killed in [false, true] {
            let mut starts = Vec::new();
            for round in 0..options.rounds as u64 {
                if is_killed {
                    start(dir.path(), round, options.bytes, true)?;
                }
                starts.push(start(dir.path(), round * 997 % count, options.bytes, false)?);
            }
            let repaired = starts.iter().filter(|start| start.is_repaired).count();
            let of = |pick: fn(&Start) -> f64| median(&starts.iter().map(pick).collect::<Vec<_>>());
            print(&format!(
                "| {count} | {} | {} | {} | {} | {} | {} |",
                figures::bytes(file_bytes),
                if is_killed {
                    format!("SIGKILL ({repaired} of {} repaired)", starts.len())
                } else {
                    "a clean stop".into()
                },
                figures::seconds(of(|start| start.open_secs)),
                figures::seconds(of(|start| start.hit_secs)),
                figures::seconds(of(|start| start.exec_to_hit_secs)),
                figures::bytes(of(|start| start.rss_bytes) as u64),
            ));
        }
    }
    print("");
    Ok(())
}

fn fill(dir: &Path, count: u64, bytes: usize) -> Result<(), Failure> {
    let ours = Ours::open(dir, 1 << 40)?;
    for n in 0..count {
        let entry = entry(n, bytes);
        ours.store.put(Space::Local, entry.key, entry.stored, Some(entry.body))?;
        if (n + 1).is_multiple_of(WINDOW as u64) {
            ours.store.flush(Millis(0))?;
        }
    }
    ours.store.flush(Millis(0))?;
    Ok(())
}

/// Starts a child and waits for its first hit. One that writes is killed when it has committed.
fn start(dir: &Path, n: u64, bytes: usize, write: bool) -> Result<Start, Failure> {
    let start = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("child").arg(dir).args([n.to_string(), bytes.to_string()]).args(write.then_some("--write"));
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?).lines();
    let line = lines.next().ok_or("the child said nothing")??;
    let exec_to_hit_secs = start.elapsed().as_secs_f64();
    let words: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let &[open_secs, hit_secs, rss_bytes, repaired] = &words[..] else { return Err(line.into()) };
    if write {
        let committed = lines.next().ok_or("the child ended before it had committed")??;
        child.kill()?;
        assert_eq!(committed, "committed", "the child says nothing else");
    }
    child.wait()?;
    Ok(Start { open_secs, hit_secs, exec_to_hit_secs, rss_bytes, is_repaired: repaired > 0.0 })
}

pub(crate) fn child(options: &ChildOptions) -> Result<(), Failure> {
    let wanted = entry(options.n, options.bytes);
    let start = Instant::now();
    let dir = store::CacheDir::prepare(&options.dir.join("ghoard"))?;
    let (store, report) = dir.open_store(store::DiskConfig::new(1 << 40, [7; 32]), Millis(0))?;
    let open_secs = start.elapsed().as_secs_f64();
    let (record, body) = store.load(Space::Local, &wanted.key)?.ok_or("the entry is missing")?;
    body.verified(record.record.version.digest, record.record.body_bytes)?;
    let hit_secs = start.elapsed().as_secs_f64() - open_secs;
    let repaired = u8::from(report.is_repaired);
    print(&format!("{open_secs} {hit_secs} {} {repaired}", rss_bytes().unwrap_or(0)));
    // New ones, a window at a time, and then some that wait.
    for round in 0.. {
        if !options.write {
            break;
        }
        for n in 0..100 {
            let mut entry = entry(options.n, options.bytes);
            entry.key.key.0[..8].copy_from_slice(&(options.n << 32 | round << 16 | n).to_be_bytes());
            store.put(Space::Fleet, entry.key, entry.stored, Some(entry.body))?;
        }
        store.flush(Millis(0))?;
        if round == 1 {
            print("committed");
        }
    }
    Ok(())
}

/// Resident memory of this process.
pub(crate) fn rss_bytes() -> Option<u64> {
    rss_bytes_of("self")
}

/// Resident memory of the process with this number.
pub(crate) fn rss_bytes_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
