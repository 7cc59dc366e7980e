//! A daemon in a namespace: started, asked, and ended with its handle.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{kind::PORT, namespace::Namespace};
use crate::run;

/// The token of everybody in the lab.
pub(crate) const TOKEN: &str = "ghp_natLabNatLabNatLabNatLabNatLabNatLab";
pub(crate) const SECRET: &str = "ghoard nat-lab, for tests only";
/// Where fakehub is, in the bridge's network.
pub(crate) const GITHUB: &str = "50.0.0.20";
const GITHUB_PORT: u16 = 8000;
/// For starting up on a machine that does much else.
const START_TIME: Duration = Duration::from_secs(30);
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// A process that ends with its handle.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one answer of a daemon says.
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Daemon {
    process: Process,
    home: PathBuf,
    pub(crate) peer_id: String,
}

/// Starts a fakehub at [`GITHUB`].
pub(crate) fn start_github(namespace: &Namespace, home: &Path) -> Result<Process, String> {
    let listen = format!("{GITHUB}:{GITHUB_PORT}");
    let mut command = namespace.command(program("fakehub"));
    command.args(["--listen", &listen, "--token", &format!("octocat={TOKEN}")]);
    spawn(&mut command, &home.join("fakehub.log"))
}

impl Daemon {
    /// Starts one and waits until it serves. `settings` are variables of its environment.
    pub(crate) fn start(namespace: &Namespace, home: PathBuf, settings: &[(&str, &str)]) -> Result<Self, String> {
        fs::create_dir_all(&home).map_err(|cause| format!("{}: {cause}", home.display()))?;
        let at = |name: &str| home.join(name).display().to_string();
        let mut command = namespace.command(program("ghoard"));
        command.arg("run").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("HOME", &home)
            .env("GHOARD_LOG", std::env::var("GHOARD_LOG").unwrap_or_else(|_| "info,net=debug".to_owned()));
        for (name, value) in [
            ("CACHE_DIR", at("cache")),
            ("IPFS_ACCELERATE_P2P_CACHE_DIR", at("registry")),
            ("GHOARD_DOOR_SOCKET", at("door.sock")),
            ("GHOARD_ADMIN_SOCKET", at("admin.sock")),
            ("GHOARD_ORIGIN", format!("http://{GITHUB}:{GITHUB_PORT}")),
            ("CACHE_LISTEN_PORT", PORT.to_string()),
            ("CACHE_P2P_SHARED_SECRET", SECRET.to_owned()),
        ] {
            command.env(name, value);
        }
        command.envs(settings.iter().copied());
        let log = home.join("log");
        let process = spawn(&mut command, &log)?;
        let mut daemon = Self { process, home, peer_id: String::new() };
        let deadline = Instant::now() + START_TIME;
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if let Some((_, rest)) = said.split_once("peer id") {
                daemon.peer_id = rest.split_whitespace().next().unwrap_or_default().to_owned();
                if daemon.peers().is_ok() {
                    return Ok(daemon);
                }
            }
            let has_ended = daemon.process.0.try_wait().is_ok_and(|ended| ended.is_some());
            if has_ended || Instant::now() > deadline {
                return Err(format!("a daemon did not start:\n{said}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it shows of the fleet.
    pub(crate) fn peers(&self) -> Result<Value, String> {
        let reply = self.ask("admin.sock", "/peers", "")?;
        serde_json::from_slice(&reply.body).map_err(|cause| format!("{cause} in {:?}", reply.head))
    }

    /// The member `peer` as this one sees it; null if it does not know it.
    pub(crate) fn member(&self, peer: &str) -> Result<Value, String> {
        let members = self.peers()?;
        let found = members["members"].as_array().into_iter().flatten().find(|row| row["peer_id"] == peer);
        Ok(found.cloned().unwrap_or_default())
    }

    /// Asks GitHub's API through it, as a client does.
    pub(crate) fn get(&self, path: &str) -> Result<Reply, String> {
        self.ask("door.sock", path, &format!("Authorization: Bearer {TOKEN}\r\n"))
    }

    /// Leaves its log under `target/nat-lab`, and returns where.
    pub(crate) fn keep_log(&self, name: &str) -> String {
        let folder = run::target().join("nat-lab");
        let path = folder.join(format!("{}.log", name.replace(['/', ':'], "-")));
        // A log that could not be kept is no reason to lose the finding.
        let _ = fs::create_dir_all(folder).and_then(|()| fs::copy(self.home.join("log"), &path).map(drop));
        path.display().to_string()
    }

    fn ask(&self, socket: &str, path: &str, more: &str) -> Result<Reply, String> {
        let exchange = || {
            let mut stream = UnixStream::connect(self.home.join(socket))?;
            stream.set_read_timeout(Some(ANSWER_TIME))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {GITHUB}:{GITHUB_PORT}\r\nConnection: close\r\n{more}\r\n")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = exchange().map_err(|cause| format!("{socket} of {}: {cause}", self.home.display()))?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an answer without a head")?;
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        Ok(Reply { head, body: answer[end + 4..].to_vec() })
    }
}

/// Starts `command`; what it says goes to `log`.
pub(crate) fn spawn(command: &mut std::process::Command, log: &Path) -> Result<Process, String> {
    let output = File::create(log).map_err(|cause| format!("{}: {cause}", log.display()))?;
    let errors = output.try_clone().map_err(|cause| format!("{}: {cause}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
    child.map(Process).map_err(|cause| format!("could not run {command:?}: {cause}"))
}

/// This very program, for what must run in a namespace of the lab.
pub(crate) fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|cause| format!("where is this program? {cause}"))
}

pub(crate) fn program(name: &str) -> PathBuf {
    run::target().join("debug").join(name)
}
