//! Bounded: no table of a node and no table of its machine's sockets grows past its limit.

use std::sync::Arc;

use crate::stage::Stage;

/// Connections that a node may have: established, and pending each way.
const CONNECTIONS_MAX: usize = 512 + 64 + 64;

pub fn check(stage: &Arc<Stage>) {
    for machine in stage.machines.values() {
        let Some(node) = machine.node() else { continue };
        for table in node.tables() {
            if table.len > table.len_max {
                let text = format!("{} entries in {}, and the limit is {}", table.len, table.name, table.len_max);
                stage.violated(Some(machine.lane()), "bounded.table", text);
            }
        }
        let connections = stage.network.connections(machine.id);
        if connections > CONNECTIONS_MAX {
            let text = format!("{connections} connections, and the limit is {CONNECTIONS_MAX}");
            stage.violated(Some(machine.lane()), "bounded.connections", text);
        }
    }
}
