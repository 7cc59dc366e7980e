//! A disk that can lose power: what was written and not synced survives by sectors, or not.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::Device;

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// A disk in memory. It outlives the machine that it is plugged into: clones are the same disk.

#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors of `current` that were written since the last sync.
    dirty: BTreeSet<usize>,
    /// Grows with each loss of power; older plugs get errors.
    generation: u64,
    writes: u64,
    power_until: Option<u64>,
    refuses_writes: bool,
    refuses_reads: bool,
    lies_about_sync: bool,
    random: u64,
}

/// The disk as one opening of it sees it.
#[derive(Debug)]
pub struct Plug {
    disk: SimDisk,
    generation: u64,
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            current: vec![],
            durable: vec![],
            dirty: BTreeSet::new(),
            generation: 0,
            writes: 0,
            power_until: None,
            refuses_writes: false,
            refuses_reads: false,
            lies_about_sync: false,
            random: seed,
        })))
    }

    pub fn plug_in(&self) -> Plug {
        Plug { disk: self.clone(), generation: self.state().generation }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, cuts and syncs so far.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Every call fails from the `n`-th write on, that one included.
    pub fn cut_at_write(&self, n: u64) {
        self.state().power_until = Some(n);
    }

    /// Whether the write came at which every call fails.
    pub fn is_cut(&self) -> bool {
        self.state().is_cut()
    }

    /// Whether something was written and not synced.
    pub fn is_dirty(&self) -> bool {
        !self.state().dirty.is_empty()
    }

    /// The process that had it open is gone without a word. What it wrote is there: the machine is up.
    pub fn kill(&self) {
        self.state().generation += 1;
    }

    /// Each sector that was not synced survives with probability one half.
    pub fn lose_power(&self) {
        let mut state = self.state();
        let state = &mut *state;
        if state.durable.len() != state.current.len() && state.flip() {
            resize(&mut state.durable, state.current.len());
        }
        for sector in std::mem::take(&mut state.dirty) {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(state.durable.len()).min(state.current.len());
            if start < end && state.flip() {
                state.durable[start..end].copy_from_slice(&state.current[start..end]);
            }
        }
        state.current = state.durable.clone();
        state.generation += 1;
        state.power_until = None;
    }

    pub fn refuse_writes(&self, refuse: bool) {
        self.state().refuses_writes = refuse;
    }

    pub fn refuse_reads(&self, refuse: bool) {
        self.state().refuses_reads = refuse;
    }

    pub fn lie_about_sync(&self) {
        self.state().lies_about_sync = true;
    }

    pub fn image(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    /// Replaces every `from` that is on the disk.
    pub fn damage(&self, from: &[u8], to: &[u8]) -> usize {
        let mut state = self.state();
        let image = &mut state.current;
        let hits: Vec<_> =
            image.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
        for at in &hits {
            image[*at..*at + to.len()].copy_from_slice(to);
        }
        hits.len()
    }
}

impl State {
    fn is_cut(&self) -> bool {
        self.power_until.is_some_and(|until| self.writes >= until)
    }

    fn flip(&mut self) -> bool {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 63 == 1
    }

    fn take_write(&mut self) -> io::Result<()> {
        if self.refuses_writes {
            return Err(io::Error::other("the disk is full"));
        }
        self.writes += 1;
        Ok(())
    }
}

/// `Vec::resize` goes byte by byte in a build for tests.
fn resize(bytes: &mut Vec<u8>, len: usize) {
    bytes.truncate(len);
    bytes.extend_from_slice(&vec![0; len - bytes.len()]);
}

impl Plug {
    fn with<T>(&self, call: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.is_cut() || state.generation != self.generation {
            return Err(io::Error::other("no power"));
        }
        call(&mut state)
    }
}

impl Device for Plug {
    fn len(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.current.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state| {
            if state.refuses_reads {
                return Err(io::Error::other("unreadable"));
            }
            let from = state.current.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            state.take_write()?;
            resize(&mut state.current, len as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            state.take_write()?;
            if !state.lies_about_sync {
                let len = state.current.len();
                resize(&mut state.durable, len);
                for sector in std::mem::take(&mut state.dirty) {
                    let (start, end) = ((sector * SECTOR).min(len), ((sector + 1) * SECTOR).min(len));
                    state.durable[start..end].copy_from_slice(&state.current[start..end]);
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|state| {
            state.take_write()?;
            let (start, end) = (offset as usize, offset as usize + data.len());
            if end > state.current.len() {
                resize(&mut state.current, end);
            }
            state.current[start..end].copy_from_slice(data);
            state.dirty.extend(start / SECTOR..end.div_ceil(SECTOR));
            Ok(())
        })
    }
}
