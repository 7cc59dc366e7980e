//! What the cache would do with a question, and why, without doing it.
//!
//! Tells what is held for the credential that asks, and nothing of what others hold.

use gateway::Answer;
use github::{Ask, Pattern};
use http::StatusCode;
use serde_json::{Map, Value, json};
use wire::Millis;

use super::{Mode, NodeCache, now, will_do};
use crate::Share;

impl NodeCache {
    pub(crate) async fn why(&self, ask: &mut Ask) -> Map<String, Value> {
        self.names.resolve(ask);
        let ask = &*ask;
        let at = self.keeper.key_of(ask);
        let in_memory = self.keeper.in_memory(&at);
        let own = match &in_memory {
            _ if !self.exclusions.may_keep(ask) => None,
            Some(held) => Some(held.answer.clone()),
            None => self.keeper.known(ask, at).await.map(|known| known.answer),
        };
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
            "held": own.as_ref().map(|own| held(own, in_memory.is_some(), now())),
            "next": self.next(ask, own.as_deref()),
        });
        let Value::Object(story) = story else { unreachable!("it was made as an object") };
        story
    }

    /// What the next request like this would do, step by step.
    fn next(&self, ask: &Ask, own: Option<&Answer>) -> Vec<&'static str> {
        if self.mode == Mode::Shadow {
            return vec!["ask the origin, as mode = shadow always does"];
        }
        if !self.exclusions.may_keep(ask) {
            return vec!["ask the origin, as never_cache says"];
        }
        if own.is_some_and(|own| will_do(ask, own)) {
            return vec!["hit: answer from here"];
        }
        let mut next = Vec::new();
        if self.sharing_of(ask).is_some() {
            next.push("ask the fleet what is known for this credential, or may be proved to it");
        }
        // What is told again for a moment is no more when that is over.
        next.push(match own.filter(|own| own.status == StatusCode::OK) {
            _ if ask.wants.directives.only_if_cached => "refuse with 504, as the client says only-if-cached",
            Some(own) if own.etag.is_some() => "ask the origin whether what is held still holds (its own ETag)",
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
fn held(answer: &Answer, in_memory: bool, now: Millis) -> Value {
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
