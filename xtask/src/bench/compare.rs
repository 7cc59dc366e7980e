//! `cargo xtask bench compare`: hits of the daemon beside those of nginx and Varnish.

mod load;
mod origin;
mod server;
mod table;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use load::Sample;
use origin::Origin;
use server::Server;

use super::{account, folder::Folder};
use crate::run::{self, Outcome};

/// The servers share a core, the generator has another one.
const SERVER_CORE: &str = "0";
const GENERATOR_CORE: &str = "1";

/// Name and bytes of the bodies.
const SIZES: [(&str, usize); 3] = [("1 KB", 1 << 10), ("10 KB", 10 << 10), ("100 KB", 100 << 10)];

/// The URLs of the cases that ask for another one each time.
const ROTATING_URLS: usize = 100;

/// What `gh` sends; the token makes the answer one credential's own.
const GENERATOR_HEADERS: [&str; 5] = [
    "User-Agent: GitHub CLI 2.60.0",
    "Authorization: token gho_bench0bench0bench0bench0bench0bench0",
    "Accept: application/vnd.github+json",
    "X-GitHub-Api-Version: 2022-11-28",
    "Time-Zone: Europe/Berlin",
];

/// Command line of the run.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Rounds; in each, every server is driven once in every case.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that one server is driven at a time.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Three rounds of one second.
    #[arg(long)]
    quick: bool,
    /// Only cases whose name has this in it, such as "1 KB plain" or "socket".
    #[arg(long)]
    only: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// The daemon to drive; without it, the release build, made now.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A second daemon in the same rounds, such as the one before a change.
    #[arg(long)]
    before: Option<PathBuf>,
    /// Connects to this socket again and again. Used by the run itself.
    #[arg(long, hide = true, num_args = 3)]
    drive: Option<Vec<String>>,
}

/// One way of asking.
#[derive(Clone, Copy)]
struct Case {
    size: usize,
    gzip: bool,
    connections: usize,
    /// By a unix socket, with a new connection each, as `gh` does it.
    by_socket: bool,
    /// One of many URLs after the other, so that no connection asks for what it has just asked for.
    rotates: bool,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for size in 0..SIZES.len() {
            for gzip in [false, true] {
                for connections in [1, 64] {
                    cases.push(Self { size, gzip, connections, by_socket: false, rotates: false });
                }
            }
        }
        let small = |connections, by_socket| Self { size: 0, gzip: false, connections, by_socket, rotates: !by_socket };
        cases.extend([small(1, false), small(64, false), small(1, true), small(8, true)]);
        cases
    }

    fn name(self) -> String {
        let coding = if self.gzip { "gzip" } else { "plain" };
        let how = match self {
            Self { by_socket: true, .. } => "unix socket, new connection each, ".to_owned(),
            Self { rotates: true, .. } => format!("{ROTATING_URLS} URLs in turn, "),
            _ => String::new(),
        };
        format!("{} {coding}, {how}{} at once", SIZES[self.size].0, self.connections)
    }
}

/// What one server did in one case, round by round.
struct Run {
    server: &'static str,
    samples: Vec<Sample>,
}

/// Runs all cases and prints a table with the goals beside the ratios.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    if let Some(drive) = &arguments.drive {
        return load::drive(drive);
    }
    server::check_tools()?;
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => built()?,
    };
    let folder = Folder::new("compare")?;
    let origin = Origin::start()?;
    let servers = start(&folder.0, &origin, &binary, arguments.before.as_deref())?;
    for server in &servers {
        check(server, &origin)?;
    }
    let warm = origin.asked();
    let (rounds, time) = if arguments.quick { (3, 1.0) } else { (arguments.rounds.max(1), arguments.seconds) };
    let is_wanted = |case: &Case| arguments.only.as_ref().is_none_or(|part| case.name().contains(part.as_str()));
    let mut results = Vec::new();
    for case in Case::all().into_iter().filter(is_wanted) {
        results.push((case, drive_all(&servers, case, rounds, Duration::from_secs_f64(time))?));
    }
    let asked = origin.asked() - warm;
    if asked > 0 {
        return Err(format!("the origin was asked {asked} times while hits were measured"));
    }
    let memory: Vec<(&str, u64)> = servers.iter().map(|server| (server.name, server.peak_kb())).collect();
    let about = format!("{rounds} rounds of {time} s each, in turn; {}", server::versions().join("; "));
    if arguments.json {
        run::print(&table::json(&about, &results, &memory).to_string());
    } else {
        table::lines(&about, &results, &memory).iter().for_each(|line| run::print(line));
    }
    Ok(())
}

fn start(folder: &Path, origin: &Origin, binary: &Path, before: Option<&Path>) -> Result<Vec<Server>, String> {
    let own = |name: &str| {
        let own = folder.join(name);
        std::fs::create_dir_all(&own).map(|()| own).map_err(|cause| format!("{name}: {cause}"))
    };
    let mut servers = vec![
        Server::nginx(&own("nginx")?, origin.address)?,
        Server::varnish(&own("varnish")?, origin.address)?,
        Server::ghoard("ghoard", binary, &own("ghoard")?, origin.address)?,
    ];
    if let Some(before) = before {
        servers.push(Server::ghoard("before", before, &own("before")?, origin.address)?);
    }
    Ok(servers)
}

/// Warms a server, and sees that it serves every body whole in the form that was asked for.
fn check(server: &Server, origin: &Origin) -> Outcome {
    for (size, stored) in origin.bodies.iter().enumerate() {
        for gzip in [false, true, false, true] {
            for by_socket in [false, true] {
                let (head, body) = server.get(&origin::path(size), gzip, by_socket && server.socket.is_some())?;
                let is_packed = head.contains("content-encoding: gzip");
                let plain = if is_packed { server::unpacked(&body)? } else { body };
                if !head.starts_with("http/1.1 200") || plain != stored.plain || is_packed != gzip {
                    return Err(format!("{} does not serve {} as it is:\n{head}", server.name, SIZES[size].0));
                }
            }
        }
        if stored.gzip.len() >= stored.plain.len() {
            return Err("the list cannot be packed".to_owned());
        }
    }
    for at in 1..=ROTATING_URLS {
        let (head, body) = server.get(&origin::rotating_path(at), false, false)?;
        if !head.starts_with("http/1.1 200") || body != origin.bodies[0].plain {
            return Err(format!("{} does not serve URL {at} as it is:\n{head}", server.name));
        }
    }
    Ok(())
}

fn drive_all(servers: &[Server], case: Case, rounds: usize, time: Duration) -> Result<Vec<Run>, String> {
    let takes_part = |server: &&Server| !case.by_socket || server.socket.is_some();
    let servers: Vec<&Server> = servers.iter().filter(takes_part).collect();
    let mut runs: Vec<Run> = servers.iter().map(|server| Run { server: server.name, samples: Vec::new() }).collect();
    for round in 0..rounds {
        run::say(&format!("{}: round {} of {rounds}", case.name(), round + 1));
        // Another one begins each time.
        for at in (0..servers.len()).map(|at| (at + round) % servers.len()) {
            runs[at].samples.push(load::sample(servers[at], case, time)?);
        }
    }
    Ok(runs)
}

fn built() -> Result<PathBuf, String> {
    run::check(&mut run::cargo(&["build", "--quiet", "--release", "--package", "ghoard"]))?;
    Ok(run::target().join("release/ghoard"))
}
