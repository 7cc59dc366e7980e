//! What this node says of itself: to the directories, the registry and its neighbours.

use discovery::{Announced, PeerRecord, signed_record};
use net::Address;
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
        for directory in &self.config.directories {
            let (directory, record) = (directory.clone(), record.clone());
            let trouble = match self.around.tasks.block(move || directory.announce(&record, now())).await {
                Some(Ok(Announced::Clash { other })) => {
                    warn!(
                        runner_name = self.config.runner_name,
                        other, "another live peer uses this RUNNER_NAME; give each machine its own"
                    );
                    Some(format!("the live peer {other} uses the same RUNNER_NAME"))
                }
                Some(Ok(_)) | None => None,
                Some(Err(error)) => {
                    warn!(%error, "cannot announce this node in the peer directory");
                    Some(error.to_string())
                }
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
        let outside = listening.iter().find(|address| !is_loopback(address));
        match self.config.force_localhost {
            Some(false) => outside.cloned(),
            _ => Some(outside.unwrap_or(first).clone()),
        }
    }

    /// Every address at which this node may be reached, the best first. Loopback only where that is what is
    /// advertised.
    fn own_addresses(&self) -> Vec<Address> {
        let me = self.around.net.me();
        let Some(best) = self.advertised() else { return Vec::new() };
        let listening = self.around.known.lock().expect("no panic while held").listening.clone();
        let others = listening.into_iter().filter(|address| !is_loopback(&address) && *address != best);
        let others = others.filter(|_| !is_loopback(&&best));
        let all = std::iter::once(best.clone()).chain(others);
        all.map(|address| address.with_peer(me)).take(wire::limits::PEER_ADDRESSES_MAX).collect()
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

    fn renew_own_record(&mut self) {
        let addresses: Vec<String> = self.own_addresses().iter().map(ToString::to_string).collect();
        if self.exchange.needs_own(&addresses, now()) {
            let (signatures, me, role) = (&*self.around.signatures, self.around.net.me(), self.around.role);
            self.exchange.set_own(signed_record(signatures, me, role, addresses, now(), limits::OWN_RECORD_LIFE));
        }
    }

    pub(super) fn say(&self, peer: &Peer, exchange: Exchange) {
        (self.around.say)(peer, &Message::Exchange(exchange));
    }
}

fn is_loopback(address: &&Address) -> bool {
    address.ip().is_some_and(|ip| ip.is_loopback())
}
