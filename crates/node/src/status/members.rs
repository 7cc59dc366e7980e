//! The fleet as this node sees it.

use std::collections::BTreeMap;

use fleet::MemberView;
use net::PeerInfo;
use serde_json::{Value, json};
use wire::{Millis, Peer, Role};

use crate::{Node, cache::now};

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Anchor => "anchor",
        Role::Node => "node",
        Role::Ephemeral => "ephemeral",
    }
}

/// As the setting is typed.
pub(super) fn switch(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

impl Node {
    /// Whether what goes to the members is sealed; `None` if there are none.
    pub(super) fn sealing(&self) -> Option<bool> {
        let sharing = self.sharing.as_ref().filter(|sharing| sharing.net.is_some())?;
        Some(!sharing.keys.sealing.is_off())
    }

    /// What the whole fleet has asked and saved: the last word of each member, and this node's own now.
    pub(super) fn aggregate(&self, members: &[MemberView]) -> Value {
        let c = &self.counters;
        let own_hits = c.hits_of_all_kinds();
        let sum = |own: u64, of: fn(&wire::Member) -> u64| {
            // A member may say any number.
            members.iter().fold(own, |sum, view| sum.saturating_add(of(&view.member)))
        };
        let (hits, proofs) = (sum(own_hits, |m| m.hits), sum(c.origin_proofs.get(), |m| m.proofs));
        let oldest_word = members.iter().map(|view| now().since(view.heard_at).as_secs()).max();
        json!({
            "members": members.len() + 1,
            "charged": sum(c.origin_charged.get(), |m| m.charged),
            "proofs": proofs,
            "hits": hits,
            "saved": hits.saturating_add(proofs),
            "oldest_word_seconds": oldest_word,
            "this_node": {
                "charged": c.origin_charged.get(),
                "proofs": c.origin_proofs.get(),
                "hits": own_hits,
                "saved": own_hits + c.origin_proofs.get(),
            },
        })
    }

    /// Each other member that is connected or was heard of.
    pub(super) fn member_rows(&self, members: &[MemberView], infos: &[PeerInfo]) -> Vec<Value> {
        let said: BTreeMap<&Peer, &MemberView> = members.iter().map(|view| (&view.peer, view)).collect();
        let connected: BTreeMap<&Peer, &PeerInfo> = infos.iter().map(|info| (&info.peer, info)).collect();
        let differing = self.sharing.as_ref().map(|sharing| sharing.roster.other_sealing()).unwrap_or_default();
        let sealing = |peer: &Peer| match (differing.contains(peer), said.contains_key(peer)) {
            (true, _) => self.sealing().map(|is_on| !is_on),
            (false, true) => self.sealing(),
            (false, false) => None,
        };
        let all = said.keys().chain(connected.keys().filter(|peer| !said.contains_key(**peer)));
        let row = |peer: &&Peer| {
            self.member_row(peer, sealing(peer), said.get(*peer).copied(), connected.get(*peer).copied())
        };
        all.map(row).collect()
    }

    fn member_row(
        &self,
        peer: &Peer,
        sealing: Option<bool>,
        said: Option<&MemberView>,
        info: Option<&PeerInfo>,
    ) -> Value {
        let (now, entries) = (now(), self.index_len() as u64);
        let member = said.map(|view| &view.member);
        let behind = member.map(|member| entries.saturating_sub(member.entries.into()));
        json!({
            "peer_id": peer.as_str(),
            "role": member.map(|member| role_name(member.role)),
            "connected": info.is_some(),
            "path": info.map(path),
            "connections": info.map(|info| info.connections),
            "relay": info.and_then(|info| info.relay.as_ref()).map(Peer::as_str),
            "transport": info.map(|info| info.carrier.label()),
            "direction": info.map(|info| format!("{:?}", info.direction).to_lowercase()),
            "rtt_ms": info.and_then(|info| info.rtt).map(|rtt| rtt.as_secs_f64() * 1000.0),
            "entries": member.map(|member| member.entries),
            "entries_behind": behind,
            "heard_seconds_ago": said.map(|view| now.since(view.heard_at).as_secs()),
            "up_seconds": member.map(|member| up_for(member.since, now)),
            "leaving": member.map(|member| member.is_leaving),
            "charged": member.map(|member| member.charged),
            "proofs": member.map(|member| member.proofs),
            "hits": member.map(|member| member.hits),
            "sealing": sealing.map(switch),
            "version": info.and_then(|info| info.agent.as_deref()).map(|agent| agent.trim_start_matches("ghoard/")),
        })
    }
}

/// By the member's own clock, which may be ahead of ours.
fn up_for(since: Millis, now: Millis) -> u64 {
    now.since(since).as_secs()
}

/// Through a relay, over a short way, or over a long one.
pub(super) fn path(info: &PeerInfo) -> &'static str {
    let is_short = match info.rtt {
        Some(rtt) => rtt <= fleet::limits::NEAR_RTT_MAX,
        None => info.address.ip().is_some_and(|ip| crate::sharing::is_near(&ip)),
    };
    match (info.relay.is_some(), is_short) {
        (true, _) => "relayed",
        (false, true) => "near",
        (false, false) => "direct",
    }
}
