//! A world without turmoil: the real nodes on one runtime whose clock is paused, so that an hour in
//! which nothing happens costs nothing. A world takes some milliseconds.
//!
//! A machine alone has no network; machines of a fleet have ours, advanced from one of its events to the
//! next. What ends with a machine are its tasks, one by one.

use std::{sync::Arc, time::Duration};

use fabric::Network;
use tokio::{runtime::Builder, sync::Notify};
use tracing::Level;

use crate::{
    checkers,
    directory::SharedDirectory,
    draw::Stream,
    logs::Recorder,
    machine,
    plan::Plan,
    stage::Stage,
    tasks::MachineTasks,
    weather::{Hosts, Losses, Weather, link},
    world::{Outcome, Recording, outcome, plant},
};

pub fn play(plan: Plan, recording: &Recording) -> anyhow::Result<Outcome> {
    let began = det::real_time();
    let lies = plant(&plan)?;
    let stage = stage(plan, lies, recording.echo);
    let recorder = Recorder::new(stage.clone(), recording.level.unwrap_or(Level::WARN));
    let _logs = tracing::subscriber::set_default(recorder);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let losses = runtime.block_on(drive(&stage));
    det::set_elapsed(Duration::from_millis(stage.plan.span_ms));
    let outcome = outcome(&stage, Duration::from_millis(stage.plan.span_ms), losses, began);
    crate::timeline::write(&stage, &outcome, recording)?;
    Ok(outcome)
}

/// All that the machines of a world share.
pub fn stage(plan: Plan, lie_about_sync: bool, echo: bool) -> Arc<Stage> {
    let network = Network::new(Stream::new(plan.seed, "network").next(), link(plan.link));
    Arc::new(Stage::new(plan, network, lie_about_sync, echo))
}

/// Lets the world go on until its end.
pub async fn drive(stage: &Arc<Stage>) -> Losses {
    let sent = Arc::new(Notify::new());
    let heard = sent.clone();
    stage.network.set_tap(Box::new(move |_| heard.notify_one()));
    let mut processes = Processes { stage: stage.clone(), directory: SharedDirectory::default() };
    for id in stage.machines.keys() {
        processes.run(*id);
    }
    let mut weather = Weather::new(stage.clone());
    let span = Duration::from_millis(stage.plan.span_ms);
    loop {
        let now = det::elapsed();
        weather.advance(&mut processes, now);
        stage.network.advance(now);
        if stage.violation().is_some() || now >= span {
            break;
        }
        let next = weather.next_change().into_iter().chain(stage.network.next_event()).min();
        let next = next.map_or(span, |next| next.min(span));
        tokio::select! {
            () = machine::until(next) => {}
            () = sent.notified() => {}
        }
    }
    if stage.violation().is_none() {
        checkers::sealed::check_disks(stage);
    }
    for machine in stage.machines.values() {
        let mut alive = machine.alive();
        alive.is_down = true;
        alive.tasks.end();
        (alive.node, alive.orders) = (None, None);
    }
    stage.network.set_tap(Box::new(|_| {}));
    weather.losses
}

/// The machines' processes, as tasks.
struct Processes {
    stage: Arc<Stage>,
    directory: SharedDirectory,
}

impl Processes {
    fn run(&self, id: u32) {
        use task::Spawn;
        let software = machine::software(self.stage.clone(), self.directory.clone(), id);
        MachineTasks::new(self.stage.clone(), id).spawn(Box::pin(software));
    }
}

impl Hosts for Processes {
    fn end(&mut self, id: u32) {
        let mut alive = self.stage.machine(id).alive();
        alive.is_down = true;
        alive.tasks.end();
    }

    fn begin(&mut self, id: u32) {
        self.stage.machine(id).alive().is_down = false;
        self.run(id);
    }
}
