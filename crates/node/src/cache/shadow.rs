//! `mode = shadow`: clients get the origin's answer each time, and what the cache would have done is
//! counted and compared.
//!
//! What would have been served is left as it is, so that it grows as old as it would when serving; only
//! where the cache would have asked the origin, too, is the answer kept. A 404 that is told again for a
//! moment is the exception: to ask is to drop it, so it is kept anew.

use std::sync::Arc;

use gateway::Answer;
use github::{Ask, Verdict, judge};
use http::{HeaderMap, StatusCode, header};
use store::EntryKey;
use tracing::warn;
use wire::{FamilyId, KeyId};

use super::{Flown, NodeCache, Told, now, will_do};
use crate::sharing::Word;

/// Whether clients get what is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Serve,
    /// Never: each request goes to the origin, and the cache only counts what it would have saved.
    Shadow,
}

/// What the cache would have done.
enum Would {
    /// Answered without asking.
    Serve(Arc<Answer>),
    /// Asked whether this still holds.
    Validate(Arc<Answer>),
    Ask,
}

impl NodeCache {
    /// Asks the origin as if nothing were kept, and compares.
    pub(super) async fn ask_in_shadow(self: Arc<Self>, ask: Ask) -> Flown {
        if ask.wants.directives.only_if_cached {
            return Flown::Told(Told::not_cached());
        }
        let (at, family) = (self.keeper.key_of(&ask), self.keeper.family_of(&ask));
        let would = self.would_do(&ask, at, family).await;
        let grows_old = matches!(&would, Would::Serve(answer) if answer.status == StatusCode::OK);
        let may_keep = self.exclusions.may_keep(&ask) && !grows_old;
        let flown = self.clone().ask_origin(ask.clone(), at, family, may_keep, None, None, None).await;
        self.compare(&ask, at.key, &would, &flown);
        flown
    }

    async fn would_do(&self, ask: &Ask, at: EntryKey, family: FamilyId) -> Would {
        let may_keep = self.exclusions.may_keep(ask);
        let in_memory = self.keeper.in_memory(&at).filter(|held| may_keep && will_do(ask, &held.answer));
        if let Some(held) = in_memory {
            return Would::Serve(held.answer.clone());
        }
        let own = if may_keep { self.keeper.known(ask, at).await } else { None };
        if let Some(own) = own.as_ref().filter(|own| will_do(ask, &own.answer)) {
            return Would::Serve(own.answer.clone());
        }
        let offered = match self.ask_fleet(ask, at, own.as_ref(), None).await.0 {
            Word::Told(lead) => match self.take_up(ask, at, family, lead, own.as_ref()) {
                Some(told) if will_do(ask, &told.answer) => return Would::Serve(told.answer),
                told => told,
            },
            Word::Trusted(lead) => match self.trust(ask, at, family, &lead) {
                Some(answer) => return Would::Serve(answer),
                None => self.offered(ask, family, lead),
            },
            Word::OwnOffer(lead) => Some(self.told_once(family, lead)),
            Word::Offer(lead) => self.offered(ask, family, lead),
            Word::Refused(_) | Word::Failed(_) | Word::Nothing => None,
        };
        match offered.or(own).map(|known| known.answer) {
            Some(answer) if self.may_validate(ask, &answer) => Would::Validate(answer),
            _ => Would::Ask,
        }
    }

    /// Whether a 304 to this would have been free.
    fn may_validate(&self, ask: &Ask, answer: &Answer) -> bool {
        ask.credential.is_some() && (answer.etag.is_some() || self.filler.may_compute(ask.route))
    }

    fn compare(&self, ask: &Ask, key: KeyId, would: &Would, flown: &Flown) {
        let counters = &self.counters;
        let is_same = |known: &Answer| match flown {
            Flown::Answer { answer, .. } => answer.status == known.status && answer.plain == known.plain,
            // What is kept for a moment only is told as it came: packed, perhaps.
            Flown::Told(told) => {
                let to = |headers: &HeaderMap| headers.get(header::LOCATION).cloned();
                told.status == known.status && known.status != StatusCode::OK && to(&told.headers) == to(&known.headers)
            }
            Flown::Stream(_) => false,
        };
        match would {
            Would::Serve(known) => {
                counters.shadow_would_hit.one();
                if is_unavailable(flown) {
                    return;
                }
                counters.shadow_would_save.one();
                if !is_same(known) {
                    counters.shadow_mismatches.one();
                    let age_seconds = now().since(known.validated_at).as_secs();
                    warn!(%key, route = ?ask.route, age_seconds, "shadow: the cache would have served another answer");
                }
            }
            Would::Validate(known) if is_same(known) => {
                counters.shadow_would_prove.one();
                counters.shadow_would_save.one();
            }
            Would::Validate(_) | Would::Ask => {}
        }
    }
}

/// Whether the origin said nothing about the thing that was asked for.
fn is_unavailable(flown: &Flown) -> bool {
    let Flown::Told(told) = flown else { return false };
    matches!(judge(told.status, &told.headers, &told.body, now()), Verdict::Limited { .. } | Verdict::Outage)
}
