//! What is told to all machines reaches them, and in time: writes, stops, and what a machine leaves behind.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Broken, repo_of, right::clocks::Clocks};
use crate::{
    client::Request,
    plan::{Role, Trouble, What},
    reference::{Exchange, Told},
    stage::{Machine, Stage},
};

/// How long the news of a write may take to those that are connected with the writer.
const WRITE_SPREAD: Duration = Duration::from_secs(5);

/// The same for a stop.
const STOP_SPREAD: Duration = Duration::from_secs(1);

/// Between what a machine calls now and what the world does.
const SLACK: Duration = Duration::from_millis(50);

/// A connection that outlives an outage sends again when its timer says so: as late as the outage was
/// long, or a minute.
const RETRANSMISSION_MAX: Duration = Duration::from_secs(60);

/// A machine that is told to stop is gone by then.
const STOP_LIMIT: Duration = Duration::from_millis(2_000 + 250);

/// After it is gone the others know what it held, if the world is whole.
const HANDED_OVER_AFTER: Duration = Duration::from_secs(1);

/// What is handed over whatever its body is.
const HANDED_BYTES: usize = 64 << 10;

/// Since when two machines have been connected, each in its own view.
#[derive(Default)]
pub struct Connected(BTreeMap<(u32, u32), Duration>);

impl Connected {
    fn since(&self, one: u32, other: u32) -> Option<Duration> {
        Some(*self.0.get(&(one, other))?.max(self.0.get(&(other, one))?))
    }
}

/// Notes who is connected with whom, in a world in which that is asked for.
pub fn look(stage: &Arc<Stage>) {
    let plan = &stage.plan;
    let has_writes = plan.ops.iter().any(|op| matches!(op.what, What::Write { .. }));
    let has_stops = plan.faults.iter().any(|fault| matches!(fault.what, Trouble::SecondaryLimit { .. }));
    if !has_writes && !has_stops {
        return;
    }
    let now = det::elapsed();
    let mut connected = BTreeMap::new();
    for machine in stage.machines.values().filter(|machine| machine.plan.role == Role::Node) {
        let peers = machine.node().map(|node| node.ready_peers()).unwrap_or_default();
        let lanes = peers.iter().filter_map(|peer| stage.lane_of(peer.as_str()));
        connected.extend(lanes.map(|lane| ((machine.plan.id, lane as u32 - 1), now)));
    }
    let mut ledger = stage.ledger();
    let before = std::mem::take(&mut ledger.connected.0);
    let since = connected.into_iter().map(|(pair, now)| (pair, before.get(&pair).copied().unwrap_or(now)));
    ledger.connected.0 = since.collect();
}

/// From when on `node` must know what `teller` told at `at`; `None` if that cannot be said.
fn heard_from(stage: &Stage, (node, teller): (u32, u32), at: Duration, within: Duration) -> Option<Duration> {
    let ms = Duration::from_millis;
    let since = stage.ledger().connected.since(node, teller)?;
    let mut heard = since.max(at);
    for fault in &stage.plan.faults {
        let is_of_links = matches!(
            fault.what,
            Trouble::Partition { .. } | Trouble::OneWay { .. } | Trouble::Hold { .. } | Trouble::SlowLink { .. }
        );
        let (from, until) = (ms(fault.from_ms), ms(fault.until_ms));
        let late = if since < until { (until - from).min(RETRANSMISSION_MAX) } else { Duration::ZERO };
        if is_of_links && from <= heard + within && at <= until + late {
            heard = heard.max(until + late);
        }
    }
    // What hangs on its disk hears late.
    let hangs = stage.plan.faults.iter().any(|fault| matches!(fault.what, Trouble::SlowDisk { .. }));
    (!hangs).then_some(heard + within)
}

/// Nobody serves what is older than a write at another machine, once he has had the time to hear of it.
pub fn judge_answer(stage: &Stage, request: &Request, told: &Told) -> Result<(), Broken> {
    let Request { node, path, sent, .. } = request;
    let repo = repo_of(path);
    let machine = stage.machine(*node);
    if machine.alive().is_old {
        return Ok(());
    }
    let writes: Vec<_> = {
        let ledger = stage.ledger();
        let others = ledger.writes.iter().filter(|write| write.node != *node && Some(&write.repo) == repo.as_ref());
        others.filter(|write| told.at < write.sent).cloned().collect()
    };
    for write in writes {
        let writer = stage.machine(write.node).alive();
        let (is_it, is_old) = (writer.starts == write.start, writer.is_old);
        drop(writer);
        let Some(answered) = write.answered.filter(|answered| is_it && !is_old && answered < sent) else { continue };
        let Some(heard) = heard_from(stage, (*node, write.node), answered, WRITE_SPREAD) else { continue };
        if heard < *sent {
            let ms = [told.at, write.sent, heard].map(|at| at.as_millis());
            let text = format!(
                "{path}: told at {} ms, before the write of {} ms at n{}, known here since {} ms",
                ms[0], ms[1], write.node, ms[2]
            );
            return Err(("right.write", text));
        }
    }
    Ok(())
}

/// What GitHub has stopped at one machine nobody asks with the same token, until its time is over.
pub fn judge_stop(stage: &Stage, exchange: &Exchange) -> Result<(), Broken> {
    let Exchange { node, who: Some(_), began, is_get: true, .. } = exchange else { return Ok(()) };
    if stage.machine(*node).alive().is_old {
        return Ok(());
    }
    let stops: Vec<Exchange> = {
        let github = stage.github();
        let of_token = github.reference.exchanges.iter().filter(|stop| stop.who == exchange.who && stop.ended < *began);
        of_token.filter(|stop| stop.stopped_until.is_some_and(|until| *began + SLACK < until)).cloned().collect()
    };
    for stop in stops {
        let teller = stage.machine(stop.node).alive();
        let (is_it, is_old) = (teller.starts == stop.start, teller.is_old);
        drop(teller);
        let known = match stop.node == *node {
            true => is_it.then_some(stop.ended + SLACK),
            false if is_it && !is_old => heard_from(stage, (*node, stop.node), stop.ended, STOP_SPREAD),
            false => None,
        };
        if known.is_some_and(|known| known < *began) {
            let text = format!(
                "{}: asked at {} ms, though n{} was told at {} ms to wait until {} ms",
                exchange.path,
                began.as_millis(),
                stop.node,
                stop.ended.as_millis(),
                stop.stopped_until.unwrap_or_default().as_millis()
            );
            return Err(("cheap.stopped", text));
        }
    }
    Ok(())
}

/// A machine has stopped as it was told to.
pub fn on_stopped(stage: &Stage, machine: &Machine, told: Duration) {
    let now = det::elapsed();
    machine.alive().stopped_at = Some(now);
    let is_hanging = stage.plan.faults.iter().any(|fault| matches!(fault.what, Trouble::SlowDisk { .. }));
    if !is_hanging && now > told + STOP_LIMIT {
        let text = format!("took {} ms to stop", (now - told).as_millis());
        stage.violated(Some(machine.lane()), "open.stop", text);
    }
}

/// What a machine that has stopped held alone is not paid for once more, where nothing is wrong.
pub fn judge_legacy(stage: &Stage, exchange: &Exchange) -> Result<(), Broken> {
    let Exchange { node, who: Some(who), path, began, ended, status: Some(200), is_get: true, .. } = exchange else {
        return Ok(());
    };
    let is_asked_by_old = stage.machine(*node).alive().is_old;
    if stage.plan.scenario != "drain" || !stage.plan.faults.is_empty() || is_asked_by_old {
        return Ok(());
    }
    let github = stage.github();
    let reference = &github.reference;
    let Some(digest) = reference.told_at(Some(*who), path, *node, *began, *ended) else { return Ok(()) };
    let is_small = reference.body_bytes(path, digest) <= HANDED_BYTES && !reference.holds_credential(path, digest);
    let clocks = Clocks::of(&stage.plan, path);
    let lives = clocks.fresh.min(clocks.proof).saturating_sub(HANDED_OVER_AFTER);
    let legacy = reference.told(Some(*who), path, digest, *began).find(|told| {
        let stopped = stage.machine(told.node).alive().stopped_at;
        told.node != *node
            && *began < told.at + lives
            && stopped.is_some_and(|stopped| stopped + HANDED_OVER_AFTER < *began && told.at + SLACK < stopped)
    });
    let Some(told) = legacy.filter(|_| is_small) else { return Ok(()) };
    let (teller, at) = (told.node, told.at.as_millis());
    drop(github);
    let repo = repo_of(path);
    let is_written = stage.ledger().writes.iter().any(|write| Some(&write.repo) == repo.as_ref());
    if is_written {
        return Ok(());
    }
    Err(("cheap.legacy", format!("{path}: t{who} was charged for what n{teller} was told at {at} ms and left behind")))
}
