//! Who is connected to whom.
//!
//! Up to [`MESH_NODES_MAX`] nodes, everybody to everybody. Above, each to the oldest of its cell, which
//! so become the anchors, and to some others; and above [`CELL_NODES_MAX`], there are cells that know
//! nothing of each other.

use std::time::Duration;

use crate::{
    draw::Stream,
    plan::{Model, Plan},
};

pub const CELL_NODES_MAX: usize = 1_000;
pub const MESH_NODES_MAX: usize = 64;
/// The oldest: everybody is connected to them.
const ANCHORS: usize = 16;
const OTHERS: usize = 8;

/// How long until lost neighbours are replaced.
pub const TEND_AFTER: Duration = Duration::from_secs(2);

pub struct Topology {
    seed: u64,
    cells: usize,
    /// The nodes that are up, by cell, in order of their starts.
    live: Vec<Vec<usize>>,
    /// For each partition that is on, the side of each node.
    sides: Vec<Vec<bool>>,
    model: Model,
    ids: Vec<u32>,
}

impl Topology {
    /// `ids` are those of the nodes, in order of their places.
    pub fn new(plan: &Plan, ids: &[u32], at_once: usize) -> Self {
        let cells = at_once.div_ceil(CELL_NODES_MAX).max(1);
        let live = vec![Vec::new(); cells];
        Self { seed: plan.seed, cells, live, sides: Vec::new(), model: plan.model.clone(), ids: ids.to_vec() }
    }

    pub fn started(&mut self, node: usize) {
        let cell = self.cell(node);
        self.live[cell].push(node);
    }

    pub fn stopped(&mut self, node: usize) {
        let cell = self.cell(node);
        self.live[cell].retain(|other| *other != node);
    }

    pub fn parted(&mut self, sides: Vec<Vec<bool>>) {
        self.sides = sides;
    }

    /// Those of the node's cell that are up, itself included.
    pub fn cell_of(&self, node: usize) -> &[usize] {
        &self.live[self.cell(node)]
    }

    /// Whether packets pass between two that are up.
    pub fn is_open(&self, a: usize, b: usize) -> bool {
        self.sides.iter().all(|side| side[a] == side[b])
    }

    /// Whether they never hear of each other's being there.
    pub fn is_blind(&self, a: usize, b: usize) -> bool {
        self.model.is_blind(self.seed, self.ids[a], self.ids[b])
    }

    /// Whom a node that is up should be connected to.
    pub fn neighbours(&self, node: usize) -> Vec<usize> {
        let live = self.cell_of(node);
        let may_meet = |other: &usize| *other != node && self.is_open(node, *other) && !self.is_blind(node, *other);
        if live.len() <= MESH_NODES_MAX {
            return live.iter().copied().filter(may_meet).collect();
        }
        let (anchors, others) = live.split_at(ANCHORS);
        let mut neighbours: Vec<usize> = anchors.iter().copied().filter(may_meet).collect();
        let mut drawn = Stream::new(self.seed, &format!("neighbours of {node}"));
        for _ in 0..OTHERS {
            let other = others[drawn.range(0, others.len() as u64) as usize];
            if may_meet(&other) && !neighbours.contains(&other) {
                neighbours.push(other);
            }
        }
        neighbours
    }

    fn cell(&self, node: usize) -> usize {
        node % self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, Wishes};

    #[test]
    fn a_small_fleet_is_a_mesh_and_a_large_one_has_anchors_and_cells() {
        let plan = Scenario::find("lan").expect("it is there").plan(1, &Wishes::default());
        let topology = |nodes: u32| {
            let ids: Vec<u32> = (0..nodes).collect();
            let mut topology = Topology::new(&plan, &ids, ids.len());
            (0..ids.len()).for_each(|node| topology.started(node));
            topology
        };
        assert_eq!(topology(64).neighbours(3).len(), 63);
        let large = topology(1_000).neighbours(500);
        assert!((20..=24).contains(&large.len()), "{}", large.len());
        assert!((0..16).all(|anchor| large.contains(&anchor)));
        let cells = topology(2_000).neighbours(501);
        assert!(cells.iter().all(|other| other % 2 == 1), "another cell's");
    }
}
