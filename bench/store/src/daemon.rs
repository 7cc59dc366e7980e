//! The daemon's own start: the process as it is shipped, on a filled cache directory, up to the first answer
//! that a client gets from the disk.
//!
//! The store's bench knows nothing of keys and credentials. So the daemon itself keeps one answer, before a
//! fakehub, and all other entries are made after this one.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand::random;
use rustix::process::{Pid, Signal, kill_process};
use store::{DiskConfig, EntryKey, Space, Store};
use wire::Millis;

use crate::{
    Failure,
    entries::entry,
    figures::{self, median},
    print,
};

/// The daemon and what it stands before.
pub(crate) struct Binaries<'a> {
    pub(crate) ghoard: &'a Path,
    pub(crate) fakehub: &'a Path,
}

const TOKEN: &str = "ghp_startStartStartStartStartStartStart0";

/// The answer that is asked for first.
const WANTED: &str = "/repos/octocat/Hello-World/git/blobs/size-1024";

const WINDOW: u64 = 4000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What one start took.
struct Start {
    hit_secs: f64,
    rss_bytes: f64,
    /// When whatever is done after the doors are open is done.
    settled_bytes: f64,
}

pub(crate) fn run(
    binaries: &Binaries<'_>,
    counts: &[u64],
    bytes: usize,
    rounds: usize,
    dir: Option<&PathBuf>,
) -> Result<(), Failure> {
    print("| entries | file | shares | after | process start to first hit | slowest | RSS then | RSS 3 s later |");
    print("|---|---|---|---|---|---|---|---|");
    let (fakehub, origin) = fakehub(binaries.fakehub)?;
    let generated = Command::new(binaries.ghoard).args(["secret", "new"]).output()?.stdout;
    let generated = String::from_utf8(generated)?.trim().to_owned();
    for count in counts {
        let dir = dir.map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
        let world = World { ghoard: binaries.ghoard, origin: &origin, dir: dir.path() };
        world.first_answer()?;
        world.fill(*count, bytes)?;
        let file_bytes = std::fs::metadata(dir.path().join("cache/ghoard.redb"))?.len();
        for (shares, secret) in [
            ("no", None),
            ("by a generated secret", Some(generated.as_str())),
            ("by a passphrase", Some("correct horse battery staple, for a bench")),
        ] {
            for is_killed in [false, true] {
                let mut starts = Vec::new();
                for _ in 0..rounds {
                    if is_killed {
                        world.write_and_kill()?;
                    }
                    starts.push(world.start(secret)?);
                }
                let hits: Vec<_> = starts.iter().map(|start| start.hit_secs).collect();
                let rss = |pick: fn(&Start) -> f64| {
                    figures::bytes(median(&starts.iter().map(pick).collect::<Vec<_>>()) as u64)
                };
                print(&format!(
                    "| {count} | {} | {} | {} | {} | {} | {} | {} |",
                    figures::bytes(file_bytes),
                    shares,
                    if is_killed { "SIGKILL" } else { "a clean stop" },
                    figures::seconds(median(&hits)),
                    figures::seconds(figures::quantile(&hits, 1.0)),
                    rss(|start| start.rss_bytes),
                    rss(|start| start.settled_bytes),
                ));
            }
        }
    }
    drop(fakehub);
    Ok(())
}

struct World<'a> {
    ghoard: &'a Path,
    origin: &'a str,
    dir: &'a Path,
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World<'_> {
    fn daemon(&self, secret: Option<&str>) -> Result<(Running, SocketAddr), Failure> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let path = |below: &str| self.dir.join(below).into_os_string();
        let mut command = Command::new(self.ghoard);
        command.arg("run").env_clear().env("HOME", self.dir).current_dir(self.dir);
        command.env("CACHE_DIR", path("cache")).env("GHOARD_DOOR_SOCKET", path("door.sock"));
        command.env("GHOARD_DOOR_ADDRESS", door.to_string()).env("GHOARD_ADMIN_ADDRESS", "127.0.0.1:0");
        command.env("GHOARD_LISTEN_ADDRESS", "127.0.0.1").env("CACHE_LISTEN_PORT", "0");
        command.env("GHOARD_ORIGIN", self.origin).env("GHOARD_UPNP", "false").env("GHOARD_LOG", "warn");
        command.env("IPFS_ACCELERATE_P2P_CACHE_DIR", path("registry")).env("IPFS_ACCELERATE_P2P_FORCE_LOCALHOST", "1");
        command.envs(secret.map(|secret| ("CACHE_P2P_SHARED_SECRET", secret)));
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let daemon = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        Ok((daemon, door))
    }

    /// Has the daemon ask for the wanted answer, and keep it.
    fn first_answer(&self) -> Result<(), Failure> {
        let (daemon, door) = self.daemon(None)?;
        let answer = ask(connected(door)?, WANTED)?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(format!("fakehub's answer: {answer}").into());
        }
        // It is kept beside the answering.
        std::thread::sleep(Duration::from_millis(500));
        stop(daemon)
    }

    /// Puts `count` entries of this machine's clients and as many of the fleet's in all into the store, like the
    /// one that is there, which becomes fresh for long.
    fn fill(&self, count: u64, bytes: usize) -> Result<(), Failure> {
        let dir = store::CacheDir::prepare(&self.dir.join("cache"))?;
        let (store, _) = dir.open_store(DiskConfig::new(1 << 40, random()), Millis(0))?;
        let now = Millis(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64);
        let kept = store.newest(Space::Local, None, 1)?;
        let [(at, wanted)] = &kept[..] else { return Err("the daemon kept no answer".into()) };
        let mut template = wanted.clone();
        let hour = 3_600_000;
        template.record.validated_at = now;
        (template.record.fresh_until, template.record.proved_until) = (Millis(now.0 + hour), Millis(now.0 + hour));
        template.record.stale_until = Millis(now.0 + 2 * hour);
        store.put(Space::Local, *at, template.clone(), None)?;
        for n in 0..count {
            let made = entry(n, bytes);
            let mut stored = template.clone();
            (stored.record.family, stored.record.body_bytes) = (made.stored.record.family, bytes as u64);
            stored.record.version.digest = made.stored.record.version.digest;
            stored.record.validated_at = Millis(now.0 - 1 - n);
            let key = EntryKey { scope: at.scope, key: made.key.key };
            // Half of them are of the fleet, as a member's are.
            let space = if n % 2 == 0 { Space::Local } else { Space::Fleet };
            store.put(space, key, stored, Some(made.body))?;
            if (n + 1).is_multiple_of(WINDOW) {
                store.flush(now)?;
            }
        }
        store.flush(now)?;
        Ok(())
    }

    /// Measures a start, and stops the daemon in order.
    fn start(&self, secret: Option<&str>) -> Result<Start, Failure> {
        let start = Instant::now();
        let (daemon, door) = self.daemon(secret)?;
        let answer = ask(connected(door)?, WANTED)?;
        let hit_secs = start.elapsed().as_secs_f64();
        if !answer.to_ascii_lowercase().contains("cache-status: ghoard; hit") {
            return Err(format!("that was no hit: {answer}").into());
        }
        let rss_bytes = rss_bytes_of(&daemon)?;
        std::thread::sleep(Duration::from_secs(3));
        let settled_bytes = rss_bytes_of(&daemon)?;
        stop(daemon)?;
        Ok(Start { hit_secs, rss_bytes, settled_bytes })
    }

    /// Lets the daemon keep some answers, commit some of them, and kills it.
    fn write_and_kill(&self) -> Result<(), Failure> {
        let (daemon, door) = self.daemon(None)?;
        let end = Instant::now() + Duration::from_millis(1200);
        while Instant::now() < end {
            let path = format!("/repos/octocat/Hello-World/git/blobs/size-{}", 2048 + random::<u16>());
            ask(connected(door)?, &path)?;
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(daemon);
        Ok(())
    }
}

/// Starts fakehub; returns its URL too.
fn fakehub(binary: &Path) -> Result<(Running, String), Failure> {
    let mut command = Command::new(binary);
    let token = format!("octocat={TOKEN}");
    let mut hub = Running(command.args(["--token", &token]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    let mut line = String::new();
    BufReader::new(hub.0.stdout.take().ok_or("fakehub has no output")?).read_line(&mut line)?;
    let url = line.trim().strip_prefix("api ").ok_or("fakehub does not say where it is")?;
    Ok((hub, url.to_owned()))
}

/// A connection, as soon as there is a door.
fn connected(door: SocketAddr) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(door) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

fn ask(mut stream: TcpStream, path: &str) -> Result<String, Failure> {
    let host = stream.peer_addr()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/json\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn rss_bytes_of(daemon: &Running) -> Result<f64, Failure> {
    Ok(crate::start::rss_bytes_of(&daemon.0.id().to_string()).ok_or("the daemon is gone")? as f64)
}

fn stop(mut daemon: Running) -> Result<(), Failure> {
    kill_process(Pid::from_child(&daemon.0), Signal::TERM)?;
    let status = daemon.0.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the daemon ended with {status}").into()) }
}
