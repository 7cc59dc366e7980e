use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use crate::answer::Answer;

/// Ceilings beyond the hourly budget, per user or installation; none unless a test sets them.
///
/// Source: GitHub's "About secondary rate limits". It does not say whether a 304 costs a point;
/// here it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secondary {
    /// Requests under way at once, REST and GraphQL together.
    pub concurrent_max: Option<u64>,
    /// A read costs 1, a write 5.
    pub rest_points_per_minute: Option<u64>,
    /// A query costs 1, a mutation 5.
    pub graphql_points_per_minute: Option<u64>,
    /// Answered writes that make something: `POST`, `PUT` and mutations.
    pub contents_per_minute: Option<u64>,
    /// Say 429 instead of 403; GitHub uses both.
    pub too_many: bool,
}

impl Secondary {
    /// 100 at once, 900 and 2,000 points and 80 new things a minute.
    pub fn documented() -> Self {
        Self {
            concurrent_max: Some(100),
            rest_points_per_minute: Some(900),
            graphql_points_per_minute: Some(2_000),
            contents_per_minute: Some(80),
            too_many: false,
        }
    }
}

/// What a request weighs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    pub(crate) graphql: bool,
    pub(crate) writes: bool,
    /// It makes content.
    pub(crate) creates: bool,
}

/// What is under way and what the current minute has seen, by label.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    in_flight: BTreeMap<String, u64>,
    in_flight_max: BTreeMap<String, u64>,
    minutes: BTreeMap<String, Minute>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    rest: u64,
    graphql: u64,
    contents: u64,
}

impl Pressure {
    /// Lets a request in, or returns after how many seconds to try again.
    pub(crate) fn enter(&mut self, label: &str, limits: &Secondary, weight: Weight, now: u64) -> Option<u64> {
        let under_way = self.in_flight.entry(label.to_owned()).or_default();
        let crowded = limits.concurrent_max.is_some_and(|max| *under_way >= max);
        *under_way += 1;
        let most = self.in_flight_max.entry(label.to_owned()).or_default();
        *most = (*most).max(*under_way);
        if crowded {
            return Some(60);
        }
        let minute = self.minutes.entry(label.to_owned()).or_default();
        if minute.number != now / 60 {
            *minute = Minute { number: now / 60, ..Minute::default() };
        }
        let points = if weight.writes { 5 } else { 1 };
        let (spent, max) = if weight.graphql {
            (&mut minute.graphql, limits.graphql_points_per_minute)
        } else {
            (&mut minute.rest, limits.rest_points_per_minute)
        };
        let fits = max.is_none_or(|max| *spent + points <= max)
            && limits.contents_per_minute.is_none_or(|max| !weight.creates || minute.contents < max);
        if fits {
            *spent += points;
            minute.contents += u64::from(weight.creates);
        }
        (!fits).then(|| 60 - now % 60)
    }

    pub(crate) fn leave(&mut self, label: &str) {
        if let Some(under_way) = self.in_flight.get_mut(label) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// The most requests that were under way at once, by label.
    pub(crate) fn in_flight_max(&self) -> &BTreeMap<String, u64> {
        &self.in_flight_max
    }

    /// Forgets the maxima, not what is under way.
    pub(crate) fn reset(&mut self) {
        self.in_flight_max.clear();
    }
}

/// GitHub's words for a secondary limit.
pub(crate) fn refusal(status: StatusCode, retry_after: Option<u64>) -> Answer {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let url = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api\
               #about-secondary-rate-limits";
    let answer = Answer::error(status, message, url);
    match retry_after {
        Some(secs) => answer.with_header("retry-after", secs.to_string()),
        None => answer,
    }
}
