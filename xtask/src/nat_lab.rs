//! Real daemons behind real kernel NAT, in network namespaces: `cargo xtask nat-lab`.
//!
//! Everything happens in namespaces of this run (mounts, processes, network), so that nothing is left
//! behind, however it ends. The recipe of the routers is libp2p's usual one: a bridge is the internet,
//! each router has a leg in it and one in its LAN, and drops what nobody asked for.

mod cell;
mod daemon;
mod discovery;
mod expected;
mod fault;
mod kind;
mod names;
mod namespace;
mod scene;
mod table;
mod upnp;
mod wire;
mod world;

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use self::{
    cell::Cell,
    discovery::{WAYS, Way},
    fault::{FAULTS, Fault},
    kind::Kind,
    scene::{SCENES, Scene},
    wire::Wire,
};
use crate::run::{self, Outcome};

/// Cells at work at once. Each has up to seven namespaces and four processes.
const CELLS_AT_ONCE: usize = 4;
/// How the program knows that it runs within the namespaces already.
const INSIDE: &str = "--inside";

/// What one run tries.
struct Plan {
    cells: Vec<Cell>,
    scenes: &'static [Scene],
    faults: &'static [Fault],
    ways: Vec<&'static Way>,
    /// Whether a router is tried that forwards ports.
    upnp: bool,
    /// Between the cells' hosts, where it is not the kernel's own.
    wire: Option<Wire>,
    jobs: usize,
}

/// Runs the matrix, or with `--small` the cells that CI runs.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    match arguments.split_first() {
        Some((first, rest)) if first == names::COMMAND => return names::serve(rest),
        Some((first, rest)) if first == wire::COMMAND => return wire::serve(rest),
        _ => {}
    }
    let is_inside = arguments.first().is_some_and(|first| first == INSIDE);
    let plan = plan(&arguments[usize::from(is_inside)..])?;
    if is_inside {
        return try_all(plan);
    }
    if let Err(why) = prerequisites() {
        return Err(format!("nat-lab cannot run here: {why}"));
    }
    run::check(&mut run::cargo(&["build", "--quiet", "--package", "ghoard", "--package", "fakehub"]))?;
    Err(format!("could not enter namespaces: {}", within(arguments).exec()))
}

/// Runs the cells of `--small` where that can be done, and says so where it cannot.
pub(crate) fn in_ci() -> Outcome {
    if let Err(why) = prerequisites() {
        run::say(&format!("nat-lab is SKIPPED here: {why}"));
        return Ok(());
    }
    // It becomes another process.
    run::check(&mut run::cargo(&["xtask", "nat-lab", "--small"]))
}

/// Tells whether the lab can run on this machine, and if not, what is missing.
fn prerequisites() -> Outcome {
    for (program, argument, package) in
        [("ip", "-V", "iproute2"), ("nft", "--version", "nftables"), ("unshare", "--version", "util-linux")]
    {
        if !run::works(Command::new(program).arg(argument)) {
            return Err(format!("{program} is missing (Linux only; Debian: apt-get install {package})"));
        }
    }
    let enters = run::works(Command::new("unshare").args(NAMESPACES).args(mapping()).arg("true"));
    enters.then_some(()).ok_or_else(|| "it may make no namespaces: run it as root".to_owned())
}

const NAMESPACES: [&str; 6] = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Root within the namespaces for whoever is not root outside, where the kernel allows it.
fn mapping() -> Option<&'static str> {
    let id = Command::new("id").arg("-u").output().map(|output| output.stdout).unwrap_or_default();
    (id.trim_ascii() != b"0").then_some("--map-root-user")
}

/// This program once more, with a `/run` of its own, where `ip netns` keeps its names.
fn within(arguments: &[String]) -> Command {
    let mut command = Command::new("unshare");
    command.args(NAMESPACES).args(mapping());
    command.args(["sh", "-c", "mount -t tmpfs tmpfs /run && mkdir /run/netns && exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("xtask")));
    command.args(["nat-lab", INSIDE]).args(arguments);
    command
}

/// What can be tried by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Cells,
    Troubles,
    Faults,
    Discovery,
    Upnp,
}

fn plan(arguments: &[String]) -> Result<Plan, String> {
    let (mut cells, mut jobs, mut only) = (Cell::all(), CELLS_AT_ONCE, None);
    let mut ways: Vec<_> = WAYS.iter().collect();
    let (mut delay_ms, mut loss_percent) = (0, 0);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: &str, max: u64| {
            let number = text.parse().ok().filter(|number| *number <= max);
            number.ok_or_else(|| format!("{argument} is a number up to {max}"))
        };
        match argument.as_str() {
            "--small" => {
                cells = Cell::small();
                ways.retain(|way| way.is_quick);
            }
            "--troubles" => only = Some(Part::Troubles),
            "--faults" => only = Some(Part::Faults),
            "--discovery" => only = Some(Part::Discovery),
            "--upnp" => only = Some(Part::Upnp),
            "--delay" => (delay_ms, only) = (number(value()?, 1000)?, Some(Part::Cells)),
            "--loss" => (loss_percent, only) = (number(value()?, 90)?, Some(Part::Cells)),
            "--transport" => {
                let transport = value()?;
                cells.retain(|cell| cell.transport.name() == transport);
            }
            "--kind" => {
                let kind = Kind::parse(value()?)?;
                cells.retain(|cell| cell.a == kind || cell.b == kind);
            }
            "--cell" => {
                let name = value()?;
                cells.retain(|cell| cell.to_string() == *name);
                only = Some(Part::Cells);
            }
            "--jobs" => jobs = usize::try_from(number(value()?, 16)?.max(1)).expect("at most 16"),
            other => {
                return Err(format!(
                    "nat-lab knows --small, --troubles, --faults, --discovery, --upnp, --delay MS, --loss PERCENT, \
                     --transport tcp|quic, --kind KIND, --cell NAME and --jobs N, not {other:?}"
                ));
            }
        }
    }
    let has = |part| only.is_none_or(|only| only == part);
    if has(Part::Cells) && cells.is_empty() {
        return Err("no such cell; their names are like masquerade/random:tcp or one-router:masquerade:quic".to_owned());
    }
    Ok(Plan {
        cells: if has(Part::Cells) { cells } else { Vec::new() },
        scenes: if has(Part::Troubles) { SCENES } else { &[] },
        faults: if has(Part::Faults) { FAULTS } else { &[] },
        ways: if has(Part::Discovery) { ways } else { Vec::new() },
        upnp: has(Part::Upnp),
        wire: (delay_ms + loss_percent > 0).then_some(Wire { delay_ms, loss_percent }),
        jobs,
    })
}

fn try_all(Plan { cells, scenes, faults, ways, upnp, wire, jobs }: Plan) -> Outcome {
    let mut wrong = Vec::new();
    for (number, scene) in scenes.iter().enumerate() {
        let result = scene.run(number);
        run::say(&format!("[trouble] {}: {}", scene.name, if result.is_ok() { "named" } else { "NOT NAMED" }));
        wrong.extend(result.err().map(|why| format!("{}: {why}", scene.name)));
    }
    for (number, fault) in faults.iter().enumerate() {
        let result = fault.run(number);
        let said =
            result.as_ref().map_or("NOT MENDED".to_owned(), |took| format!("data after {:.1} s", took.as_secs_f64()));
        run::say(&format!("[fault] {}: {said}", fault.name));
        wrong.extend(result.err().map(|why| format!("{}: {why}", fault.name)));
    }
    for (number, way) in ways.iter().enumerate() {
        let result = way.run(number);
        let said = result.as_ref().map_or("NOT FOUND".to_owned(), |found| {
            let [first, direct] = [found.first_peer, found.direct].map(|time| time.as_secs_f64());
            format!("first peer after {first:.1} s, direct after {direct:.1} s")
        });
        run::say(&format!("[discovery] {}: {said}", way.name));
        wrong.extend(result.err().map(|why| format!("{}: {why}", way.name)));
    }
    if upnp {
        match upnp::run() {
            Ok(Some(seen)) => run::say(&format!(
                "[upnp] forwarded address known after {:.1} s, data by it after {:.1} s",
                seen.known.as_secs_f64(),
                seen.reached.as_secs_f64()
            )),
            Ok(None) => run::say("[upnp] SKIPPED: there is no miniupnpd (Debian: apt-get install miniupnpd)"),
            Err(why) => wrong.push(format!("upnp: {why}")),
        }
    }
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(cells.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(number) else { return };
                    let result = cell.run(number, wire);
                    run::say(&format!("[{}/{}] {cell}: {}", number + 1, cells.len(), table::line(&result)));
                    results.lock().expect("no panic while held").push((*cell, result));
                }
            });
        }
    });
    let results = results.into_inner().expect("all threads have ended");
    if !results.is_empty() {
        table::print(&results);
    }
    wrong.extend(results.iter().filter_map(|(cell, seen)| {
        let (why, logs) = (cell.judge(seen).err()?, seen.logs.as_deref().unwrap_or("none"));
        Some(format!("{cell}: {why}; logs: {logs}"))
    }));
    let tried = cells.len() + scenes.len() + faults.len() + ways.len() + usize::from(upnp);
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} of {tried}:\n{}", wrong.len(), wrong.join("\n"))) }
}
