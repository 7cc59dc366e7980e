use std::collections::BTreeMap;

use crate::{Route, limits};

/// Notices when GitHub no longer makes its ETags as the observed rule says ([`crate::etag`]).
///
/// The rule is not documented and has changed once. Each ETag that comes with an answer is compared
/// with the one that was computed: one mismatch stops computing for that route, since a computed
/// ETag would cost a charged answer where a received one costs nothing; [`limits::ETAG_MATCHES_NEEDED`] matches in
/// a row turn it on again. Nobody is ever served wrong by a broken rule: a 304 still means what it
/// says.
#[derive(Debug, Default)]
pub struct Drift {
    /// Only the routes that have drifted, and how many matches they have had since.
    drifted: BTreeMap<Route, u32>,
    mismatches: u64,
}

/// What a comparison has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Nothing,
    /// The first mismatch: computing stops for this route.
    Stopped,
    /// Computing begins again.
    Resumed,
}

impl Drift {
    /// Whether an ETag may be computed for this route, where none was received.
    pub fn may_compute(&self, route: Route) -> bool {
        !self.drifted.contains_key(&route)
    }

    /// Takes note of an answer whose ETag was computed, too.
    pub fn compared(&mut self, route: Route, is_match: bool) -> Changed {
        if !is_match {
            self.mismatches += 1;
            let was_known = self.drifted.insert(route, 0).is_some();
            return if was_known { Changed::Nothing } else { Changed::Stopped };
        }
        let Some(matches) = self.drifted.get_mut(&route) else { return Changed::Nothing };
        *matches += 1;
        if *matches < limits::ETAG_MATCHES_NEEDED {
            return Changed::Nothing;
        }
        self.drifted.remove(&route);
        Changed::Resumed
    }

    /// Routes whose ETags are not computed at present.
    pub fn drifted(&self) -> impl Iterator<Item = Route> {
        self.drifted.keys().copied()
    }

    /// Since the start.
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mismatch_stops_a_route_and_twenty_matches_in_a_row_turn_it_on_again() {
        let mut drift = Drift::default();
        assert_eq!(drift.compared(Route::Other, true), Changed::Nothing);
        assert_eq!(drift.compared(Route::Other, false), Changed::Stopped);
        assert!(!drift.may_compute(Route::Other));
        assert!(drift.may_compute(Route::Runs), "the others go on");
        for _ in 1..limits::ETAG_MATCHES_NEEDED {
            assert_eq!(drift.compared(Route::Other, true), Changed::Nothing);
        }
        assert_eq!(drift.compared(Route::Other, false), Changed::Nothing, "in a row, or it does not count");
        for _ in 1..limits::ETAG_MATCHES_NEEDED {
            assert_eq!(drift.compared(Route::Other, true), Changed::Nothing);
        }
        assert_eq!(drift.compared(Route::Other, true), Changed::Resumed);
        assert!(drift.may_compute(Route::Other));
        assert_eq!((drift.drifted().count(), drift.mismatches()), (0, 2));
    }
}
