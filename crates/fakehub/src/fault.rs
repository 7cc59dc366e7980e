use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use serde_json::json;

use crate::answer::Answer;

/// How requests fail while a test wants them to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This status, with GitHub's way of saying it where it has one.
    Status(StatusCode),
    /// 403 with the text of a secondary limit and `Retry-After`, in seconds.
    SecondaryLimit { retry_after: u64 },
}

/// The switches, by path prefix; the longest prefix that fits decides.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    latency: BTreeMap<String, Duration>,
    failure: BTreeMap<String, Failure>,
    silence: BTreeMap<String, ()>,
}

impl Faults {
    pub(crate) fn set_latency(&mut self, prefix: &str, latency: Duration) {
        self.latency.insert(prefix.to_owned(), latency);
    }

    pub(crate) fn set_failure(&mut self, prefix: &str, failure: Failure) {
        self.failure.insert(prefix.to_owned(), failure);
    }

    pub(crate) fn set_silence(&mut self, prefix: &str) {
        self.silence.insert(prefix.to_owned(), ());
    }

    pub(crate) fn latency(&self, path: &str) -> Duration {
        longest(&self.latency, path).unwrap_or_default()
    }

    pub(crate) fn failure(&self, path: &str) -> Option<Failure> {
        longest(&self.failure, path)
    }

    pub(crate) fn silent(&self, path: &str) -> bool {
        longest(&self.silence, path).is_some()
    }
}

impl Failure {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Status(status) => {
                let reason = status.canonical_reason().unwrap_or("Error");
                Answer::new(status, &json!({ "message": reason, "status": status.as_str() })).untagged()
            }
            Self::SecondaryLimit { retry_after } => {
                let message =
                    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
                let url = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api\
                           #about-secondary-rate-limits";
                let mut answer = Answer::error(StatusCode::FORBIDDEN, message, url);
                answer.retry_after = Some(retry_after);
                answer
            }
        }
    }
}

fn longest<T: Copy>(switches: &BTreeMap<String, T>, path: &str) -> Option<T> {
    let fitting = switches.iter().filter(|(prefix, _)| path.starts_with(prefix.as_str()));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, value)| *value)
}
