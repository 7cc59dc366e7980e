//! Who waits for whom: never in a circle, and for nobody who does not ask.

use std::{collections::BTreeMap, time::Duration};

use fleet::AskId;

use super::World;

/// So long a lease may outlive its holder's question: what ends it is on its way, or was lost.
const ORPHANED_MAX: Duration = fleet::limits::LEASE_TIME.saturating_add(Duration::from_secs(1));

/// A question, by the node that asks it.
type At = (usize, AskId);

/// Leases that somebody waits for while their holders do not ask: by owner and holder, and since when.
#[derive(Default)]
pub struct Orphans(BTreeMap<(usize, At), Duration>);

impl World {
    /// Looks at what waits at this node as an owner.
    pub fn look_at_waits(&mut self, node: usize) {
        let waits = self.waits_of(node);
        let mut orphaned = BTreeMap::new();
        for (waiter, holder) in waits {
            let (asked, held) = (&self.shells[waiter.0].fleet, &self.shells[holder.0].fleet);
            // Of its own questions an owner knows the state at once.
            let is_ghost = waiter.0 == node && asked.waits_at(waiter.1).is_none() && !asked.leads(waiter.1);
            if is_ghost {
                return self.violated(Some(node), "waits.nobody", format!("{waiter:?} waits, and does not ask"));
            }
            if !held.leads(holder.1) {
                let since = self.orphans.0.get(&(node, holder)).copied().unwrap_or(self.now);
                orphaned.insert((node, holder), since);
                if holder.0 == node || self.now > since + ORPHANED_MAX {
                    let text = format!("{waiter:?} waits for {holder:?}, which does not ask");
                    return self.violated(Some(node), "waits.orphan", text);
                }
            }
            if let Some(circle) = self.circle(waiter) {
                return self.violated(Some(node), "waits.circle", format!("{circle:?}"));
            }
        }
        self.orphans.0.retain(|(owner, _), _| *owner != node);
        self.orphans.0.append(&mut orphaned);
    }

    fn waits_of(&self, owner: usize) -> Vec<(At, At)> {
        let waits = self.shells[owner].fleet.waits();
        let at = |(peer, ask)| Some((self.names.place(peer)?, ask));
        waits.filter_map(|(waiter, holder)| Some((at(waiter)?, at(holder)?))).collect()
    }

    /// The questions that wait for each other, if `first` is among such.
    fn circle(&self, first: At) -> Option<Vec<At>> {
        let mut seen = vec![first];
        loop {
            let last = *seen.last()?;
            let owner = self.names.place(self.shells[last.0].fleet.waits_at(last.1)?)?;
            let (_, holder) = self.waits_of(owner).into_iter().find(|(waiter, _)| *waiter == last)?;
            if holder == first {
                return Some(seen);
            }
            if seen.contains(&holder) {
                return None;
            }
            seen.push(holder);
        }
    }
}
