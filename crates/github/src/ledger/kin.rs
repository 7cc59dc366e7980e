use std::collections::BTreeMap;

use crate::limits;

/// What may speak for two buckets being one budget: their readings interleave.
///
/// GitHub does not say whose budget a token draws on. Two tokens of one user show the same limit and
/// the same end of the window, and each charged request of either lowers what both show. Two tokens
/// that merely began together show the same figure twice, and that speaks against it.
#[derive(Debug, Default)]
pub(super) struct Kin {
    pairs: BTreeMap<(u64, u64), Evidence>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    readings: u8,
    /// Which of the two spoke last: only taking turns counts.
    last: u64,
}

impl Kin {
    /// `reader` has just read `remaining` after a charged request, where `other` had read
    /// `other_remaining` before, in the same window. Returns whether they are one budget now.
    pub(super) fn compare(&mut self, reader: (u64, u64), other: (u64, u64)) -> bool {
        let ((reader, remaining), (other, other_remaining)) = (reader, other);
        let pair = (reader.min(other), reader.max(other));
        let continues = remaining < other_remaining && other_remaining - remaining <= limits::MERGE_GAP_MAX;
        if !continues {
            self.pairs.remove(&pair);
            return false;
        }
        if self.pairs.len() >= limits::MERGE_PAIRS_MAX {
            self.pairs.clear();
        }
        let evidence = self.pairs.entry(pair).or_default();
        if evidence.last == reader {
            return false;
        }
        evidence.last = reader;
        evidence.readings += 1;
        evidence.readings >= limits::MERGE_READINGS
    }

    pub(super) fn forget(&mut self, bucket: u64) {
        self.pairs.retain(|(a, b), _| *a != bucket && *b != bucket);
    }
}
