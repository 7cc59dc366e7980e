//! What this node says of itself: to the directories, the registry and its neighbours.

use std::collections::BTreeSet;

use discovery::{Announced, PeerRecord, is_told, signed_record};
use net::{Address, ReachInfo};
use tokio::time::Instant;
use tracing::warn;
use wire::{Exchange, Message, Peer};

use super::{Dialler, External, Kind};
use crate::{cache::now, limits};

impl Dialler {
    /// Tells the directories where this node is.
    pub(super) async fn announce(&mut self) {
        if let Some(registry) = &self.around.registry {
            let addresses = self.own_addresses().into_iter().map(|address| address.to_string());
            registry.lock().expect("no panic while held").set_addresses(addresses);
        }
        let me = self.around.net.me().clone();
        let Some(address) = self.advertised() else { return };
        let address = address.with_peer(&me);
        let port = address.port().unwrap_or_default();
        let runner_name = self.config.runner_name.clone();
        let mut record = PeerRecord::new(me.as_str(), runner_name, port, address.to_string());
        record.public_ip = match &self.config.external {
            Some(External::Ip(ip)) => Some(*ip),
            _ => None,
        };
        {
            let mut known = self.around.known.lock().expect("no panic while held");
            (known.advertised, known.announced) = (Some(address), Some(record.clone()));
        }
        for folder in &self.folders {
            let record = record.clone();
            let trouble = match folder.ask(&self.around.tasks, move |folder| folder.announce(&record, now())).await {
                Ok(Ok(Announced::Clash { other })) => {
                    warn!(
                        runner_name = self.config.runner_name,
                        other, "another live peer uses this RUNNER_NAME; give each machine its own"
                    );
                    Some(format!("the live peer {other} uses the same RUNNER_NAME"))
                }
                Ok(Ok(_)) => None,
                Ok(Err(error)) => {
                    let why = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                    let trouble = Some(format!("{error}{why}"));
                    // Each address that is listened on is announced anew.
                    if self.kinds.get(&Kind::File).is_none_or(|state| state.trouble != trouble) {
                        warn!("cannot announce this node in the peer directory: {error}{why}");
                    }
                    trouble
                }
                Err(silent) => Some(silent.to_string()),
            };
            self.kinds.entry(Kind::File).or_default().trouble = trouble;
        }
    }

    /// The one address that a directory's record has room for.
    fn advertised(&self) -> Option<Address> {
        let listening = self.around.known.lock().expect("no panic while held").listening.clone();
        let first = listening.first()?;
        if self.config.force_localhost == Some(true) {
            let loopback = listening.iter().find(is_loopback).cloned();
            return loopback.or_else(|| format!("/ip4/127.0.0.1/tcp/{}", first.port()?).parse().ok());
        }
        match &self.config.external {
            Some(External::Address(address)) => return Some(address.clone()),
            Some(External::Ip(ip)) => {
                let kind = if ip.is_ipv4() { "ip4" } else { "ip6" };
                return format!("/{kind}/{ip}/tcp/{}", first.port()?).parse().ok();
            }
            None => {}
        }
        let outside = listening.iter().find(|address| is_told(&address.to_string()));
        match self.config.force_localhost {
            Some(false) => outside.cloned(),
            _ => Some(outside.unwrap_or(first).clone()),
        }
    }

    /// Every address at which this node may be reached, for all who want to dial it.
    fn own_addresses(&self) -> Vec<Address> {
        let Some(best) = self.advertised() else { return Vec::new() };
        let listening = self.around.known.lock().expect("no panic while held").listening.clone();
        own_addresses(self.around.net.me(), &best, self.config.external.is_some(), &listening, &self.around.net.reach())
    }

    /// A new neighbour is told where machines are.
    pub(super) fn greet(&mut self, peer: &Peer) {
        if self.config.discovery.exchange {
            self.renew_own_record();
            let exchange = self.exchange.on_neighbour(peer, now());
            self.say(peer, exchange);
        }
    }

    /// One of the neighbours is told anew.
    pub(super) fn exchange_with_one(&mut self) {
        if !self.config.discovery.exchange {
            return;
        }
        self.renew_own_record();
        let neighbours: Vec<Peer> = self.connected().into_iter().collect();
        if let Some((peer, exchange)) = self.exchange.on_time(&neighbours, now()) {
            self.say(&peer, exchange);
        }
    }

    pub(super) fn renew_own_record(&mut self) {
        let addresses: Vec<String> = self.own_addresses().iter().map(ToString::to_string).collect();
        if self.exchange.needs_own(&addresses, now()) {
            let (signatures, me, role) = (&*self.around.signatures, self.around.net.me(), self.around.role);
            self.exchange.set_own(signed_record(signatures, me, role, addresses, now(), limits::OWN_RECORD_LIFE));
            self.publishing.renewed(Instant::now());
        }
    }

    pub(super) fn say(&self, peer: &Peer, exchange: Exchange) {
        (self.around.say)(peer, &Message::Exchange(exchange));
    }
}

/// The few that there is room for: what the operator says, what is good anywhere, the ways through relays, and
/// then what is good in this network. Loopback only where that is what is advertised.
fn own_addresses(me: &Peer, best: &Address, is_said: bool, listening: &[Address], reach: &ReachInfo) -> Vec<Address> {
    if is_loopback(&best) {
        return vec![best.with_peer(me)];
    }
    let (anywhere, here): (Vec<&Address>, Vec<&Address>) =
        reach.external.iter().chain([best]).chain(listening).partition(|address| address.is_global());
    let circuits = reach.circuits.iter().filter_map(|circuit| circuit.addresses.first());
    let said = is_said.then_some(best);
    let all = said.into_iter().chain(anywhere).chain(circuits).chain(here).map(|address| address.with_peer(me));
    let mut seen = BTreeSet::new();
    let told = all.filter(|address| is_told(&address.to_string()) && seen.insert(address.clone()));
    told.take(wire::limits::PEER_ADDRESSES_MAX).collect()
}

fn is_loopback(address: &&Address) -> bool {
    address.ip().is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use net::{Circuit, Identity};

    use super::*;

    fn all(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn told(best: &str, is_said: bool, listening: &[&str], reach: &ReachInfo) -> Vec<String> {
        let me = Identity::from_seed([1; 32]).peer();
        let own = own_addresses(&me, &best.parse().unwrap(), is_said, &all(listening), reach);
        own.iter().map(|address| address.without_peer().to_string()).collect()
    }

    #[test]
    fn what_others_can_dial_comes_before_what_only_neighbours_can() {
        let relay = Identity::from_seed([9; 32]).peer();
        let circuit = format!("/ip4/50.0.0.9/tcp/9100/p2p/{relay}/p2p-circuit");
        let listening = [
            "/ip4/192.168.1.2/tcp/9100",
            "/ip4/127.0.0.1/tcp/9100",
            "/ip6/fe80::1/tcp/9100",
            "/ip4/192.168.1.2/udp/9100/quic-v1",
        ];
        let reach = ReachInfo {
            external: all(&["/ip4/50.0.0.1/tcp/4001"]),
            circuits: vec![Circuit { relay, addresses: all(&[&circuit]) }],
            ..ReachInfo::default()
        };
        let told_of = told(listening[0], false, &listening, &reach);
        assert_eq!(told_of, ["/ip4/50.0.0.1/tcp/4001", &circuit, listening[0], listening[3]]);
        let said = told("/ip4/192.168.1.9/tcp/9100", true, &listening, &reach);
        assert_eq!(said[..2], ["/ip4/192.168.1.9/tcp/9100", "/ip4/50.0.0.1/tcp/4001"], "the operator knows better");
    }

    #[test]
    fn loopback_is_told_of_alone_and_what_is_of_one_link_never() {
        let listening = ["/ip4/127.0.0.1/tcp/9100", "/ip6/fe80::1/tcp/9100", "/ip4/10.0.0.1/tcp/9100"];
        assert_eq!(told(listening[0], false, &listening, &ReachInfo::default()), [listening[0]]);
        assert_eq!(told(listening[2], false, &listening, &ReachInfo::default()), [listening[2]]);
    }
}
