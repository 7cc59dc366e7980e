//! A GitHub, and machines before it: the real binary in processes of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fakehub::{Hub, Options, Tally, Token};
use rustix::process::{Pid, Signal, kill_process};
use task::Tasks;
use tokio::runtime::Runtime;

use crate::{
    home::Home,
    http::{self, Reply},
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `is_so`, and fails with `what` if it never is.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// fakehub in this process.
pub(crate) struct GitHub {
    pub(crate) runtime: Runtime,
    hub: Arc<Mutex<Hub>>,
    server: Option<fakehub::Server>,
    pub(crate) url: String,
}

pub(crate) const TOKEN: &str = "ghp_octocatOctocatOctocatOctocatOcto";
pub(crate) const SECRET: &str = "a passphrase for the tests only";
pub(crate) const OUTSIDER: &str = "ghp_outsiderOutsiderOutsiderOutsider0";

impl GitHub {
    /// With one token that may read `acme/secret`, and one that may not.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut hub = Hub::standard(1);
        hub.add_token(Token::new(TOKEN, "octocat").with_repo("acme/secret", fakehub::Role::Write));
        hub.add_token(Token::new(OUTSIDER, "outsider"));
        let hub = Arc::new(Mutex::new(hub));
        let _context = runtime.enter();
        let options = Options { control: false };
        let server = runtime.block_on(fakehub::serve(&Tasks::tokio(), hub.clone(), options)).unwrap();
        let url = server.url();
        drop(_context);
        Self { runtime, hub, server: Some(server), url }
    }

    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared_hub(&self) -> Arc<Mutex<Hub>> {
        self.hub.clone()
    }

    pub(crate) fn count(&self, path: &str) -> Tally {
        self.hub().counts().path(path)
    }

    /// From now on nobody listens there.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// How a machine is to be started; the defaults keep it on loopback and off the fleet.
pub(crate) struct Setup {
    pub(crate) home: Arc<Home>,
    pub(crate) env: Vec<(String, String)>,
}

impl Setup {
    pub(crate) fn new(github: &GitHub) -> Self {
        Self::at(Arc::new(Home::new()), &github.url)
    }

    pub(crate) fn at(home: Arc<Home>, origin: &str) -> Self {
        let socket = home.path("door.sock");
        let pairs = [
            ("CACHE_DIR", home.path("cache").display().to_string()),
            ("GHOARD_DOOR_SOCKET", socket.display().to_string()),
            ("GHOARD_DOOR_ADDRESS", "127.0.0.1:0".to_owned()),
            ("GHOARD_ADMIN_ADDRESS", "127.0.0.1:0".to_owned()),
            ("GHOARD_LISTEN_ADDRESS", "127.0.0.1".to_owned()),
            ("CACHE_LISTEN_PORT", "0".to_owned()),
            ("GHOARD_ORIGIN", origin.to_owned()),
            ("IPFS_ACCELERATE_P2P_CACHE_DIR", home.path("registry").display().to_string()),
            ("IPFS_ACCELERATE_P2P_FORCE_LOCALHOST", "1".to_owned()),
            ("GHOARD_UPNP", "false".to_owned()),
            ("GHOARD_LOG", std::env::var("GHOARD_LOG").unwrap_or("info".to_owned())),
        ];
        Self { home, env: pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// A member of the fleet with this secret and this registry folder.
    pub(crate) fn member(self, secret: &str, registry: &str, name: &str) -> Self {
        self.env("CACHE_P2P_SHARED_SECRET", secret)
            .env("IPFS_ACCELERATE_P2P_CACHE_DIR", registry)
            .env("RUNNER_NAME", name)
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = self.home.ghoard(arguments);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn start(self) -> Machine {
        let mut child =
            self.command("run").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Lines::default();
        log.collect(child.stderr.take().unwrap());
        let told = Lines::default();
        told.collect(child.stdout.take().unwrap());
        wait_until("the daemon says that it runs", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{}", log.text());
            told.text().contains("point gh here") || told.text().contains("shares ") && !told.text().contains("socket")
        });
        Machine { setup: self, child, told, log }
    }
}

/// A running daemon.
pub(crate) struct Machine {
    pub(crate) setup: Setup,
    pub(crate) child: Child,
    /// Its standard output.
    pub(crate) told: Lines,
    /// Its standard error.
    pub(crate) log: Lines,
}

impl Machine {
    pub(crate) fn base(&self) -> SocketAddr {
        self.address("base URL")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.setup.home.path("door.sock")
    }

    pub(crate) fn peer_id(&self) -> String {
        self.line("peer id")
    }

    fn address(&self, label: &str) -> SocketAddr {
        let line = self.line(label);
        let rest = line.strip_prefix("http://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    pub(crate) fn line(&self, label: &str) -> String {
        let told = self.told.text();
        let line = told.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap_or_default();
        line.trim().to_owned()
    }

    /// A GET by the base URL.
    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> Reply {
        self.request("GET", path, token, "")
    }

    pub(crate) fn request(&self, method: &str, path: &str, token: Option<&str>, more: &str) -> Reply {
        let authorization = token.map(|token| format!("\nAuthorization: Bearer {token}")).unwrap_or_default();
        let head = format!("{method} {path} HTTP/1.1\nHost: {}{authorization}{more}", self.base());
        http::exchange(http::tcp(self.base()), &head, b"")
    }

    pub(crate) fn status(&self, page: &str) -> Reply {
        let admin = self.address("status");
        http::exchange(http::tcp(admin), &format!("GET {page} HTTP/1.1\nHost: {admin}"), b"")
    }

    pub(crate) fn stats(&self) -> serde_json::Value {
        self.status("/api/mcp/cache/stats").json()
    }

    pub(crate) fn stat(&self, name: &str) -> u64 {
        self.stats()[name].as_u64().unwrap_or_else(|| panic!("{name} is no number"))
    }

    pub(crate) fn wait_for_peers(&self, count: usize) {
        wait_until("the peers are connected and listen", || {
            let peers = self.status("/api/mcp/peers").json();
            peers["peers"].as_array().unwrap().iter().filter(|peer| peer["ready"] == true).count() >= count
        });
    }

    /// The real gh, by this machine's socket. Returns standard output.
    pub(crate) fn gh(&self, arguments: &[&str], token: &str) -> std::process::Output {
        let mut gh = self.setup.command("gh");
        gh.args(arguments).env("GH_TOKEN", token).env_remove("CACHE_P2P_SHARED_SECRET").output().unwrap()
    }

    /// Where members reach it, once it listens.
    pub(crate) fn listening(&self) -> String {
        let mut listening = None;
        wait_until("it listens for members", || {
            listening = self.status("/api/mcp/peers").json()["listening"][0].as_str().map(str::to_owned);
            listening.is_some()
        });
        listening.unwrap()
    }

    /// Resident memory in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Ends at once, as when the power goes.
    pub(crate) fn kill(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Setup { home: self.setup.home.clone(), env: self.setup.env.clone() }
    }

    /// Ends in order; returns the exit code.
    pub(crate) fn terminate(mut self) -> (Setup, Option<i32>) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        (Setup { home: self.setup.home.clone(), env: self.setup.env.clone() }, code)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- standard output\n{}--- log\n{}", self.told.text(), self.log.text());
        }
    }
}

/// What a process prints, as it prints it.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<String>>);

impl Lines {
    #[expect(clippy::disallowed_methods, reason = "the test's own thread, beside the program")]
    pub(crate) fn collect(&self, from: impl std::io::Read + Send + 'static) {
        let lines = self.0.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push_str(&line);
                lines.push('\n');
            }
        });
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether the real gh can be used. CI must have it; elsewhere a test without it says so by name.
pub(crate) fn has_gh(test: &str) -> bool {
    let found = Command::new("gh").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "CI needs gh");
    if !found {
        eprintln!("{test} is skipped: gh is not installed");
    }
    found
}

/// A pair in one fleet, connected.
pub(crate) fn two_members(github: &GitHub) -> (Machine, Machine) {
    two_members_with(github, &[])
}

/// The same, both with these settings.
pub(crate) fn two_members_with(github: &GitHub, env: &[(&str, &str)]) -> (Machine, Machine) {
    let set = |setup: Setup| env.iter().fold(setup, |setup, (name, value)| setup.env(name, *value));
    let (a, b) = (set(Setup::new(github)), set(Setup::new(github)));
    let registry = a.home.path("registry").display().to_string();
    let a = a.member(SECRET, &registry, "a").start();
    let b = b.member(SECRET, &registry, "b").start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    (a, b)
}
