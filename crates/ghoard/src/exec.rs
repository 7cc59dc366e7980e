//! `ghoard exec` and `ghoard gh`: a command whose gh uses the cache, if the daemon is there.

mod folder;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    signal::unix::{Signal as Caught, SignalKind, signal},
};

use crate::{output, setup};
use folder::GhFolder;

/// How long the daemon may take to accept. A daemon that is slower than this is no gain.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// What to run, and where the cache is.
pub(crate) struct Exec {
    /// The program and its arguments; not empty.
    pub(crate) command: Vec<OsString>,
    pub(crate) socket: PathBuf,
    /// gh's own configuration, if the user can have one.
    pub(crate) gh_config_dir: Option<PathBuf>,
    /// Go direct, and say nothing (`GHOARD_BYPASS=1`).
    pub(crate) bypass: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error("could not run {}", program.display())]
    Run {
        program: OsString,
        #[source]
        cause: io::Error,
    },
    #[error("could not catch signals")]
    Signals(#[source] io::Error),
}

impl ExecError {
    /// The exit code that shells use for it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Run { cause, .. } if cause.kind() == io::ErrorKind::NotFound => 127,
            Self::Run { .. } => 126,
            Self::Signals(_) => 2,
        }
    }
}

/// Runs the command to its end, and returns its exit code, or 128 and the signal that killed it.
///
/// Whatever goes wrong with the cache, the command runs: direct, and said so once.
///
/// # Errors
/// [`ExecError`] if the command itself could not be run.
pub(crate) async fn run(exec: Exec) -> Result<u8, ExecError> {
    // Caught before the folder exists, so that no signal can leave it behind.
    let mut signals = Signals::catch().map_err(ExecError::Signals)?;
    let folder = if exec.bypass { None } else { through_cache(&exec).await };
    let folder = folder.or_else(|| past_cache(&exec));

    let (program, arguments) = exec.command.split_first().expect("the command line requires a command");
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(folder) = &folder {
        command.env("GH_CONFIG_DIR", folder.path());
    }
    let ran = match command.spawn() {
        Ok(mut child) => wait(&mut child, &mut signals).await,
        Err(cause) => Err(cause),
    };
    if let Some(folder) = folder {
        folder.remove();
    }
    match ran {
        Ok(status) => Ok(exit_code(status)),
        Err(cause) => Err(ExecError::Run { program: program.clone(), cause }),
    }
}

async fn through_cache(exec: &Exec) -> Option<GhFolder> {
    if !is_up(&exec.socket).await {
        output::note(&format!("ghoard: no daemon at {}, going direct", exec.socket.display()));
        return None;
    }
    match GhFolder::create(Some(&exec.socket), exec.gh_config_dir.as_deref()) {
        Ok(folder) => Some(folder),
        Err(cause) => {
            output::note(&format!("ghoard: no temporary configuration for gh ({cause}), going direct"));
            None
        }
    }
}

/// Going direct must be possible after `ghoard setup gh`, too, whose line leads to the cache.
fn past_cache(exec: &Exec) -> Option<GhFolder> {
    let user = exec.gh_config_dir.as_deref().filter(|user| setup::is_done(user))?;
    match GhFolder::create(None, Some(user)) {
        Ok(folder) => Some(folder),
        Err(cause) => {
            output::note(&format!("ghoard: no temporary configuration for gh ({cause}); its own names the socket"));
            None
        }
    }
}

async fn is_up(socket: &Path) -> bool {
    matches!(tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(socket)).await, Ok(Ok(_)))
}

struct Signals {
    terminate: Caught,
    interrupt: Caught,
    hang_up: Caught,
    /// At a terminal, the terminal itself sends `SIGINT` to the child too.
    terminal: bool,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            terminal: io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            _ = self.terminate.recv() => Some(Signal::TERM),
            _ = self.hang_up.recv() => Some(Signal::HUP),
            _ = self.interrupt.recv() => (!self.terminal).then_some(Signal::INT),
        }
    }
}

/// Waits for the child to end, and passes on what was sent to us meanwhile.
async fn wait(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    loop {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => if let (Some(pid), Some(signal)) = (pid, signal) {
                // It may have just ended; then there is nobody to tell.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(2);
    u8::try_from(code).unwrap_or(u8::MAX)
}
