//! What the members' Kademlia is asked, and what comes of it.

use libp2p::{
    PeerId,
    kad::{self, GetRecordOk, InboundRequest, QueryResult},
};
use tokio::time::Instant;
use wire::SignedPeer;

use super::Driver;
use crate::{Event, behaviour::address_book, limits::LOOK_UPS_WAITING_MAX};

impl Driver {
    pub(super) fn publish_address(&mut self, own: &SignedPeer) {
        let members = self.peers.ids().into_iter().filter(|peer| self.peers.is_member(peer)).collect();
        if let Some(kademlia) = self.swarm.behaviour_mut().kademlia() {
            address_book::publish(kademlia, own, members);
        }
    }

    pub(super) fn look_up(&mut self, peer: PeerId) {
        if self.look_ups.len() < LOOK_UPS_WAITING_MAX && !self.look_ups.contains(&peer) {
            self.look_ups.push_back(peer);
        }
        self.look_up_next();
    }

    fn look_up_next(&mut self) {
        match self.swarm.behaviour_mut().kademlia() {
            Some(kademlia) => address_book::look_up(kademlia, &mut self.look_ups),
            None => self.look_ups.clear(),
        }
    }

    pub(super) fn on_kademlia(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest { request: InboundRequest::PutRecord { source, record: Some(record), .. } } => {
                let Some(kademlia) = self.swarm.behaviour_mut().kademlia() else { return };
                if !self.shelf.take(kademlia, source, record, Instant::now().into_std()) {
                    tracing::debug!(peer = %source, "an address record is not kept");
                }
            }
            kad::Event::OutboundQueryProgressed { result, .. } => {
                match result {
                    QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => {
                        match address_book::true_word(&found.record) {
                            Some(record) => drop(self.mention(Event::LookedUp { record })),
                            None => tracing::debug!(peer = ?found.peer, "a forged address record"),
                        }
                    }
                    QueryResult::PutRecord(Ok(_)) => drop(self.mention(Event::AddressGiven)),
                    _ => {}
                }
                self.look_up_next();
            }
            _ => {}
        }
    }
}
