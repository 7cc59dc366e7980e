//! Simulated clocks and randomness, under the names of the C library.
//!
//! The code under test asks `Instant`, `SystemTime` and `getrandom` as it always does. All of that
//! ends in two functions of the C library; a binary that links this crate has its own of that name,
//! which answer from a seed on the thread that called [`enable`], and as the kernel does on all others.
//!
//! The clock of a thread is that of the (paused) tokio runtime whose context it is in, and outside
//! of all runtimes what [`set_elapsed`] said last. A machine whose clock is wrong is modelled by
//! [`with_wall_offset`] around everything that it does.
//!
//! Not covered: direct system calls, `/dev/urandom`, other threads. Nothing that a world runs does
//! these; `ghoard-sim self-test` would notice.

mod interpose;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

/// When every world begins, in seconds since 1970: 2027-01-15 08:00 UTC.
pub const EPOCH_SECS: u64 = 1_800_000_000;

/// The monotonic clock at that moment: high enough to subtract from.
const MONOTONIC_ZERO: Duration = Duration::from_secs(100_000);

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    /// Guards against asking the runtime for the time while it asks us.
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static ZERO: Cell<Option<Instant>> = const { Cell::new(None) };
    static WALL_OFFSET_MS: Cell<i64> = const { Cell::new(0) };
}

/// Takes this thread out of real time, for good. Call it before anything on the thread has drawn a
/// random number or made a hash map: their keys are kept per thread.
pub fn enable(seed: u64) {
    RANDOM.set(seed ^ 0x6768_6f61_7264_2121);
    IS_ON.set(true);
    ZERO.set(Some(Instant::now()));
}

/// Says how long the world has been running, for code outside of every runtime.
pub fn set_elapsed(elapsed: Duration) {
    ELAPSED.set(elapsed);
}

/// How long the world has been running, as the code that runs now sees it.
pub fn elapsed() -> Duration {
    let Some(zero) = ZERO.get() else { return Duration::ZERO };
    if IS_BUSY.get() || Handle::try_current().is_err() {
        return ELAPSED.get();
    }
    IS_BUSY.set(true);
    let now = tokio::time::Instant::now().into_std();
    IS_BUSY.set(false);
    now.saturating_duration_since(zero)
}

/// Runs `work` on a machine whose wall clock is off by so many milliseconds.
pub fn with_wall_offset<R>(offset_ms: i64, work: impl FnOnce() -> R) -> R {
    struct Restore(i64);
    impl Drop for Restore {
        fn drop(&mut self) {
            WALL_OFFSET_MS.set(self.0);
        }
    }
    let _restore = Restore(WALL_OFFSET_MS.replace(offset_ms));
    work()
}

/// The kernel's own monotonic clock, whatever this thread believes: for progress and limits on work.
pub fn real_time() -> Duration {
    interpose::real_monotonic()
}

/// The wall clock of this thread.
fn wall() -> Duration {
    let offset = WALL_OFFSET_MS.get();
    let now = Duration::from_secs(EPOCH_SECS) + elapsed();
    let span = Duration::from_millis(offset.unsigned_abs());
    if offset < 0 { now.saturating_sub(span) } else { now + span }
}

/// The next number of the thread's stream (SplitMix64): for a world, never for a secret.
fn draw() -> u64 {
    let state = RANDOM.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    RANDOM.set(state);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
