use std::path::Path;

use store::{CacheDir, DiskConfig, DiskStore, Space, Store};
use wire::Millis;

use super::Rival;
use crate::{Failure, entries::Entry};

/// The durable tier as the daemon opens it.
pub(crate) struct Ours {
    pub(crate) store: DiskStore,
    /// Must outlive the store.
    pub(crate) dir: CacheDir,
}

impl Ours {
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Self, Failure> {
        let dir = CacheDir::prepare(&path.join("ghoard"))?;
        let (store, _) = dir.open_store(DiskConfig::new(bytes_max, [7; 32]), Millis(0))?;
        Ok(Self { store, dir })
    }

    pub(crate) fn make(path: &Path) -> Result<Box<dyn Rival>, Failure> {
        Ok(Box::new(Self::open(path, 1 << 40)?))
    }
}

impl Rival for Ours {
    fn put_all(&self, entries: &[Entry]) {
        for entry in entries {
            let put = self.store.put(Space::Local, entry.key, entry.stored.clone(), Some(entry.body.clone()));
            put.expect("a window holds less than may wait");
        }
        self.store.flush(Millis(0)).expect("the disk is written");
    }

    fn get(&self, entry: &Entry) -> usize {
        let (record, body) = self.store.load(Space::Local, &entry.key).expect("the disk is read").expect("it was put");
        record.record.headers.len() + body.encoded.len()
    }
}
