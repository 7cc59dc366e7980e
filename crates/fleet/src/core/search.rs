//! The way of one question through the index: what this credential was told, then what others were.

use std::collections::BTreeSet;

use wire::{Millis, Record};

use super::{Config, Fleet};
use crate::{
    Across, AskId, Effect, Outcome, Want,
    asks::Ask,
    index::{At, Candidate},
    offer::{Told, offers},
};

/// What a record is good for.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Answer,
    Trusted,
    Offer,
    OwnOffer,
}

impl Fleet {
    /// Takes the next step towards an answer: one that is here, one to pull, or none.
    pub(super) fn advance(&mut self, id: AskId, now: Millis) {
        let Some(ask) = self.asks.get(&id) else { return };
        self.drop_forgeries(id, (ask.key, ask.scope));

        let Some(ask) = self.asks.get(&id) else { return };
        let choices = self.choices(ask, now);
        let mut hopeless = BTreeSet::new();
        // In their order: an answer that must be pulled is better than an offer that is here.
        let next = choices.iter().find_map(|(purpose, _, candidate)| {
            if candidate.held {
                return Some((purpose, *candidate, None));
            }
            // Whoever holds the same body can send it.
            let digest = candidate.record.version.digest;
            let is_same = |c: &Candidate| !c.held && c.record.version.digest == digest;
            let same = choices.iter().filter(|(_, _, c)| is_same(c)).map(|(_, at, c)| (*at, *c));
            let holder = hopeless.insert(digest).then(|| self.best_holder(id, ask, same, now)).flatten();
            Some((purpose, *candidate, Some(holder?)))
        });
        let is_answer = matches!(next, Some((Use::Answer | Use::Trusted, ..)));
        if !is_answer && ask.must_claim() {
            return self.claim(id, now);
        }
        let Some((purpose, candidate, pull)) = next else { return self.resolve(id, Outcome::Nothing, now) };
        if let Some(holder) = pull {
            return self.start_pull(id, holder, now);
        }
        let record = candidate.record.clone();
        let outcome = match purpose {
            Use::Answer => Outcome::Found { record: self.with_shared_freshness(ask, record), tag: candidate.tag },
            Use::Trusted => Outcome::Trusted { record },
            Use::Offer => Outcome::Offer { record, own: false },
            Use::OwnOffer => Outcome::Offer { record, own: true },
        };
        self.resolve(id, outcome, now);
    }

    /// What would do for this question, best first: what this credential was told, then what the
    /// operator lets everybody see, then what is worth offering to the origin.
    pub(super) fn choices(&self, ask: &Ask, now: Millis) -> Vec<(Use, At, &Candidate)> {
        let own = (ask.key, ask.scope);
        let mut choices = Vec::new();
        let others = || self.index.scopes_of(ask.key).filter(|(scope, _)| *scope != ask.scope);
        if ask.want != Want::Offer {
            let usable = self.index.candidates(own).iter().filter(|candidate| self.is_usable(ask, candidate, now));
            let mut usable: Vec<&Candidate> = usable.collect();
            usable.sort_by_key(|candidate| !candidate.held);
            for candidate in usable {
                choices.push((Use::Answer, own, candidate));
                if !candidate.held {
                    // Whoever holds the body for another credential can send it.
                    let digest = candidate.record.version.digest;
                    let told = others().flat_map(|(scope, candidates)| candidates.iter().map(move |c| (scope, c)));
                    let same = told.filter(|(_, other)| !other.held && other.record.version.digest == digest);
                    choices.extend(same.map(|(scope, other)| (Use::Answer, (ask.key, scope), other)));
                }
            }
        }
        if ask.across == Across::Trusted && ask.want != Want::Offer {
            let mut fresh: Vec<_> = others()
                .filter_map(|(scope, candidates)| Some((scope, candidates.first()?)))
                .filter(|(_, candidate)| match ask.want {
                    Want::Stale => candidate.record.may_be_stale(now),
                    Want::Fresh | Want::Offer => now < candidate.record.fresh_until,
                })
                .collect();
            fresh.sort_by_key(|(scope, candidate)| (std::cmp::Reverse(candidate.record.version), *scope));
            choices.extend(fresh.into_iter().map(|(scope, candidate)| (Use::Trusted, (ask.key, scope), candidate)));
        }
        if ask.want == Want::Stale {
            return choices;
        }
        // What another machine was told later for this credential, though its time is over.
        let is_news = |candidate: &&Candidate| {
            let version = candidate.record.version;
            ask.known.is_none_or(|known| version.digest != known.digest && version.date_secs >= known.date_secs)
        };
        let told_last = self.index.candidates(own).first();
        if ask.across != Across::Nothing {
            let here = ask.known.map(|version| Told { version, here: true });
            let heard = told_last.map(|candidate| Told { version: candidate.record.version, here: false });
            let known = heard.into_iter().chain(here).max_by_key(|told| told.version.date_secs);
            for digest in offers((ask.key, ask.scope), known, &self.kin, others(), now) {
                // Whoever was told it holds the same body; one that is here needs no pull.
                let told = others().flat_map(|(scope, candidates)| candidates.iter().map(move |c| (scope, c)));
                let is_it = |(_, c): &(_, &Candidate)| c.record.version.digest == digest;
                let mut told: Vec<_> =
                    told.filter(is_it).filter(|(_, c)| self.refuted.trusts(&c.holders, now)).collect();
                told.sort_by_key(|(_, candidate)| !candidate.held);
                choices.extend(told.into_iter().map(|(scope, c)| (Use::Offer, (ask.key, scope), c)));
            }
        }
        // What others were told is only better where it is newer, and of the same view.
        let own_offer = told_last.filter(is_news);
        choices.extend(own_offer.map(|candidate| (Use::OwnOffer, own, candidate)));
        choices.extend(self.past_offers(ask));
        choices
    }

    /// What a write has made doubtful, and may have left as it was.
    fn past_offers(&self, ask: &Ask) -> Vec<(Use, At, &Candidate)> {
        let own = (ask.key, ask.scope);
        let is_own = |candidate: &&Candidate| self.config.alone || is_genuine(ask, own, candidate);
        if let Some(candidate) = self.past.get(own).filter(is_own) {
            return vec![(Use::OwnOffer, own, candidate)];
        }
        if ask.across == Across::Nothing || ask.known.is_some() {
            return Vec::new();
        }
        let others = self.past.scopes_of(ask.key).filter(|(scope, _)| *scope != ask.scope);
        let best = others.max_by_key(|(scope, c)| (self.kin.score(ask.scope, *scope), c.record.version, *scope));
        best.map(|(scope, candidate)| (Use::Offer, (ask.key, scope), candidate)).into_iter().collect()
    }

    fn is_usable(&self, ask: &Ask, candidate: &Candidate, now: Millis) -> bool {
        let Config { proof_window, stale_for, .. } = self.config;
        let record = &candidate.record;
        let proved = record.proved_until.min(record.validated_at.after(proof_window));
        let stale = record.stale_until.min(proved.after(stale_for));
        let fresh = self.fresh_until(ask, record);
        now < fresh && now < proved || ask.want == Want::Stale && now < stale
    }

    /// Until when the version of `record` is fresh: any credential that was told it again has made
    /// it fresh for all who can still prove that they may see it.
    fn fresh_until(&self, ask: &Ask, record: &Record) -> Millis {
        if ask.across == Across::Nothing {
            return record.fresh_until;
        }
        let digest = record.version.digest;
        let told = self.index.scopes_of(ask.key).flat_map(|(_, candidates)| candidates);
        let same = told.filter(|candidate| candidate.record.version.digest == digest);
        same.map(|candidate| candidate.record.fresh_until).max().unwrap_or_default().max(record.fresh_until)
    }

    fn with_shared_freshness(&self, ask: &Ask, mut record: Record) -> Record {
        record.fresh_until = self.fresh_until(ask, &record);
        record
    }

    /// A client has presented the credential: what nobody who holds it has tagged is a forgery.
    fn drop_forgeries(&mut self, id: AskId, at: At) {
        let Some(ask) = self.asks.get(&id).filter(|_| !self.config.alone) else { return };
        let mut liars = BTreeSet::new();
        let is_empty = self.index.retain_at(at, |candidate| {
            let genuine = is_genuine(ask, at, candidate);
            if !genuine {
                liars.extend(candidate.holders.iter().cloned());
            }
            genuine
        });
        if !liars.is_empty() {
            self.effects.push_back(Effect::NameForgery { holders: liars.into_iter().collect(), key: at.0 });
        }
        if is_empty {
            self.effects.push_back(Effect::Forget { key: at.0, scope: at.1 });
        }
    }
}

/// Whether somebody who holds the credential has tagged it, where there is one.
fn is_genuine(ask: &Ask, at: At, candidate: &Candidate) -> bool {
    let genuine = match (&ask.tag_key, &candidate.tag) {
        (Some(tag_key), Some(tag)) => tag_key.verify(at.0, &candidate.record, tag),
        (Some(_), None) => false,
        (None, _) => true,
    };
    genuine || canary::sings(canary::Bug::SkipsTheTag)
}
