use std::collections::BTreeSet;

use wire::{Announcement, Member, Message, Millis, Peer, Role};

use super::Fleet;
use crate::{Effect, index::At, limits};

/// What a node that is about to stop still waits for.
pub struct Leaving {
    heir: Peer,
    /// Handed to the heir, which has not said yet that it holds them.
    awaited: BTreeSet<At>,
}

impl Fleet {
    /// Says so to all, and hands what is of use and held nowhere else to the member that stays longest.
    pub(super) fn leave(&mut self, now: Millis) {
        if self.leaving.is_some() {
            return;
        }
        self.members.leave();
        let member = self.members.own(self.index.len());
        self.effects.push_back(Effect::Publish(Message::Member(member)));
        let Some(heir) = self.heir() else { return self.effects.push_back(Effect::HandedOver) };
        let announcements = self.estate(&heir, now);
        let awaited: BTreeSet<At> = announcements.iter().map(|told| (told.key, told.scope)).collect();
        if awaited.is_empty() {
            self.effects.push_back(Effect::HandedOver);
        } else {
            self.effects.push_back(Effect::HandOver { to: heir.clone(), announcements });
        }
        self.leaving = Some(Leaving { heir, awaited });
    }

    /// A member says what it holds: with the last that was handed to it, this node may go.
    pub(super) fn taken_over(&mut self, from: &Peer, records: &[Announcement]) {
        if self.leaving.as_ref().is_some_and(|leaving| leaving.heir == *from) {
            self.no_longer_awaits(records.iter().map(|told| (told.key, told.scope)));
        }
    }

    pub(super) fn no_longer_awaits(&mut self, records: impl IntoIterator<Item = At>) {
        let Some(leaving) = &mut self.leaving else { return };
        let had_some = !leaving.awaited.is_empty();
        for at in records {
            leaving.awaited.remove(&at);
        }
        if had_some && leaving.awaited.is_empty() {
            self.effects.push_back(Effect::HandedOver);
        }
    }

    /// Another member leaves, and this node is to hold its answer: all are told.
    pub(super) fn take_over(&mut self, announcement: &Announcement, now: Millis) {
        let told = Announcement { body: None, holder: None, ..announcement.clone() };
        self.outbox.push(told, self.peers.len() + 1, now);
    }

    /// Who holds the body of what `from` says. This node does not hold what it was not given.
    pub(super) fn holder_of<'a>(&'a self, announcement: &'a Announcement, from: &'a Peer) -> &'a Peer {
        let is_mine = |holder: &&Peer| **holder == self.config.me;
        announcement.holder.as_ref().filter(|holder| announcement.body.is_some() || !is_mine(holder)).unwrap_or(from)
    }

    /// An anchor if one is connected, else the oldest: it will most likely stay. Where all are short-lived it is
    /// the youngest that does.
    fn heir(&self) -> Option<Peer> {
        let staying = self.members().filter(|view| view.is_connected && !view.member.is_leaving);
        let rank = |role: Role| match role {
            Role::Anchor => 0,
            Role::Node => 1,
            Role::Ephemeral => 2,
        };
        let age = |role: Role, since: Millis| if role == Role::Ephemeral { u64::MAX - since.0 } else { since.0 };
        let heir = staying.min_by_key(|view| {
            let Member { role, since, .. } = view.member;
            (rank(role), age(role, since), view.peer.clone())
        });
        heir.map(|view| view.peer)
    }

    /// Whether another machine is there, and does not leave. Who held something may be long gone.
    fn stays(&self, holder: &Peer) -> bool {
        self.peers.contains_key(holder) && !self.members.is_leaving(holder)
    }

    /// What goes to the heir, newest first.
    fn estate(&self, heir: &Peer, now: Millis) -> Vec<Announcement> {
        let mut room = limits::HANDOVER_BYTES_MAX;
        let mut estate = Vec::new();
        for (_, (key, scope)) in self.index.by_validation(None) {
            let mut told = self.index.candidates((key, scope)).iter();
            // What is stale is worth a free confirmation.
            let Some(candidate) = told.find(|told| told.held && told.record.may_be_stale(now)) else { continue };
            let is_elsewhere = candidate.holders.iter().any(|holder| self.stays(holder));
            let bytes = candidate.record.body_bytes;
            let is_brief = candidate.record.stale_until.since(now) < limits::ANNOUNCE_REMAINING_MIN;
            if is_elsewhere || is_brief || bytes > limits::HANDOVER_BODY_BYTES_MAX || bytes > room {
                continue;
            }
            room -= bytes;
            let (record, tag, holder) = (candidate.record.clone(), candidate.tag, Some(heir.clone()));
            estate.push(Announcement { key, scope, record, tag, body: None, holder });
            if estate.len() == limits::HANDOVER_RECORDS_MAX {
                break;
            }
        }
        estate
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::{Body, Digest, FamilyId, Form, KeyId, Record, ScopeId, Version};

    use super::*;
    use crate::{Config, Input, core::Fleet};

    const NOW: Millis = Millis(1_000_000_000);

    fn peer(name: &str) -> Peer {
        Peer::new(name)
    }

    fn fleet(name: &str) -> Fleet {
        let (proof_window, stale_for) = (Duration::from_secs(60), Duration::from_secs(3600));
        let (role, since) = (Role::Node, NOW);
        Fleet::new(Config { me: peer(name), alone: false, proof_window, stale_for, role, since })
    }

    fn effects(fleet: &mut Fleet, input: Input) -> Vec<Effect> {
        fleet.handle(input, NOW);
        std::iter::from_fn(|| fleet.next_effect()).collect()
    }

    /// An answer of `key`, in body `text`.
    fn told(key: u8, text: &str, fresh_secs: u64) -> Announcement {
        let record = Record {
            family: FamilyId([3; 16]),
            version: Version { date_secs: NOW.as_secs(), digest: Digest::of(text.as_bytes()) },
            status: 200,
            headers: vec![],
            body_bytes: text.len() as u64,
            validated_at: Millis(NOW.0 - u64::from(key)),
            fresh_until: NOW.after(Duration::from_secs(fresh_secs)),
            proved_until: NOW.after(Duration::from_secs(fresh_secs)),
            stale_until: NOW.after(Duration::from_secs(3600)),
        };
        let (key, scope) = (KeyId([key; 16]), ScopeId([2; 16]));
        Announcement { key, scope, record, tag: None, body: None, holder: None }
    }

    /// Connects a member of this role and age.
    fn meet(fleet: &mut Fleet, name: &str, role: Role, since: u64) {
        effects(fleet, Input::PeerConnected { peer: peer(name), near: true });
        let member = Member { role, since: Millis(since), seq: 1, ..Member::default() };
        effects(fleet, Input::Heard { from: peer(name), message: Message::Member(member) });
    }

    fn handed(effects: Vec<Effect>) -> Option<(Peer, Vec<Announcement>)> {
        effects.into_iter().find_map(|effect| match effect {
            Effect::HandOver { to, announcements } => Some((to, announcements)),
            _ => None,
        })
    }

    #[test]
    fn what_is_of_use_and_nowhere_else_goes_to_an_anchor_newest_first_and_then_the_node_may_go() {
        let mut fleet = fleet("me");
        meet(&mut fleet, "old", Role::Node, 1);
        meet(&mut fleet, "anchor", Role::Anchor, 500);
        for (key, text, fresh_secs) in [(5, "five", 60), (1, "one", 60), (2, "two", 60), (9, "stale soon", 2)] {
            effects(&mut fleet, Input::Filled { announcement: told(key, text, fresh_secs), ask: None });
        }
        let long = "x".repeat(usize::try_from(limits::HANDOVER_BODY_BYTES_MAX).unwrap() + 1);
        effects(&mut fleet, Input::Filled { announcement: told(7, &long, 60), ask: None });
        effects(&mut fleet, Input::Heard { from: peer("old"), message: Message::Announce(vec![told(2, "two", 60)]) });

        let (to, announcements) = handed(effects(&mut fleet, Input::Leaving)).expect("something is handed over");
        assert_eq!(to, peer("anchor"));
        assert_eq!(announcements.iter().map(|told| told.key.0[0]).collect::<Vec<_>>(), [1, 5, 9]);
        assert!(effects(&mut fleet, Input::LeftOut(vec![(KeyId([9; 16]), ScopeId([2; 16]))])).is_empty());
        assert!(announcements.iter().all(|told| told.holder == Some(peer("anchor"))));

        let says = |from: &str, key, text| Input::Heard {
            from: peer(from),
            message: Message::Announce(vec![told(key, text, 60)]),
        };
        assert!(!effects(&mut fleet, says("anchor", 1, "one")).contains(&Effect::HandedOver));
        assert!(!effects(&mut fleet, says("old", 5, "five")).contains(&Effect::HandedOver), "it was not the heir");
        assert!(effects(&mut fleet, says("anchor", 5, "five")).contains(&Effect::HandedOver));
        assert!(!effects(&mut fleet, says("anchor", 5, "five")).contains(&Effect::HandedOver), "said once");
    }

    #[test]
    fn what_the_shell_does_not_send_is_not_waited_for() {
        let mut fleet = fleet("me");
        meet(&mut fleet, "other", Role::Node, 1);
        effects(&mut fleet, Input::Filled { announcement: told(1, "one", 60), ask: None });
        let (_, announcements) = handed(effects(&mut fleet, Input::Leaving)).expect("it is handed over");
        let left_out = announcements.iter().map(|told| (told.key, told.scope)).collect();
        assert!(effects(&mut fleet, Input::LeftOut(left_out)).contains(&Effect::HandedOver));
    }

    #[test]
    fn the_oldest_node_inherits_where_there_is_no_anchor_but_none_that_leaves_too() {
        let mut fleet = fleet("me");
        meet(&mut fleet, "brief", Role::Ephemeral, 1);
        meet(&mut fleet, "young", Role::Node, 900);
        meet(&mut fleet, "older", Role::Node, 100);
        meet(&mut fleet, "going", Role::Anchor, 50);
        let going = Member { role: Role::Anchor, since: Millis(50), seq: 2, is_leaving: true, ..Member::default() };
        effects(&mut fleet, Input::Heard { from: peer("going"), message: Message::Member(going) });
        effects(&mut fleet, Input::Filled { announcement: told(1, "one", 60), ask: None });
        assert_eq!(handed(effects(&mut fleet, Input::Leaving)).expect("it is handed over").0, peer("older"));
    }

    #[test]
    fn the_youngest_inherits_where_all_are_short_lived_and_a_holder_that_is_gone_holds_nothing() {
        let mut fleet = fleet("me");
        meet(&mut fleet, "holder", Role::Ephemeral, 1);
        meet(&mut fleet, "old", Role::Ephemeral, 2);
        meet(&mut fleet, "young", Role::Ephemeral, 900);
        effects(&mut fleet, Input::Filled { announcement: told(1, "one", 60), ask: None });
        effects(
            &mut fleet,
            Input::Heard { from: peer("holder"), message: Message::Announce(vec![told(1, "one", 60)]) },
        );
        effects(&mut fleet, Input::PeerGone { peer: peer("holder") });
        let (to, announcements) = handed(effects(&mut fleet, Input::Leaving)).expect("nobody else holds it");
        assert_eq!((to, announcements.len()), (peer("young"), 1));
    }

    #[test]
    fn who_has_nothing_or_nobody_may_go_at_once_and_says_that_it_goes() {
        let mut alone = fleet("me");
        effects(&mut alone, Input::Filled { announcement: told(1, "one", 60), ask: None });
        assert!(effects(&mut alone, Input::Leaving).contains(&Effect::HandedOver));

        let mut empty = fleet("me");
        meet(&mut empty, "other", Role::Node, 1);
        let said = effects(&mut empty, Input::Leaving);
        assert!(said.contains(&Effect::HandedOver));
        let leaves = |effect: &Effect| matches!(effect, Effect::Publish(Message::Member(me)) if me.is_leaving);
        assert!(said.iter().any(leaves), "{said:?}");
    }

    #[test]
    fn an_heir_keeps_what_it_is_handed_and_tells_all_and_claims_no_body_that_it_was_not_given() {
        let mut heir = fleet("heir");
        meet(&mut heir, "leaver", Role::Node, 1);
        let body = Some(Body { form: Form::Identity, encoded: "one".into() });
        let given = Announcement { body, holder: Some(peer("heir")), ..told(1, "one", 60) };
        let promised = Announcement { holder: Some(peer("heir")), ..told(2, "two", 60) };
        let message = Message::Announce(vec![given.clone(), promised.clone()]);
        let done = effects(&mut heir, Input::Heard { from: peer("leaver"), message });
        assert!(done.contains(&Effect::Keep { from: peer("leaver"), announcement: given }));
        assert!(done.contains(&Effect::Keep { from: peer("leaver"), announcement: promised }), "{done:?}");
        let told: Vec<_> = done
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Publish(Message::Announce(records)) => Some(records),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(told, [self::told(1, "one", 60)]);
    }
}
