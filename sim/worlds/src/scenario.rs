//! The kinds of worlds. Each draws its plan from the seed; nothing else is random about it.

mod draft;
mod fleets;
mod offices;
mod weather;

use draft::Draft;
pub use fleets::{Day, Matrix, entries, steady};

use crate::plan::{Layer, Plan, Role, Trouble};

/// A kind of world.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// Machines, if nobody says otherwise.
    pub nodes: u32,
    /// Worlds of this kind take minutes: `all` leaves them out.
    pub is_long: bool,
    draw: fn(&mut Draft),
}

/// What somebody wants to be otherwise than drawn.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    pub nodes: Option<u32>,
    pub ops: Option<u32>,
    pub secs: Option<u64>,
    pub layer: Option<Layer>,
    pub canary: Option<String>,
}

pub static ALL: &[Scenario] = &[
    Scenario {
        name: "lan",
        about: "five machines near each other, nothing wrong",
        nodes: 5,
        is_long: false,
        draw: lan,
    },
    Scenario {
        name: "churn",
        about: "runners that come, ask, and are gone within minutes",
        nodes: 10,
        is_long: false,
        draw: churn,
    },
    Scenario {
        name: "replication",
        about: "entries written anywhere are known everywhere",
        nodes: 6,
        is_long: false,
        draw: replication,
    },
    Scenario {
        name: "partition",
        about: "the network falls apart, and heals",
        nodes: 6,
        is_long: false,
        draw: partition,
    },
    Scenario {
        name: "ten-minutes",
        about: "two halves that hear nothing of each other for ten minutes",
        nodes: 6,
        is_long: false,
        draw: ten_minutes,
    },
    Scenario {
        name: "one-way",
        about: "links that carry one direction only, or hold everything back",
        nodes: 5,
        is_long: false,
        draw: one_way,
    },
    Scenario {
        name: "crash-disk",
        about: "power is lost at any write; sectors are torn and reordered",
        nodes: 3,
        is_long: false,
        draw: crash_disk,
    },
    Scenario {
        name: "origin-outage",
        about: "GitHub answers 500, or not at all, or cannot be reached",
        nodes: 4,
        is_long: false,
        draw: origin_outage,
    },
    Scenario {
        name: "origin-limit",
        about: "GitHub limits: budgets used up, secondary limits, 429",
        nodes: 4,
        is_long: false,
        draw: origin_limit,
    },
    Scenario {
        name: "slow-peer",
        about: "machines with slow links and slow disks, and a slow GitHub",
        nodes: 5,
        is_long: false,
        draw: slow_peer,
    },
    Scenario {
        name: "liar",
        about: "a member that lies about records and bodies",
        nodes: 5,
        is_long: false,
        draw: liar,
    },
    Scenario {
        name: "revoked-token",
        about: "tokens are revoked while their answers are everywhere",
        nodes: 4,
        is_long: false,
        draw: revoked_token,
    },
    Scenario {
        name: "clock-skew",
        about: "machines whose clocks are wrong, by seconds and by minutes",
        nodes: 5,
        is_long: false,
        draw: clock_skew,
    },
    Scenario {
        name: "matrix-start",
        about: "two hundred jobs start at once and ask for one cold key",
        nodes: 10,
        is_long: false,
        draw: fleets::matrix_start,
    },
    Scenario {
        name: "drain",
        about: "machines stop one after the other, and leave what they alone held",
        nodes: 6,
        is_long: false,
        draw: drain,
    },
    Scenario {
        name: "rolling-upgrade",
        about: "machines of the version before are replaced one by one while clients ask",
        nodes: 6,
        is_long: false,
        draw: rolling_upgrade,
    },
    Scenario {
        name: "cut-off",
        about: "one machine hears nothing for ten minutes, while others write",
        nodes: 5,
        is_long: false,
        draw: cut_off,
    },
    Scenario {
        name: "nat-matrix",
        about: "two machines behind routers of one pair of kinds, and an anchor",
        nodes: 3,
        is_long: false,
        draw: offices::nat_matrix,
    },
    Scenario {
        name: "sites",
        about: "offices behind routers of many kinds; people come and go",
        nodes: 8,
        is_long: false,
        draw: offices::sites,
    },
    Scenario {
        name: "relay-restart",
        about: "the only relay is gone for a while",
        nodes: 6,
        is_long: false,
        draw: offices::relay_restart,
    },
    Scenario {
        name: "anchor-loss",
        about: "of two anchors one is lost for good, and then the other one",
        nodes: 7,
        is_long: false,
        draw: offices::anchor_loss,
    },
    Scenario {
        name: "address-change",
        about: "machines and routers get other addresses while they run",
        nodes: 6,
        is_long: false,
        draw: offices::address_change,
    },
    Scenario {
        name: "long-day",
        about: "24 hours of everything, now and then",
        nodes: 5,
        is_long: true,
        draw: long_day,
    },
];

impl Scenario {
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|scenario| scenario.name == name)
    }

    pub fn plan(&self, seed: u64, wishes: &Wishes) -> Plan {
        let mut draft = Draft::new(self.name, seed, wishes.nodes.unwrap_or(self.nodes), wishes);
        (self.draw)(&mut draft);
        draft.done()
    }
}

fn lan(draft: &mut Draft) {
    draft.questions(60);
    draft.herds(3);
    draft.changes(4);
    draft.writes(3);
}

fn churn(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(180_000);
    // The first two stay: somebody has to be where newcomers look.
    for at in 2..draft.plan.nodes.len() {
        let mut drawn = draft.stream(&format!("life of n{at}"));
        let node = &mut draft.plan.nodes[at];
        node.starts_ms = drawn.range(0, draft.plan.span_ms * 2 / 3);
        let lives = drawn.range(20_000, 120_000);
        let ends = node.starts_ms + lives;
        if ends < draft.plan.span_ms {
            node.stops_ms = Some(ends);
        }
    }
    draft.questions(150);
    draft.herds(3);
    draft.changes(6);
    draft.writes(4);
    // Some do not say goodbye, and some of the first come back.
    draft.kills(3, 2_000, 20_000);
}

fn replication(draft: &mut Draft) {
    draft.plan.policy.default_ttl_ms = Some(3_600_000);
    draft.plan.policy.proof_window_ms = None;
    draft.plan.settle_ms = 90_000;
    // A packet that comes late sends a client to GitHub: right, and not what this is about.
    draft.plan.link.loss_ppm = 0;
    draft.questions(80);
    draft.herds(3);
}

fn partition(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(180_000);
    draft.plan.settle_ms = 180_000;
    draft.questions(100);
    draft.herds(3);
    draft.changes(4);
    draft.writes(2);
    draft.partitions(2, 5_000, 90_000);
}

fn ten_minutes(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(720_000);
    draft.plan.settle_ms = 180_000;
    draft.questions(150);
    draft.herds(3);
    draft.changes(4);
    draft.long_partition(30_000, 600_000);
}

/// A longer lifetime than the time away, so that what was written meanwhile is still there to be served.
fn cut_off(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(720_000);
    draft.plan.settle_ms = 180_000;
    draft.plan.policy.default_ttl_ms = Some(1_800_000);
    draft.plan.policy.proof_window_ms = None;
    draft.questions(100);
    draft.cut_off(40_000, 600_000);
}

/// All but the first two stop, in their order.
fn drain(draft: &mut Draft) {
    draft.plan.policy.default_ttl_ms = Some(120_000);
    draft.plan.policy.proof_window_ms = None;
    // What is lost is asked for again: right, and not what this is about.
    draft.plan.link.loss_ppm = 0;
    let leavers = (draft.plan.nodes.len() as u64).saturating_sub(2);
    draft.plan.span_ms = draft.span_of(30_000 + 15_000 * leavers);
    let part = draft.plan.span_ms.saturating_sub(30_000) / leavers.max(1);
    for at in 2..draft.plan.nodes.len() {
        let mut drawn = draft.stream(&format!("end of n{at}"));
        draft.plan.nodes[at].stops_ms = Some(20_000 + (at as u64 - 2) * part + drawn.range(0, part / 2));
    }
    draft.questions(80);
    draft.herds(2);
    draft.legacies(4);
}

fn rolling_upgrade(draft: &mut Draft) {
    let count = draft.plan.nodes.len() as u64;
    draft.plan.span_ms = draft.span_of(40_000 + 20_000 * count);
    let part = draft.plan.span_ms.saturating_sub(40_000) / count;
    for at in 0..count {
        let mut drawn = draft.stream(&format!("upgrade of n{at}"));
        let ends = 20_000 + at * part + drawn.range(0, part / 2);
        draft.plan.nodes[at as usize].old_until_ms = Some(ends);
        let node = draft.plan.nodes[at as usize].id;
        draft.fault(ends, drawn.range(500, 4_000), Trouble::Kill { node });
    }
    draft.questions(150);
    draft.herds(4);
    draft.changes(4);
    draft.writes(4);
}

fn one_way(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(150_000);
    draft.plan.settle_ms = 180_000;
    draft.questions(80);
    draft.herds(3);
    draft.one_ways(3, 5_000, 60_000);
    draft.holds(2, 1_000, 20_000);
}

fn crash_disk(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(120_000);
    draft.plan.nodes.iter_mut().for_each(|node| node.has_disk = true);
    draft.questions(300);
    draft.writes(3);
    draft.changes(4);
    draft.power_losses(14);
}

fn origin_outage(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(150_000);
    draft.questions(100);
    draft.herds(3);
    draft.outages(4);
    draft.changes(3);
}

fn origin_limit(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(150_000);
    draft.questions(100);
    draft.limits(4);
    draft.changes(3);
}

fn slow_peer(draft: &mut Draft) {
    draft.questions(80);
    draft.herds(3);
    draft.slow_links(3);
    draft.slow_disks(2);
    draft.slow_origin(1);
}

fn liar(draft: &mut Draft) {
    if let Some(last) = draft.plan.nodes.last_mut() {
        last.role = Role::Liar;
        last.has_disk = false;
    }
    draft.questions(80);
    draft.lies(40);
}

fn revoked_token(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(150_000);
    draft.questions(120);
    draft.denials();
    draft.revocations();
    // Not even stale, while GitHub fails.
    draft.outages(2);
}

fn clock_skew(draft: &mut Draft) {
    for at in 0..draft.plan.nodes.len() {
        let mut drawn = draft.stream(&format!("clock of n{at}"));
        let spread = *drawn.pick(&[0, 500, 5_000, 30_000, 300_000]);
        draft.plan.nodes[at].clock_ms = drawn.range(0, 2 * spread + 1) as i64 - spread as i64;
    }
    draft.questions(100);
    draft.herds(3);
    draft.changes(4);
    draft.writes(2);
}

fn long_day(draft: &mut Draft) {
    draft.plan.span_ms = draft.span_of(24 * 3_600_000);
    draft.plan.tick_ms = 25;
    draft.plan.link.latency_ms = draft.plan.link.latency_ms.max(25);
    draft.plan.settle_ms = 300_000;
    draft.questions(2_000);
    draft.herds(60);
    draft.changes(60);
    draft.writes(30);
    draft.kills(12, 2_000, 120_000);
    draft.partitions(6, 5_000, 900_000);
    draft.outages(6);
    draft.limits(3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_one_plan_and_another_seed_another() {
        for scenario in ALL {
            let plan = |seed| scenario.plan(seed, &Wishes::default());
            assert_eq!(plan(3), plan(3), "{}", scenario.name);
            assert_ne!(plan(3), plan(4), "{}", scenario.name);
        }
    }

    #[test]
    fn every_plan_makes_sense() {
        for scenario in ALL {
            for seed in 0..50 {
                let plan = scenario.plan(seed, &Wishes::default());
                let mut tidied = plan.clone();
                tidied.tidy();
                assert_eq!(plan, tidied, "{} {seed}", scenario.name);
                assert!(
                    plan.faults.iter().all(|fault| fault.from_ms < fault.until_ms && fault.until_ms <= plan.span_ms)
                );
                assert!(plan.ops.iter().all(|op| op.at_ms < plan.span_ms), "{} {seed}", scenario.name);
                assert!(plan.link.latency_ms >= plan.tick_ms, "no hop is shorter than a tick");
            }
        }
    }

    #[test]
    fn a_fault_that_is_taken_out_leaves_the_questions_as_they_were() {
        let plan = |partitions: u32| {
            let mut draft = Draft::new("partition", 7, 6, &Wishes::default());
            draft.questions(100);
            draft.partitions(partitions, 5_000, 20_000);
            draft.done()
        };
        assert_eq!(plan(2).ops, plan(0).ops);
        assert!(plan(1).faults.iter().all(|fault| plan(2).faults.contains(fault)));
    }
}
