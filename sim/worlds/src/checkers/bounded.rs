//! Bounded: no table of a node and no table of its machine's sockets grows past its limit, nor past
//! what there can be in it.

use std::sync::Arc;

use crate::{
    plan::What,
    stage::{Machine, Stage},
};

/// Connections that a node may have at once: established, and pending each way.
const CONNECTIONS_MAX: usize = 512 + 64 + 64;

/// Established connections of one pair of machines.
const CONNECTIONS_PER_PEER_MAX: usize = 4;

pub fn check(stage: &Arc<Stage>) {
    // An index knows what somebody was told, or what somebody lied about.
    let lies = stage.plan.ops.iter().filter(|op| matches!(op.what, What::Lie { .. })).count();
    let knowable = stage.github().reference.told_len() + lies;
    for (machine, name, len, len_max) in tables(stage) {
        let len_max = if name == "index" { knowable.min(len_max) } else { len_max };
        if len > len_max {
            let text = format!("{len} entries in {name}, and the limit is {len_max}");
            stage.violated(Some(machine.lane()), "bounded.table", text);
        }
    }
    for machine in stage.machines.values() {
        let connections = stage.network.connections(machine.id);
        if connections > CONNECTIONS_MAX {
            let text = format!("{connections} connections, and the limit is {CONNECTIONS_MAX}");
            stage.violated(Some(machine.lane()), "bounded.connections", text);
        }
    }
}

/// When nobody asks, nothing is on its way, and nobody holds more connections than there are peers for.
pub fn at_rest(stage: &Arc<Stage>) {
    for (machine, name, len, _) in tables(stage) {
        if matches!(name, "flights" | "asks" | "leases") && len > 0 {
            stage.violated(Some(machine.lane()), "bounded.rest", format!("{len} entries in {name}, and nobody asks"));
        }
    }
    for (machine, node) in stage.machines.values().filter_map(|machine| Some((machine, machine.node()?))) {
        let counters = &node.counters;
        let (started, brought) = (counters.pulls_started.get(), counters.pulls.get());
        let (failed, lost) = (counters.pulls_failed.get(), counters.pulls_lost.get());
        if started != brought + failed + lost {
            let text = format!("{started} pulls began; {brought} brought an answer, {failed} failed, {lost} were lost");
            stage.violated(Some(machine.lane()), "bounded.pulls", text);
        }
    }
    // What was sent to an address that is gone is sent again for minutes, by sockets that no node holds; of
    // connections that nodes hold, the pairs are counted.
    if stage.plan.is_spread() {
        return;
    }
    let connections_max = CONNECTIONS_PER_PEER_MAX * stage.machines.len().saturating_sub(1);
    for machine in stage.machines.values() {
        let connections = stage.network.connections(machine.id);
        if connections > connections_max {
            let text = format!("{connections} connections at rest, with {} machines", stage.machines.len());
            stage.violated(Some(machine.lane()), "bounded.rest", text);
        }
    }
}

fn tables(stage: &Stage) -> Vec<(&Machine, &'static str, usize, usize)> {
    let nodes = stage.machines.values().filter_map(|machine| Some((machine, machine.node()?)));
    let tables = nodes.flat_map(|(machine, node)| node.tables().into_iter().map(move |table| (machine, table)));
    tables.map(|(machine, table)| (machine, table.name, table.len, table.len_max)).collect()
}
