//! What is wrong when: the faults of a plan, as the driver sees them from one moment to the next.
//!
//! Everything that holds now is computed anew at each change, so that the end of one fault does not
//! end another that goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    addresses,
    plan::{Fault, Link, Place, Trouble, What},
    stage::{Machine, Stage, lock},
    trace::{Event, Kind},
};

/// How machines went down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    pub crashes: u64,
    /// Power lost at a write, and of these while the store was being opened.
    pub at_write: u64,
    pub at_opening: u64,
    /// Power lost while something was written and not synced.
    pub with_dirty_sectors: u64,
}

/// Where the machines' processes run.
pub trait Hosts {
    /// Ends all that runs on a machine, at once.
    fn end(&mut self, machine: u32);
    /// Starts its process again.
    fn begin(&mut self, machine: u32);
}

pub struct Weather {
    stage: Arc<Stage>,
    /// Moments at which something changes, in order.
    changes: BTreeSet<Duration>,
    /// Operations of GitHub's own that are still to come, in order.
    at_github: Vec<(Duration, What)>,
    /// Machines that are down.
    down: BTreeSet<u32>,
    /// Faults that have begun.
    begun: BTreeSet<u32>,
    /// Faults that have taken their machine down.
    struck: BTreeSet<u32>,
    /// Machines whose power goes at a write, and the fault that it is.
    armed: BTreeMap<u32, u32>,
    pub losses: Losses,
}

impl Weather {
    pub fn new(stage: Arc<Stage>) -> Self {
        let plan = &stage.plan;
        let changes = plan.faults.iter().flat_map(|fault| [ms(fault.from_ms), ms(fault.until_ms)]).collect();
        let at_github = plan.ops.iter().filter(|op| op.what.is_at_github());
        let mut at_github: Vec<_> = at_github.map(|op| (ms(op.at_ms), op.what.clone())).collect();
        at_github.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut weather = Self {
            stage,
            changes,
            at_github,
            down: BTreeSet::new(),
            begun: BTreeSet::new(),
            struck: BTreeSet::new(),
            armed: BTreeMap::new(),
            losses: Losses::default(),
        };
        weather.set_links(Duration::ZERO);
        weather
    }

    /// When the next thing changes.
    pub fn next_change(&self) -> Option<Duration> {
        let at_github = self.at_github.last().map(|(at, _)| *at);
        self.changes.first().copied().into_iter().chain(at_github).min()
    }

    /// Brings the world up to `now`.
    pub fn advance(&mut self, hosts: &mut impl Hosts, now: Duration) {
        while self.at_github.last().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, what)) = self.at_github.pop() {
                self.at_github(&what, now);
            }
        }
        if self.changes.first().is_some_and(|at| *at <= now) {
            self.changes.retain(|at| *at > now);
            self.set_links(now);
            self.set_addresses(now);
            self.set_github(now);
            self.set_disks(now);
            self.set_power(hosts, now);
            self.tell(now);
        }
        self.watch_writes(hosts);
    }

    fn active(&self, now: Duration) -> impl Iterator<Item = &Fault> {
        self.stage.plan.faults.iter().filter(move |fault| is_active(fault, now))
    }

    fn at_github(&self, what: &What, now: Duration) {
        let mut github = self.stage.github();
        let text = match what {
            What::Change { repo } => {
                let changed = github.hub.modify_repo(repo, crate::github::unix_secs(now));
                changed.map_or_else(|error| error.to_string(), |()| format!("{repo} changes"))
            }
            What::Revoke { token } => {
                let text = github.tokens[*token].clone();
                github.hub.revoke(&text);
                format!("t{token} is revoked")
            }
            What::Deny { token, repo } => {
                let text = github.tokens[*token].clone();
                github.hub.set_role(&text, repo, None);
                format!("t{token} no longer sees {repo}")
            }
            What::Grant { token, repo } => {
                let text = github.tokens[*token].clone();
                github.hub.set_role(&text, repo, Some(fakehub::Role::Write));
                format!("t{token} sees {repo}")
            }
            What::Hide { repo, private } => {
                let hidden = github.hub.set_private(repo, *private);
                let how = if *private { "private" } else { "public" };
                hidden.map_or_else(|error| error.to_string(), |()| format!("{repo} becomes {how}"))
            }
            What::Edit { repo } => {
                let edited = github.hub.add_issues(repo, 1, crate::github::unix_secs(now));
                edited.map_or_else(|error| error.to_string(), |()| format!("{repo} gets an issue"))
            }
            _ => return,
        };
        drop(github);
        self.stage.tell(Event::new(Kind::Note, 0, text));
    }

    fn set_links(&mut self, now: Duration) {
        let stage = &self.stage;
        let machines: Vec<&Machine> = stage.machines.values().collect();
        let active: Vec<&Trouble> = self.active(now).map(|fault| &fault.what).collect();
        for from in &machines {
            for to in machines.iter().filter(|to| to.plan.id != from.plan.id) {
                let (a, b) = (from.plan.id, to.plan.id);
                let is_cut = active.iter().any(|trouble| match trouble {
                    Trouble::Partition { side } => side.contains(&a) != side.contains(&b),
                    Trouble::OneWay { from, to } => (*from, *to) == (a, b),
                    _ => false,
                });
                let is_held = active.iter().any(|trouble| match trouble {
                    Trouble::Hold { a: one, b: other } => [(*one, *other), (*other, *one)].contains(&(a, b)),
                    _ => false,
                });
                let slow = active.iter().find_map(|trouble| match trouble {
                    Trouble::SlowLink { node, link } if [a, b].contains(node) => Some(*link),
                    _ => None,
                });
                stage.network.set_link(from.id, to.id, link(slow.unwrap_or(stage.plan.link)));
                stage.network.block(from.id, to.id, is_cut);
                stage.network.hold(from.id, to.id, is_held);
            }
        }
    }

    /// Who has moved is elsewhere, and all others are where they were.
    fn set_addresses(&self, now: Duration) {
        let stage = &self.stage;
        let moved: BTreeSet<u32> = self
            .active(now)
            .filter_map(|fault| match fault.what {
                Trouble::Moved { node } => Some(node),
                _ => None,
            })
            .collect();
        for machine in stage.machines.values() {
            match machine.plan.place {
                Place::Site(site) => {
                    let mut here = stage.machines.values().filter(|other| other.plan.place == machine.plan.place);
                    let has_moved = here.any(|other| moved.contains(&other.plan.id));
                    stage.network.readdress(stage.routers[&site], addresses::of_router_now(site, has_moved));
                }
                _ => {
                    let has_moved = moved.contains(&machine.plan.id);
                    stage.network.readdress(machine.id, addresses::now(&machine.plan, has_moved));
                }
            }
        }
    }

    fn set_github(&self, now: Duration) {
        let troubles: Vec<&Trouble> = self.active(now).map(|fault| &fault.what).collect();
        self.stage.github().trouble(troubles.into_iter(), now);
    }

    fn set_disks(&self, now: Duration) {
        for machine in self.stage.machines.values() {
            let slow = self.active(now).filter_map(|fault| match &fault.what {
                Trouble::SlowDisk { node, by_ms } if *node == machine.plan.id => Some(*by_ms),
                _ => None,
            });
            machine.alive().disk_delay = Duration::from_millis(slow.sum());
        }
    }

    /// Brings machines up again, and takes others down.
    fn set_power(&mut self, hosts: &mut impl Hosts, now: Duration) {
        let stage = self.stage.clone();
        // A loss that waited for a write which never came happens at the end of its fault.
        for (node, fault) in self.armed.clone() {
            if stage.plan.faults.iter().any(|known| known.id == fault && !is_active(known, now)) {
                self.strike(hosts, node, fault, true);
            }
        }
        for (id, machine) in &stage.machines {
            let stays_down =
                self.active(now).any(|fault| self.struck.contains(&fault.id) && fault.what.nodes() == [*id]);
            if !stays_down && self.down.remove(id) {
                self.start(hosts, machine);
            }
        }
        for fault in stage.plan.faults.iter().filter(|fault| is_active(fault, now)) {
            if !self.begun.insert(fault.id) {
                continue;
            }
            match &fault.what {
                Trouble::Kill { node } => self.strike(hosts, *node, fault.id, false),
                Trouble::Power { node, at_write: None } => self.strike(hosts, *node, fault.id, true),
                Trouble::Power { node, at_write: Some(write) } => {
                    let disk = &stage.machine(*node).disk;
                    disk.cut_at_write(disk.writes() + write);
                    self.armed.insert(*node, fault.id);
                }
                _ => {}
            }
        }
    }

    /// A loss of power in the middle of a write has happened when the disk says so.
    fn watch_writes(&mut self, hosts: &mut impl Hosts) {
        let cut = |node: &u32| self.stage.machine(*node).disk.is_cut();
        let cut: Vec<(u32, u32)> = self.armed.iter().filter(|(node, _)| cut(node)).map(|(n, f)| (*n, *f)).collect();
        for (node, fault) in cut {
            self.losses.at_write += 1;
            self.losses.at_opening += u64::from(self.stage.machine(node).alive().node.is_none());
            self.strike(hosts, node, fault, true);
        }
    }

    fn strike(&mut self, hosts: &mut impl Hosts, node: u32, fault: u32, loses_power: bool) {
        self.armed.remove(&node);
        self.struck.insert(fault);
        self.kill(hosts, node, loses_power);
    }

    fn kill(&mut self, hosts: &mut impl Hosts, id: u32, loses_power: bool) {
        let machine = self.stage.machine(id);
        let has_stopped = machine.plan.stops_ms.is_some_and(|stops| ms(stops) <= det::elapsed());
        if has_stopped || !self.down.insert(id) {
            return;
        }
        self.losses.crashes += 1;
        self.losses.with_dirty_sectors += u64::from(loses_power && machine.disk.is_dirty());
        lock(&machine.memory).died();
        // First the disk and the network: what the tasks do while they are dropped must not reach them.
        if loses_power {
            machine.disk.lose_power();
            self.stage.network.power_off(machine.id);
        } else {
            machine.disk.kill();
        }
        {
            let mut alive = machine.alive();
            alive.node = None;
            alive.orders = None;
        }
        hosts.end(id);
        let (kind, text) = if loses_power { (Kind::Power, "loses power") } else { (Kind::Crash, "is killed") };
        self.stage.tell(Event::new(kind, machine.lane(), text).ok(false));
    }

    fn start(&self, hosts: &mut impl Hosts, machine: &Machine) {
        self.stage.network.power_on(machine.id);
        hosts.begin(machine.plan.id);
    }

    fn tell(&self, now: Duration) {
        for fault in self.stage.plan.faults.iter().filter(|fault| ms(fault.from_ms) <= now && now < ms(fault.until_ms))
        {
            // Once, at its beginning.
            if now.saturating_sub(ms(fault.from_ms)) < ms(self.stage.plan.tick_ms) {
                let text = serde_json::to_string(&fault.what).unwrap_or_default();
                let event = Event { until: Some(ms(fault.until_ms)), ..Event::of_all(Kind::Fault, text) };
                let lane = fault.what.nodes().first().map(|node| *node as usize + 1);
                self.stage.tell(Event { lane, at: ms(fault.from_ms), ..event }.ok(false));
            }
        }
    }
}

fn is_active(fault: &Fault, now: Duration) -> bool {
    ms(fault.from_ms) <= now && now < ms(fault.until_ms)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn link(link: Link) -> fabric::Link {
    fabric::Link {
        latency: ms(link.latency_ms),
        jitter: ms(link.jitter_ms),
        loss: f64::from(link.loss_ppm) / 1e6,
        bytes_per_sec: link.bytes_per_sec,
    }
}
