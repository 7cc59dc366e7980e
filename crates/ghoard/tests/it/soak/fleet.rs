//! Daemons that are killed and come back, and how to reach those that live.

use std::{
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::PATIENCE;
use crate::{
    http::{self, Reply},
    world::{GitHub, Machine, SECRET, Setup, wait_until},
};

/// So many daemons, by their numbers.
pub(super) struct Fleet {
    doors: Vec<Mutex<State>>,
    machines: Vec<Mutex<Option<Machine>>>,
}

/// How to reach a daemon that lives.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) daemon: usize,
    pub(super) setup: Arc<Setup>,
    pub(super) since: Instant,
    base: SocketAddr,
}

#[derive(Default)]
struct State {
    /// None while it is dead.
    door: Option<Door>,
    killed: Option<Instant>,
    /// Its `/healthz` has said so since it was started.
    is_ready: bool,
}

/// Which daemons will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Living,
    /// And ready, as somebody would wait for who moves many clients to it.
    Ready,
}

impl Fleet {
    /// So many, all members of one fleet, each with a plain gh that `ghoard setup gh` led to it.
    pub(super) fn start(github: &GitHub, daemons: usize, env: &[(&str, &str)]) -> Self {
        let mut registry = None;
        let machines: Vec<Machine> = (0..daemons)
            .map(|n| {
                let setup = env.iter().fold(Setup::new(github), |setup, (name, value)| setup.env(name, *value));
                let own = setup.home.path("registry").display().to_string();
                let registry = registry.get_or_insert(own);
                let machine = setup.member(SECRET, registry, &format!("soak-{n}")).start();
                assert!(machine.setup.command("setup gh").output().unwrap().status.success());
                machine
            })
            .collect();
        machines.iter().for_each(|machine| machine.wait_for_peers(daemons - 1));
        let living = |(n, machine)| Mutex::new(State { door: Some(door(n, machine)), killed: None, is_ready: true });
        let doors = machines.iter().enumerate().map(living);
        Self { doors: doors.collect(), machines: machines.into_iter().map(|m| Mutex::new(Some(m))).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.doors.len()
    }

    /// Returns the door of the first daemon from `n` on that is as wanted, but not that of `but`.
    pub(super) fn door(&self, n: usize, wanted: Wanted, but: Option<usize>) -> Door {
        let mut numbers = (0..self.len()).map(|more| (n + more) % self.len()).filter(|n| Some(*n) != but);
        let is_as_wanted = |state: &State| state.is_ready || wanted == Wanted::Living;
        let door = |n: usize| {
            let state = lock(&self.doors[n]);
            state.door.clone().filter(|_| is_as_wanted(&state))
        };
        numbers.find_map(door).expect("only one at a time is dead")
    }

    /// When the daemon that had this door was killed, if it was.
    pub(super) fn killed(&self, door: &Door) -> Option<Instant> {
        let state = lock(&self.doors[door.daemon]);
        let is_the_same = state.door.as_ref().is_some_and(|now| now.since == door.since);
        state.killed.filter(|_| !is_the_same)
    }

    pub(super) fn kill(&self, daemon: usize) -> Setup {
        let machine = lock(&self.machines[daemon]).take().expect("it lives");
        *lock(&self.doors[daemon]) = State { killed: Some(Instant::now()), ..State::default() };
        machine.kill()
    }

    /// Returns how long it took from the start to the moment when it was ready.
    pub(super) fn restart(&self, daemon: usize, setup: Setup) -> Duration {
        let began = Instant::now();
        let machine = setup.start();
        lock(&self.doors[daemon]).door = Some(door(daemon, &machine));
        wait_until("it is ready", || machine.status("/healthz").status == 200);
        lock(&self.doors[daemon]).is_ready = true;
        *lock(&self.machines[daemon]) = Some(machine);
        began.elapsed()
    }
}

fn door(daemon: usize, machine: &Machine) -> Door {
    let setup = Setup { home: machine.setup.home.clone(), env: machine.setup.env.clone() };
    Door { daemon, setup: Arc::new(setup), since: Instant::now(), base: machine.base() }
}

impl Door {
    /// One request by the base URL, on a connection of its own.
    pub(super) fn plain(&self, method: &str, path: &str, token: &str, body: &str) -> io::Result<Reply> {
        let stream = TcpStream::connect(self.base)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = format!("{method} {path} HTTP/1.1\nHost: {}\nAuthorization: Bearer {token}", self.base);
        if !body.is_empty() {
            head += &format!("\nContent-Length: {}", body.len());
        }
        http::try_exchange(stream, &head, body.as_bytes())
    }

    /// The real gh, which knows the daemon from its own configuration.
    pub(super) fn gh(&self, path: &str, token: &str) -> io::Result<Output> {
        bounded(self.setup.home.command("gh").args(["api", path]).env("GH_TOKEN", token))
    }
}

/// Runs `command` to its end, which must come within [`PATIENCE`].
pub(super) fn bounded(command: &mut Command) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let stdout = scope.spawn(|| all_of(stdout));
        let stderr = scope.spawn(|| all_of(stderr));
        let status = end_of(&mut child);
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        Ok(Output { status: status?, stdout, stderr })
    })
}

fn end_of(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("it did not end within {PATIENCE:?}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn all_of(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before it broke is what there is.
    let _ = stream.expect("it is piped").read_to_end(&mut bytes);
    bytes
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
