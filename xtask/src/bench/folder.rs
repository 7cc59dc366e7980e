use std::path::PathBuf;

/// A folder of one run, which is removed with this value.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(bench: &str) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("ghoard-{bench}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
