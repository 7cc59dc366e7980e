//! A daemon as shipped, on loopback, and the fakehub before which it runs.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::account;

const TOKEN: &str = "ghp_idleIdleIdleIdleIdleIdleIdleIdleIdle";
const SECRET: &str = "ghoard bench idle";
const START_TIME: Duration = Duration::from_secs(30);
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// A process that ends with its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A fakehub on a port of its own.
pub(super) struct GitHub {
    _process: Process,
    pub(super) origin: String,
}

pub(super) fn start_github(binaries: &Path) -> Result<GitHub, String> {
    let mut command = Command::new(binaries.join("fakehub"));
    command.args(["--token", &format!("octocat={TOKEN}")]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| format!("could not run {command:?}: {cause}"))?;
    let said = child.stdout.take().expect("it is piped");
    let process = Process(child);
    let mut lines = BufReader::new(said).lines().map_while(Result::ok);
    let origin = lines.find_map(|line| Some(line[line.find("http://")?..].split_whitespace().next()?.to_owned()));
    Ok(GitHub { _process: process, origin: origin.ok_or("fakehub did not say where it listens")? })
}

pub(super) struct Daemon {
    process: Process,
    home: PathBuf,
}

impl Daemon {
    /// Starts the `n`th, in a folder of its own below `folder`, and waits until it answers.
    pub(super) fn start(binaries: &Path, folder: &Path, n: usize, origin: &str) -> Result<Self, String> {
        let home = folder.join(n.to_string());
        fs::create_dir_all(&home).map_err(|cause| format!("{}: {cause}", home.display()))?;
        let at = |name: &str| home.join(name).display().to_string();
        let log = File::create(home.join("log")).map_err(|cause| format!("{}: {cause}", at("log")))?;
        let mut command = Command::new(binaries.join("ghoard"));
        command.args(["run", "--default-ttl=86400"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &home);
        for (name, value) in [
            ("CACHE_DIR", at("cache")),
            ("GHOARD_DOOR_SOCKET", at("door.sock")),
            ("GHOARD_ADMIN_SOCKET", at("admin.sock")),
            ("GHOARD_DOOR_ADDRESS", "127.0.0.1:0".to_owned()),
            ("GHOARD_ADMIN_ADDRESS", "127.0.0.1:0".to_owned()),
            ("GHOARD_LISTEN_ADDRESS", "127.0.0.1".to_owned()),
            ("CACHE_LISTEN_PORT", "0".to_owned()),
            ("GHOARD_ORIGIN", origin.to_owned()),
            ("GHOARD_UPNP", "false".to_owned()),
            ("IPFS_ACCELERATE_P2P_FORCE_LOCALHOST", "1".to_owned()),
            ("IPFS_ACCELERATE_P2P_CACHE_DIR", folder.join("registry").display().to_string()),
            ("CACHE_P2P_SHARED_SECRET", SECRET.to_owned()),
            ("RUNNER_NAME", format!("idle-{n}")),
        ] {
            command.env(name, value);
        }
        let child = command.spawn().map_err(|cause| format!("could not run {command:?}: {cause}"))?;
        let mut daemon = Self { process: Process(child), home };
        let deadline = Instant::now() + START_TIME;
        while daemon.stats().is_err() {
            let has_ended = daemon.process.0.try_wait().is_ok_and(|ended| ended.is_some());
            if has_ended || Instant::now() > deadline {
                let said = fs::read_to_string(daemon.home.join("log")).unwrap_or_default();
                return Err(format!("a daemon did not start:\n{said}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// Asks GitHub's API through it, as a client does.
    pub(super) fn get(&self, path: &str) -> Result<(), String> {
        let head = format!("Host: api.github.com\r\nAuthorization: Bearer {TOKEN}\r\n");
        self.ask("door.sock", path, &head).map(drop)
    }

    /// One of its numbers; 0 if it does not answer.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.stats().ok().and_then(|stats| stats[name].as_u64()).unwrap_or_default()
    }

    /// Seconds of a core that it has used, user and system.
    pub(super) fn cpu_secs(&self) -> f64 {
        account::cpu_secs(self.process.0.id())
    }

    /// A line of `/proc/PID/status`.
    pub(super) fn memory_kb(&self, name: &str) -> u64 {
        account::status_kb(self.process.0.id(), name).unwrap_or_default()
    }

    fn stats(&self) -> Result<Value, String> {
        let body = self.ask("admin.sock", "/stats", "Host: localhost\r\n")?;
        serde_json::from_slice(&body).map_err(|cause| format!("/stats: {cause}"))
    }

    fn ask(&self, socket: &str, path: &str, headers: &str) -> Result<Vec<u8>, String> {
        let exchange = || {
            let mut stream = UnixStream::connect(self.home.join(socket))?;
            stream.set_read_timeout(Some(ANSWER_TIME))?;
            write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = exchange().map_err(|cause| format!("{socket} of {}: {cause}", self.home.display()))?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an answer without a head")?;
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(format!("{path}: {}", String::from_utf8_lossy(&answer[..end])));
        }
        Ok(answer[end + 4..].to_vec())
    }
}
