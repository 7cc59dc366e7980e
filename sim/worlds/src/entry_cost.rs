//! `entry-cost`: messages and bytes for one entry that one machine fills and others read, in the layer `core`.

use crate::{children, core_layer::costs::Costs, output, plan::Plan, scenario};

pub struct Options {
    pub seed: u64,
    pub body_bytes: usize,
}

/// Nodes, and readers on machines of their own.
const FLEETS: [(u32, u32); 3] = [(10, 5), (100, 20), (1000, 50)];

/// Entries that are asked for together: one, and as many as the notes on the design count on.
const TOGETHER: [u32; 2] = [1, 16];

pub fn run(options: &Options) -> anyhow::Result<u8> {
    output::data(&format!("bodies of {} bytes; claims and pulls counted, gossip of the model", options.body_bytes));
    output::data(
        "| nodes | readers | entries together | charged | to one peer | published | gossip's sends | pulls | messages | bytes per node: gossip | to one peer | pulls |",
    );
    output::data("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut worst = 0;
    for (nodes, readers) in FLEETS {
        for entries in TOGETHER {
            let plan = scenario::entries(options.seed, nodes, readers, entries, options.body_bytes);
            let quiet = Plan { ops: Vec::new(), ..plan.clone() };
            let outcome = children::outcome(&plan, None, None)?;
            worst = worst.max(outcome.code());
            let with = outcome.costs.unwrap_or_default();
            let without = children::outcome(&quiet, None, None)?.costs.unwrap_or_default();
            // Of one entry, without what the fleet says anyway.
            let of_each = |of: fn(&Costs) -> f64| (of(&with) - of(&without)) / f64::from(entries);
            let sent = of_each(|costs| costs.sent as f64);
            let gossip = of_each(|costs| costs.gossip_sends);
            let pulls = of_each(|costs| costs.pulls as f64);
            let bytes = |of: fn(&Costs) -> f64| of_each(of) / f64::from(nodes);
            output::data(&format!(
                "| {nodes} | {readers} | {entries} | {:.2} | {sent:.1} | {:.2} | {gossip:.1} | {pulls:.1} | {:.0} | {:.0} | {:.0} | {:.0} |",
                outcome.charged as f64 / f64::from(entries),
                of_each(|costs| costs.published as f64),
                sent + gossip + 2.0 * pulls,
                bytes(|costs| costs.gossip_bytes),
                bytes(|costs| costs.sent_bytes as f64),
                bytes(|costs| costs.pull_bytes as f64),
            ));
        }
    }
    Ok(worst)
}
