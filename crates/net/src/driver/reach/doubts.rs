//! Where others were said to reach us, and may not any more: this machine, or its router, has another address.

use std::net::IpAddr;

use tokio::time::Instant;

use crate::{Address, address::was_last, driver::Driver};

impl Driver {
    /// A peer sees us at an address that we have not, as behind a router. If nobody sees us any more where others were
    /// said to reach us, the router may have got another one. Others' words: now and then, and then we see for ourselves.
    pub(in crate::driver) fn on_seen_at(&mut self, seen: IpAddr) {
        let (now, own) = (Instant::now(), self.own_ips(None));
        if own.contains(&seen) || self.reaching.next_doubt.is_some_and(|at| at > now) {
            return;
        }
        let is_elsewhere = |told: &Address| {
            let ip = told.ip().filter(|ip| *ip != seen && ip.is_ipv4() == seen.is_ipv4() && !own.contains(ip));
            ip.is_some_and(|ip| !self.peers.see_us_at(ip))
        };
        let doubted: Vec<_> = self.told().into_iter().filter(is_elsewhere).collect();
        if !doubted.is_empty() {
            tracing::debug!(%seen, "can others still dial us at {doubted:?}?");
            self.reaching.next_doubt = Some(now + self.reaching.probe_again_after);
            self.doubt(doubted);
        }
    }

    /// This machine does not have the address any more; others were told where they reach us through it.
    pub(in crate::driver) fn on_address_gone(&mut self, gone: IpAddr, left: &[IpAddr]) {
        let mut doubted = Vec::new();
        for told in self.told() {
            match told.ip().map_or(Fate::Stays, |ip| fate(ip, gone, left)) {
                Fate::Stays => {}
                Fate::Doubted => doubted.push(told),
                Fate::Gone => self.on_not_reached(&told),
            }
        }
        let is_last = was_last(gone, left);
        let is_void = |ip: IpAddr| ip == gone || (is_last && ip.is_ipv4() == gone.is_ipv4());
        self.reaching.evidence.forget(is_void);
        self.swarm.behaviour_mut().forget_candidates(is_void);
        self.doubt(doubted);
        if is_last {
            self.reaching.evidence.forgive();
            self.probe_again();
        }
    }

    /// A round that is under way for them goes on: a machine on which networks come and go would never end one.
    fn doubt(&mut self, addresses: Vec<Address>) {
        let (now, evidence) = (Instant::now(), &mut self.reaching.evidence);
        if addresses.into_iter().filter(|address| evidence.doubt(address.clone(), now)).count() > 0 {
            self.probe_again();
        }
    }

    /// What others are told about how to dial us, and what the operator did not name.
    pub(super) fn told(&self) -> Vec<Address> {
        let told = self.swarm.external_addresses().map(Address::reported);
        told.filter(|address| !address.is_relayed() && !self.reaching.is_named(address)).collect()
    }
}

/// What becomes of an address that others are told, when one of this machine's is gone.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It is a router's, and nobody says which of ours it forwards to.
    Doubted,
    Gone,
}

fn fate(told: IpAddr, gone: IpAddr, left: &[IpAddr]) -> Fate {
    if told.is_ipv4() != gone.is_ipv4() || left.contains(&told) {
        Fate::Stays
    } else if told == gone || was_last(gone, left) {
        Fate::Gone
    } else {
        Fate::Doubted
    }
}

#[cfg(test)]
mod tests;
