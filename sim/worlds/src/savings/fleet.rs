//! Our way: nodes as they are shipped, joined by the swarm, and who asks beside them.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use futures::future::join;
use gateway::Fetched;
use github::{API_HOST, Plan as Way, Target};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use task::Tasks;
use tokio::runtime::Builder;

use super::{
    ORIGIN, Score,
    trace::{Poll, Presence, Trace, version_of},
};
use crate::{
    bare,
    machine::until,
    plan::{Layer, Link, Node, Place, Plan, Policy, Role, Sharing, VERSION},
    stage::{Stage, lock},
    tasks::MachineTasks,
};

/// When the pollers begin: the machines have found each other.
const START: Duration = Duration::from_secs(30);

/// Plays the trace on a thread of its own, which knows no other time.
pub fn play(trace: Trace) -> anyhow::Result<Score> {
    let world = thread::Builder::new().name("world".to_owned()).spawn(move || {
        det::enable(1);
        crate::logs::quiet_panics();
        live(&trace)
    })?;
    world.join().map_err(|_| anyhow::anyhow!("the simulator panicked: {}", crate::logs::last_panic()))?
}

fn live(trace: &Trace) -> anyhow::Result<Score> {
    let stage = bare::stage(plan(trace), false, false);
    stage.github().hub = trace.hub();
    let score = Arc::new(Mutex::new(Score::default()));
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(join(bare::drive(&stage), happen(&stage, trace, &score)));
    if let Some(violation) = stage.violation() {
        anyhow::bail!("{}: {}", violation.invariant, violation.text);
    }
    let mut score = lock(&score).clone();
    score.counted(&stage.github().hub);
    Ok(score)
}

/// Machines with what is the default, on a LAN.
fn plan(trace: &Trace) -> Plan {
    let node = |(id, Presence { from, until }): (u32, &Presence)| Node {
        id,
        role: Role::Node,
        place: Place::Lan,
        starts_ms: if from.is_zero() { 0 } else { ms(START + *from) },
        stops_ms: until.map(|until| ms(START + until)),
        has_disk: false,
        clock_ms: 0,
        old_until_ms: None,
    };
    Plan {
        version: VERSION,
        scenario: "savings".to_owned(),
        seed: 1,
        layer: Layer::Bare,
        tick_ms: 1,
        span_ms: ms(START + trace.span) + 1_000,
        settle_ms: 0,
        policy: Policy { default_ttl_ms: None, proof_window_ms: None, stale_for_ms: 3_600_000 },
        sharing: Sharing::default(),
        link: Link { latency_ms: 1, jitter_ms: 0, loss_ppm: 0, bytes_per_sec: None },
        origin_ms: ms(ORIGIN),
        tokens: Vec::new(),
        nodes: (0..).zip(&trace.machines).map(node).collect(),
        sites: Vec::new(),
        ops: Vec::new(),
        faults: Vec::new(),
        model: crate::plan::Model::default(),
        canary: None,
    }
}

fn ms(span: Duration) -> u64 {
    span.as_millis() as u64
}

/// Lets polls and changes happen when they do.
async fn happen(stage: &Arc<Stage>, trace: &Trace, score: &Arc<Mutex<Score>>) {
    let shared = Arc::new(trace.clone());
    let tasks: Vec<Tasks> =
        (0..trace.machines.len() as u32).map(|machine| Tasks::new(MachineTasks::new(stage.clone(), machine))).collect();
    let mut changes = trace.changes.iter().peekable();
    for poll in &trace.polls {
        while let Some(change) = changes.next_if(|change| change.at <= poll.at) {
            until(START + change.at).await;
            trace.change(&mut stage.github().hub, *change);
        }
        until(START + poll.at).await;
        lock(score).hour(&stage.github().hub, poll.at);
        let (stage, trace, score, poll) = (stage.clone(), shared.clone(), score.clone(), *poll);
        tasks[poll.machine as usize].spawn(async move {
            let version = ask(&stage, &trace, poll).await;
            lock(&score).answered(&trace, poll.endpoint, version, poll.at);
        });
    }
}

/// One poll, as it is behind the door; which version it was told.
async fn ask(stage: &Stage, trace: &Trace, poll: Poll) -> Option<u64> {
    let node = stage.machine(poll.machine).node()?;
    let authorization = HeaderValue::try_from(trace.bearer(&poll)).expect("letters and digits");
    let headers: HeaderMap = [(header::AUTHORIZATION, authorization)].into_iter().collect();
    let target = Target::parse(trace.path(poll.endpoint), None).expect("a plain path");
    let Way::Cache(ask) = github::plan(&Method::GET, API_HOST, target, &headers, false) else { return None };
    match node.ask(*ask).await {
        Fetched::Answer { answer, .. } if answer.status == StatusCode::OK => version_of(&answer.plain),
        _ => None,
    }
}
