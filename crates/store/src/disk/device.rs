use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::FileExt,
};

/// What the durable store needs from the world: bytes at offsets, and a barrier.
///
/// The port of this crate. Tests fill it with a disk that loses power.
pub use redb::StorageBackend as Device;

/// A file, locked as long as it is open.
///
/// Reads and writes name their offset and share no position, so that a reader does not wait for
/// another's `fsync`; redb's own backend holds one lock over all of them.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
}

impl FileDevice {
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process has locked the file.
    pub fn new(file: File) -> io::Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(cause)) => Err(cause),
        }
    }
}

impl Device for FileDevice {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
