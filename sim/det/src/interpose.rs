//! The two functions themselves. A symbol of the binary comes before the C library's.

use std::{ffi::c_void, time::Duration};

use libc::{c_int, c_long, c_uint, clockid_t, size_t, ssize_t, timespec};

use crate::{IS_ON, MONOTONIC_ZERO, draw, elapsed, wall};

/// As in getrandom(2).
///
/// # Safety
/// `buffer` must be valid for writes of `len` bytes, as the C library's own function demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, len: size_t, flags: c_uint) -> ssize_t {
    if !IS_ON.get() {
        // SAFETY: the caller's arguments, handed on to the kernel.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, len, flags) as ssize_t };
    }
    // SAFETY: the caller promises that `len` bytes may be written.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len) };
    for chunk in bytes.chunks_mut(8) {
        let number = draw().to_le_bytes();
        chunk.copy_from_slice(&number[..chunk.len()]);
    }
    len as ssize_t
}

/// As in clock_gettime(2). Clocks of processor time stay real.
///
/// # Safety
/// `time` must be valid for a write, as the C library's own function demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let simulated = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => IS_ON.get().then(wall),
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_RAW | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME => {
            IS_ON.get().then(|| MONOTONIC_ZERO + elapsed())
        }
        _ => None,
    };
    let Some(now) = simulated else {
        // SAFETY: the caller's arguments, handed on to the kernel.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int };
    };
    // SAFETY: the caller promises that a time may be written there.
    unsafe {
        (*time).tv_sec = now.as_secs() as libc::time_t;
        (*time).tv_nsec = c_long::from(now.subsec_nanos() as i32);
    }
    0
}

pub(crate) fn real_monotonic() -> Duration {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
