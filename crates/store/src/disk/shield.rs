//! Between redb and the device: after the first failed write, nothing more reaches the device.
//!
//! redb refuses every later call once a write has failed, reads too. So the shield hides the failure
//! from redb and remembers it: what is written from then on stays in memory, over the device as it
//! is. To the device a failed write looks as a loss of power at that moment would, which redb
//! survives; and a database can be opened, repaired and read on a device that cannot be written.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Device;

const BLOCK_BYTES: u64 = 4096;

/// One opening of a device. Clones share the state.
#[derive(Clone, Debug)]
pub(super) struct Shield {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: Arc<dyn Device>,
    is_frozen: AtomicBool,
    overlay: Mutex<Overlay>,
}

#[derive(Debug, Default)]
struct Overlay {
    cause: Option<(io::ErrorKind, String)>,
    blocks: BTreeMap<u64, Box<[u8]>>,
    len: u64,
    /// What of the device still shows through; less than its length after a cut.
    device_len: u64,
}

impl Shield {
    pub(super) fn new(device: Arc<dyn Device>) -> Self {
        Self { inner: Arc::new(Inner { device, is_frozen: AtomicBool::new(false), overlay: Mutex::default() }) }
    }

    /// Lets nothing more through; the first cause is kept.
    pub(super) fn freeze(&self, cause: &io::Error) {
        let mut overlay = self.overlay();
        if overlay.cause.is_none() {
            let len = self.inner.device.len().unwrap_or(0);
            *overlay = Overlay {
                cause: Some((cause.kind(), cause.to_string())),
                blocks: BTreeMap::new(),
                len,
                device_len: len,
            };
            self.inner.is_frozen.store(true, Ordering::Release);
        }
    }

    /// The first failure, if there was one.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.overlay().cause.as_ref().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }

    fn overlay(&self) -> MutexGuard<'_, Overlay> {
        self.inner.overlay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_frozen(&self) -> bool {
        self.inner.is_frozen.load(Ordering::Acquire)
    }

    /// Carries out `change` on the device if it may still be changed.
    fn try_device(&self, change: impl FnOnce(&dyn Device) -> io::Result<()>) -> bool {
        if self.is_frozen() {
            return false;
        }
        match change(&*self.inner.device) {
            Ok(()) => true,
            Err(cause) => {
                self.freeze(&cause);
                false
            }
        }
    }
}

impl Device for Shield {
    fn len(&self) -> io::Result<u64> {
        if self.is_frozen() { Ok(self.overlay().len) } else { self.inner.device.len() }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_frozen() {
            self.overlay().read(&*self.inner.device, offset, out)
        } else {
            self.inner.device.read(offset, out)
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !self.try_device(|device| device.set_len(len)) {
            self.overlay().set_len(len);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.try_device(Device::sync_data);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.try_device(|device| device.write(offset, data)) {
            return Ok(());
        }
        self.overlay().write(&*self.inner.device, offset, data)
    }
}

impl Overlay {
    fn read(&self, device: &dyn Device, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (block, start, part) in parts(offset, out.len()) {
            let out = &mut out[part];
            match self.blocks.get(&block) {
                Some(bytes) => out.copy_from_slice(&bytes[start..start + out.len()]),
                None => self.read_device(device, block * BLOCK_BYTES + start as u64, out)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, device: &dyn Device, offset: u64, data: &[u8]) -> io::Result<()> {
        self.len = self.len.max(offset + data.len() as u64);
        for (block, start, part) in parts(offset, data.len()) {
            let data = &data[part];
            if !self.blocks.contains_key(&block) {
                let mut bytes = vec![0; BLOCK_BYTES as usize].into_boxed_slice();
                if data.len() < bytes.len() {
                    self.read_device(device, block * BLOCK_BYTES, &mut bytes)?;
                }
                self.blocks.insert(block, bytes);
            }
            let bytes = self.blocks.get_mut(&block).expect("inserted above");
            bytes[start..start + data.len()].copy_from_slice(data);
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        self.device_len = self.device_len.min(len);
        self.blocks.retain(|block, _| block * BLOCK_BYTES < len);
        if let Some(last) = self.blocks.get_mut(&(len / BLOCK_BYTES)) {
            last[(len % BLOCK_BYTES) as usize..].fill(0);
        }
        self.len = len;
    }

    /// Reads the device, and zeros beyond what shows through.
    fn read_device(&self, device: &dyn Device, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.device_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (shown, zeros) = out.split_at_mut(there);
        zeros.fill(0);
        if shown.is_empty() { Ok(()) } else { device.read(offset, shown) }
    }
}

/// Cuts a range at block borders: (block, start in the block, part of the buffer).
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % BLOCK_BYTES) as usize;
        let part = done..len.min(done + BLOCK_BYTES as usize - start);
        done = part.end;
        (!part.is_empty()).then_some((at / BLOCK_BYTES, start, part))
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn after_a_failure_writes_are_seen_and_the_device_is_not_touched() {
        let device: Arc<dyn Device> = Arc::new(InMemoryBackend::new());
        device.set_len(10_000).unwrap();
        device.write(0, &[1; 10_000]).unwrap();
        let shield = Shield::new(Arc::clone(&device));
        shield.freeze(&io::Error::other("first"));
        shield.freeze(&io::Error::other("second"));
        assert_eq!(shield.failure().unwrap().to_string(), "first");

        shield.write(4000, &[2; 5000]).unwrap();
        shield.set_len(6000).unwrap();
        shield.set_len(12_000).unwrap();
        shield.sync_data().unwrap();
        let mut seen = vec![9; 12_000];
        shield.read(0, &mut seen).unwrap();
        let expected = [vec![1; 4000], vec![2; 2000], vec![0; 6000]].concat();
        assert!(seen == expected);
        assert!(shield.read(0, &mut [0; 12_001]).is_err());

        let mut kept = vec![0; 10_000];
        device.read(0, &mut kept).unwrap();
        assert!(kept == [1; 10_000]);
    }
}
