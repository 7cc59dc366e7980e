//! What goes next. Entries are looked at by `stale_until`, the earliest first.

use wire::Millis;

/// Why an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It may not be served any more, not even marked stale.
    Expired,
    /// The store is over its size, and no entry is of use for a shorter time than this one.
    OverSize,
}

/// Returns why the entry with the earliest `stale_until` goes, or `None` if all may stay.
///
/// Expired entries come first by that order alone, so an entry of use is evicted only when none is
/// expired.
pub(crate) fn reason(stale_until: Millis, now: Millis, bytes: u64, bytes_max: u64) -> Option<Reason> {
    if stale_until <= now {
        Some(Reason::Expired)
    } else if bytes > bytes_max {
        Some(Reason::OverSize)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_at_its_last_moment_or_over_the_size() {
        assert_eq!(reason(Millis(10), Millis(9), 5, 5), None);
        assert_eq!(reason(Millis(10), Millis(10), 5, 5), Some(Reason::Expired));
        assert_eq!(reason(Millis(10), Millis(9), 6, 5), Some(Reason::OverSize));
        assert_eq!(reason(Millis(10), Millis(10), 6, 5), Some(Reason::Expired));
    }
}
