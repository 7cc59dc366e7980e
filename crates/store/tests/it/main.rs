//! The store as the node sees it, on disks that lose power, refuse writes or lie.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, helpers included")]

mod crash;
mod failing;
mod files;
mod limits;
mod reopen;
mod same;

use store::{DiskConfig, DiskStore, MemoryStore};
use wire::Millis;

use store::sim_disk::SimDisk;

const BYTES_MAX: u64 = 1_000_000;
const NOW: Millis = Millis(0);

fn config() -> DiskConfig {
    DiskConfig::new(BYTES_MAX, [7; 32])
}

fn open(disk: &SimDisk) -> DiskStore {
    DiskStore::open(Box::new(disk.plug_in()), config(), NOW).unwrap().0
}

#[test]
fn the_memory_store_keeps_the_promises() {
    store::conformance::check(|| Box::new(MemoryStore::new(BYTES_MAX, [7; 32])));
}

#[test]
fn the_disk_store_keeps_the_promises() {
    store::conformance::check(|| Box::new(open(&SimDisk::new(1))));
}
