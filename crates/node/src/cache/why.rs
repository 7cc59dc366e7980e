//! What the cache would do with a question, and why, without doing it.
//!
//! Tells what is held for the credential that asks, and nothing of what others hold.

use github::{Ask, Pattern};
use serde_json::{Map, Value, json};
use wire::Millis;

use super::{Mode, NodeCache, now, will_do};
use crate::{Share, keeper::Loaded};

impl NodeCache {
    pub(crate) async fn why(&self, ask: &Ask) -> Map<String, Value> {
        let at = self.keeper.key_of(ask);
        let in_memory = self.keeper.in_memory(&at).is_some();
        let own = if self.exclusions.may_keep(ask) { self.keeper.known(at).await } else { None };
        let policy = &self.filler.policy;
        let lifetime = ask.route.lifetime().or(policy.default_ttl);
        let story = json!({
            "key": at.key.to_string(),
            "credential": ask.credential.is_some(),
            "route": format!("{:?}", ask.route),
            "family": ask.family.as_str(),
            "lifetime_seconds": lifetime.map(|lifetime| lifetime.as_secs()),
            "proof_window_seconds": policy.proof_window().as_secs(),
            "stale_for_seconds": policy.stale_for.as_secs(),
            "etag_drifted": !self.filler.may_compute(ask.route),
            "never_cache": covering(&self.exclusions.never_cache, ask),
            "never_share": covering(&self.exclusions.never_share, ask),
            "share": format!("{:?}", self.sharing.as_ref().map_or(Share::Token, |sharing| sharing.share)).to_lowercase(),
            "held": own.as_ref().map(|own| held(own, in_memory, now())),
            "next": self.next(ask, own.as_ref()),
        });
        let Value::Object(story) = story else { unreachable!("it was made as an object") };
        story
    }

    /// What the next request like this would do, step by step.
    fn next(&self, ask: &Ask, own: Option<&Loaded>) -> Vec<&'static str> {
        if self.mode == Mode::Shadow {
            return vec!["ask the origin, as mode = shadow always does"];
        }
        if !self.exclusions.may_keep(ask) {
            return vec!["ask the origin, as never_cache says"];
        }
        if own.is_some_and(|own| will_do(ask, &own.answer)) {
            return vec!["hit: answer from here"];
        }
        let mut next = Vec::new();
        if self.sharing_of(ask).is_some() {
            next.push("ask the fleet what is known for this credential, or may be proved to it");
        }
        next.push(match own {
            _ if ask.wants.directives.only_if_cached => "refuse with 504, as the client says only-if-cached",
            Some(own) if own.stored.etag.is_some() => "ask the origin whether what is held still holds (its own ETag)",
            Some(_) if self.filler.may_compute(ask.route) => {
                "ask the origin whether what is held still holds (a computed ETag)"
            }
            _ => "ask the origin, unconditionally",
        });
        next
    }
}

fn covering(patterns: &[Pattern], ask: &Ask) -> Option<String> {
    patterns.iter().find(|pattern| pattern.covers(ask)).map(ToString::to_string)
}

/// Seconds below zero are in the past.
fn held(own: &Loaded, in_memory: bool, now: Millis) -> Value {
    let answer = &own.answer;
    let left = |until: Millis| -> i64 {
        let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        if until > now { seconds(until.since(now)) } else { -seconds(now.since(until)) }
    };
    json!({
        "in": if in_memory { "memory" } else { "disk" },
        "from": if answer.from_peer { "peer" } else { "origin" },
        "status": answer.status.as_u16(),
        "bytes": answer.plain.len(),
        "age_seconds": now.since(answer.validated_at).as_secs(),
        "fresh_for_seconds": left(answer.fresh_until),
        "proven_for_seconds": left(answer.proved_until),
        "stale_for_seconds": left(answer.stale_until),
        "has_etag": answer.etag.is_some(),
    })
}
