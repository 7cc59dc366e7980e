use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use super::Rival;
use crate::{Failure, entries::Entry};

/// One file for each entry, synced before the next is written.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn make(path: &Path) -> Result<Box<dyn Rival>, Failure> {
        let path = path.join("files");
        std::fs::create_dir(&path)?;
        Ok(Box::new(Self(path)))
    }

    fn path(&self, entry: &Entry) -> PathBuf {
        let name: String = entry.key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.join(name)
    }
}

impl Rival for Files {
    fn put_all(&self, entries: &[Entry]) {
        for entry in entries {
            let mut file = File::create(self.path(entry)).expect("the disk is written");
            file.write_all(&entry.record_bytes).expect("the disk is written");
            file.write_all(&entry.body.encoded).expect("the disk is written");
            file.sync_data().expect("the disk is written");
        }
    }

    fn get(&self, entry: &Entry) -> usize {
        std::fs::read(self.path(entry)).expect("it was put").len()
    }
}
