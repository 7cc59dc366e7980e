//! One world from its first moment to its last: turmoil's hosts and clock, our network, the checkers.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use fabric::{Network, Tap};
use serde::{Deserialize, Serialize};
use tracing::Level;
use turmoil::{Builder, Sim};

use crate::{
    bare,
    checkers::{self, PathSeen, Tally, sealed},
    core_layer,
    directory::SharedDirectory,
    draw::Stream,
    logs::{self, Recorder},
    machine,
    plan::{Layer, Plan},
    rest::Rest,
    spread::{Spread, SpreadFigures},
    stage::{Stage, Violation, lock},
    stop_spread::{self, StopFigures},
    trace::{Event, Fnv, Kind, lane_name},
    weather::{Hosts, Losses, Weather, link},
};

/// Tables are looked at so often, in simulated time.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The sum over the wire becomes part of the record so often.
const WIRE_EVERY: Duration = Duration::from_secs(1);

/// How a world ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub scenario: String,
    pub seed: u64,
    pub violation: Option<Violation>,
    /// Equal for equal worlds.
    pub digest: String,
    pub events: u64,
    pub simulated_secs: f64,
    pub real_secs: f64,
    pub peak_kib: u64,
    pub losses: Losses,
    pub reopenings: u64,
    pub flushes: u64,
    pub charged: u64,
    pub proofs: u64,
    pub tally: Tally,
    pub packets: u64,
    pub wire_bytes: u64,
    pub last_lines: Vec<String>,
    /// Of the layer `core`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<core_layer::costs::Costs>,
    /// Of gossip in the swarm, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<SpreadFigures>,
    /// Of stops in the swarm, if gossip was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops: Option<StopFigures>,
    /// How each two machines came together, in a world that is not one network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathSeen>,
}

/// What to do with the record.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Every line to stdout as it happens.
    pub echo: bool,
    /// Log lines down to this level become part of it.
    pub level: Option<Level>,
    /// Where the page goes: always, or only if a promise was broken.
    pub html: Option<std::path::PathBuf>,
    pub text: Option<std::path::PathBuf>,
    /// What gossipsub does is counted.
    pub gossip: bool,
}

impl Outcome {
    /// 0 all promises kept, 1 safety, 2 liveness.
    pub fn code(&self) -> u8 {
        match &self.violation {
            None => 0,
            Some(violation) if violation.invariant.starts_with("back.") => 2,
            Some(_) => 1,
        }
    }

    pub fn verdict(&self) -> &'static str {
        ["ok", "safety", "liveness"][usize::from(self.code())]
    }
}

/// Runs a world on a thread of its own, which knows no other time and no other chance.
///
/// Once per process: counters of the libraries are global, and part of what they do.
pub fn run(plan: Plan, recording: Recording) -> anyhow::Result<Outcome> {
    let world = std::thread::Builder::new().name("world".to_owned());
    let world = world.spawn(move || {
        det::enable(plan.seed);
        logs::quiet_panics();
        match plan.layer {
            Layer::Swarm => play(plan, &recording),
            Layer::Core => core_layer::run(&plan, &recording),
            Layer::Bare => bare::play(plan, &recording),
        }
    })?;
    world.join().map_err(|_| anyhow!("the simulator panicked: {}", logs::last_panic()))?
}

fn play(plan: Plan, recording: &Recording) -> anyhow::Result<Outcome> {
    let began = det::real_time();
    let lies = plant(&plan)?;
    let network = Network::new(Stream::new(plan.seed, "network").next(), link(plan.link));
    let wire = Arc::new(Mutex::new(Wire::default()));
    let stage = Arc::new(Stage::new(plan, network, lies, recording.echo));
    watch_wire(&stage, &wire);
    let spread = recording.gossip.then(Arc::<Mutex<Spread>>::default);
    let recorder = Recorder::new(stage.clone(), recording.level.unwrap_or(Level::INFO)).counting(spread.clone());
    let _logs = tracing::subscriber::set_default(recorder);

    let tick = Duration::from_millis(stage.plan.tick_ms);
    let (span, settle) = (Duration::from_millis(stage.plan.span_ms), Duration::from_millis(stage.plan.settle_ms));
    let mut sim = Builder::new()
        .tick_duration(tick)
        .simulation_duration(span + settle + Duration::from_secs(3600))
        .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(det::EPOCH_SECS))
        .rng_seed(stage.plan.seed)
        .build();
    let directory = SharedDirectory::default();
    for id in stage.machines.keys().copied() {
        let (stage, directory) = (stage.clone(), directory.clone());
        sim.host(IpAddr::V4(machine::ip(id)), move || {
            let software = machine::software(stage.clone(), directory.clone(), id);
            async move {
                software.await;
                Ok(())
            }
        });
    }
    let mut weather = Weather::new(stage.clone());
    let mut rest = Rest::new(stage.clone());
    let mut next_look = Duration::ZERO;
    let mut next_wire = WIRE_EVERY;
    loop {
        let now = sim.elapsed();
        det::set_elapsed(now);
        weather.advance(&mut sim, now);
        stage.network.advance(now);
        if now >= next_look {
            next_look = now + LOOK_EVERY;
            checkers::bounded(&stage);
            checkers::look(&stage);
            checkers::look_at_paths(&stage);
        }
        if now >= next_wire {
            next_wire = now + WIRE_EVERY;
            stage.tell(Event::of_all(Kind::Wire, lock(&wire).words()));
        }
        if stage.violation().is_some() || now >= span && rest.is_over(now) {
            break;
        }
        step(&mut sim)?;
    }
    if stage.violation().is_none() {
        checkers::at_rest(&stage);
    }
    let mut outcome = outcome(&stage, sim.elapsed(), weather.losses, began);
    outcome.stops = spread.as_ref().map(|spread| stop_spread::figures(&stage, &lock(spread)));
    outcome.spread = spread.map(|spread| lock(&spread).figures(stage.machines.len()));
    crate::timeline::write(&stage, &outcome, recording)?;
    // Unlike a crash, the end of a world is the end of what its machines do at all.
    std::mem::forget(sim);
    Ok(outcome)
}

impl Hosts for Sim<'_> {
    fn end(&mut self, machine: u32) {
        self.crash(IpAddr::V4(machine::ip(machine)));
    }

    fn begin(&mut self, machine: u32) {
        self.bounce(IpAddr::V4(machine::ip(machine)));
    }
}

fn step(sim: &mut Sim<'_>) -> anyhow::Result<()> {
    sim.step().map(drop).map_err(|error| anyhow!("turmoil: {error}"))
}

/// Plants the bug that the plan names; tells whether it is that of the disk.
pub fn plant(plan: &Plan) -> anyhow::Result<bool> {
    match plan.canary.as_deref() {
        None => Ok(false),
        Some(LYING_DISK) => Ok(true),
        Some(name) => {
            let bug = canary::Bug::ALL.into_iter().find(|bug| bug.name() == name);
            canary::plant(bug.ok_or_else(|| anyhow!("there is no canary {name:?}"))?);
            Ok(false)
        }
    }
}

/// The canary that is not in ghoard: a disk that says that it has written and has not.
pub const LYING_DISK: &str = "lying-disk";

/// The sum over all bytes that were sent.
#[derive(Default)]
struct Wire {
    sum: Fnv,
    packets: u64,
    bytes: u64,
}

impl Wire {
    fn words(&self) -> String {
        format!("{} packets, {} bytes, {:016x}", self.packets, self.bytes, self.sum.0)
    }
}

fn watch_wire(stage: &Arc<Stage>, wire: &Arc<Mutex<Wire>>) {
    let (tokens, wire) = (stage.github().tokens.clone(), wire.clone());
    let stage = Arc::downgrade(stage);
    stage.upgrade().expect("it was just made").network.set_tap(Box::new(move |tap: Tap<'_>| {
        let payload = tap.packet.payload();
        let mut wire = lock(&wire);
        wire.packets += 1;
        wire.bytes += payload.len() as u64;
        wire.sum.add(&tap.at.as_nanos().to_le_bytes());
        wire.sum.add(payload);
        if let (Some(what), Some(stage)) = (sealed::leak(payload, &tokens), stage.upgrade()) {
            stage.violated(None, "sealed.wire", format!("{what} is on the wire"));
        }
    }));
}

pub fn outcome(stage: &Stage, simulated: Duration, losses: Losses, began: Duration) -> Outcome {
    let counts = stage.github().hub.counts().total;
    let totals = stage.network.totals();
    let memories = || stage.machines.values().map(|machine| lock(&machine.memory));
    let (tally, paths) = {
        let ledger = stage.ledger();
        (ledger.tally, ledger.paths.seen())
    };
    let trace = stage.trace();
    Outcome {
        scenario: stage.plan.scenario.clone(),
        seed: stage.plan.seed,
        violation: stage.violation(),
        digest: trace.digest(),
        events: trace.count(),
        simulated_secs: simulated.as_secs_f64(),
        real_secs: (det::real_time() - began).as_secs_f64(),
        peak_kib: peak_kib(),
        losses,
        reopenings: memories().map(|memory| memory.reopenings).sum(),
        flushes: memories().map(|memory| memory.flushes).sum(),
        charged: counts.charged,
        proofs: counts.not_modified,
        tally,
        packets: totals.packets,
        wire_bytes: totals.bytes,
        last_lines: trace.last(),
        costs: None,
        spread: None,
        stops: None,
        paths,
    }
}

/// The most memory that this process had, in KiB.
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
}

/// The name of the lane of a violation.
pub fn place(violation: &Violation) -> String {
    violation.lane.map_or_else(|| "the world".to_owned(), lane_name)
}
