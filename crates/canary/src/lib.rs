//! Bugs that can be planted on purpose, to see whether the simulator finds them.
//!
//! A checker that never fails proves nothing. So a few places of the real code ask here whether
//! they shall be wrong. Without the feature `planted` the answer is a constant, the compiler removes
//! the wrong branch, and nothing can be planted; `cargo xtask sim-apart` checks that the shipped
//! binary was built so.
//!
//! ```
//! assert!(!canary::sings(canary::Bug::SkipsTheDigest), "nothing is planted by itself");
//! ```

/// One way in which ghoard would be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// All credentials share one scope.
    ServesAcrossScopes = 1,
    /// An answer is served while either of its two clocks runs, not both.
    MixesTheClocks,
    /// An answer is served unmarked as long as it could be served stale.
    IgnoresExpiry,
    /// A body is taken for what its record says it is.
    SkipsTheDigest,
    /// A record is believed whoever made its tag.
    SkipsTheTag,
    /// What a refused credential was told stays.
    KeepsADroppedScope,
    /// An origin that fails is asked again and again for one client's request.
    RetriesWithoutEnd,
    /// A question that was answered stays in the table of those that are on their way.
    NeverLands,
    /// A task in the background panics.
    PanicsInATask,
    /// What is held is asked for without a validator.
    NeverValidates,
    /// What a credential was told of one key stays when GitHub denies it.
    KeepsADeniedKey,
    /// An owner keeps a lease whose holder is done.
    NeverReleasesALease,
    /// An owner takes its own question for somebody else's, and waits for itself.
    WaitsOnItself,
    /// A new neighbour is not told what is buried.
    LosesATombstone,
    /// A stop is not told to the other machines.
    KeepsAStopToItself,
    /// Of two answers to one question, the second one is counted as another.
    CountsAHedgeTwice,
    /// A place at a relay is taken to hold when the relay is gone.
    KeepsALostReservation,
    /// Of several connections to one peer none is closed.
    KeepsEveryConnection,
}

impl Bug {
    pub const ALL: [Self; 18] = [
        Self::ServesAcrossScopes,
        Self::MixesTheClocks,
        Self::IgnoresExpiry,
        Self::SkipsTheDigest,
        Self::SkipsTheTag,
        Self::KeepsADroppedScope,
        Self::RetriesWithoutEnd,
        Self::NeverLands,
        Self::PanicsInATask,
        Self::NeverValidates,
        Self::KeepsADeniedKey,
        Self::NeverReleasesALease,
        Self::WaitsOnItself,
        Self::LosesATombstone,
        Self::KeepsAStopToItself,
        Self::CountsAHedgeTwice,
        Self::KeepsALostReservation,
        Self::KeepsEveryConnection,
    ];

    /// The name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServesAcrossScopes => "serves-across-scopes",
            Self::MixesTheClocks => "mixes-the-clocks",
            Self::IgnoresExpiry => "ignores-expiry",
            Self::SkipsTheDigest => "skips-the-digest",
            Self::SkipsTheTag => "skips-the-tag",
            Self::KeepsADroppedScope => "keeps-a-dropped-scope",
            Self::RetriesWithoutEnd => "retries-without-end",
            Self::NeverLands => "never-lands",
            Self::PanicsInATask => "panics-in-a-task",
            Self::NeverValidates => "never-validates",
            Self::KeepsADeniedKey => "keeps-a-denied-key",
            Self::NeverReleasesALease => "never-releases-a-lease",
            Self::WaitsOnItself => "waits-on-itself",
            Self::LosesATombstone => "loses-a-tombstone",
            Self::KeepsAStopToItself => "keeps-a-stop-to-itself",
            Self::CountsAHedgeTwice => "counts-a-hedge-twice",
            Self::KeepsALostReservation => "keeps-a-lost-reservation",
            Self::KeepsEveryConnection => "keeps-every-connection",
        }
    }
}

/// Whether `bug` is planted in this process.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn sings(_bug: Bug) -> bool {
    false
}

/// Whether the member of this name behaves as the version before this one: it announces and pulls, and
/// knows of nothing else. No bug, but a fleet is upgraded machine by machine, and that has to be seen.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is_of_before(_member: &str) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use planted::{MARK, is_of_before, make_old, plant, sings};

#[cfg(feature = "planted")]
mod planted {
    use std::{
        collections::BTreeSet,
        sync::{
            Mutex, PoisonError,
            atomic::{AtomicBool, AtomicU8, Ordering},
        },
    };

    use super::Bug;

    /// In every binary that can be made wrong, and in no other.
    pub static MARK: &str = "this build of ghoard can be given bugs on purpose";

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Members that are old, and whether there ever were any.
    static OLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    static ANY_OLD: AtomicBool = AtomicBool::new(false);

    /// The member is of the version before from now on, or no longer.
    pub fn make_old(member: &str, is_old: bool) {
        let mut old = OLD.lock().unwrap_or_else(PoisonError::into_inner);
        if is_old {
            ANY_OLD.store(true, Ordering::Relaxed);
            old.insert(member.to_owned());
        } else {
            old.remove(member);
        }
    }

    /// Whether the member is of the version before.
    pub fn is_of_before(member: &str) -> bool {
        ANY_OLD.load(Ordering::Relaxed) && OLD.lock().unwrap_or_else(PoisonError::into_inner).contains(member)
    }

    /// Plants `bug` for the rest of the process. One at a time: the last one counts.
    pub fn plant(bug: Bug) {
        // Whoever can plant carries the mark.
        std::hint::black_box(MARK);
        PLANTED.store(bug as u8, Ordering::Relaxed);
    }

    /// Whether `bug` is planted in this process.
    pub fn sings(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8
    }
}
