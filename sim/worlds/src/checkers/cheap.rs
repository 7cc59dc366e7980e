//! Cheap: one question at a time, no more requests than questions, and true counts of both kinds.

use std::sync::Arc;

use super::Broken;
use crate::{reference::Exchange, stage::Stage};

/// A machine never asks the same question of the same credential twice at once, and never asks more
/// than it was asked.
pub fn judge(stage: &Stage, exchange: &Exchange) -> Result<(), Broken> {
    let (asks, writes) = {
        let ledger = stage.ledger();
        let has_written = ledger.writes.iter().any(|write| write.node == exchange.node);
        (ledger.asks_of(exchange.node), has_written)
    };
    let github = stage.github();
    let own = github.reference.exchanges_of(exchange.node);
    if own > asks {
        let text = format!("{own} requests to GitHub for {asks} requests of clients");
        return Err(("cheap.more", text));
    }
    // A write makes what is on its way doubtful, so that it is asked again beside it.
    let overlaps = |other: &Exchange| {
        (other.node, other.start, other.who) == (exchange.node, exchange.start, exchange.who)
            && other.path == exchange.path
            && other.began < exchange.ended
            && exchange.began < other.ended
    };
    let mut earlier = github.reference.exchanges.iter().rev().skip(1).take_while(|e| e.ended >= exchange.began);
    if !writes && exchange.is_get && earlier.any(overlaps) {
        return Err(("cheap.twice", format!("{} was asked twice at once", exchange.path)));
    }
    Ok(())
}

/// At rest, what the nodes count is what GitHub counts.
pub fn at_rest(stage: &Arc<Stage>) {
    let github = stage.github();
    let counts = github.hub.counts().total;
    if counts.requests != github.requests {
        let text = format!("GitHub counted {} requests of {}", counts.requests, github.requests);
        drop(github);
        return stage.violated(Some(0), "cheap.counts", text);
    }
    for machine in stage.machines.values() {
        let (Some(node), starts) = (machine.node(), machine.alive().starts) else { continue };
        let own = github.reference.counts_of(machine.plan.id, starts);
        let told = (node.counters.origin_requests.get(), node.counters.origin_proofs.get());
        if own != told {
            let text = format!("counts {told:?} requests and free proofs, and made {own:?}");
            drop(github);
            return stage.violated(Some(machine.lane()), "cheap.counts", text);
        }
    }
}
