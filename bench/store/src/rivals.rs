//! ghoard's tiers, and what people would use instead of each.

mod bare_redb;
mod files;
mod memory;
mod ours;

pub(crate) use self::{
    bare_redb::BareRedb,
    files::Files,
    memory::{BareMemory, OurMemory},
    ours::Ours,
};
use crate::{Failure, entries::Entry};

/// What keeps entries. Calls panic where the rival fails: a bench that failed has no figures.
pub(crate) trait Rival: Sync {
    /// Keeps all of `entries`; they are durable on return, where the rival is durable at all.
    fn put_all(&self, entries: &[Entry]);

    /// Returns how many bytes of record and body came back, owned or shared, ready for use.
    fn get(&self, entry: &Entry) -> usize;
}

/// Makes a rival of its own in an empty directory.
pub(crate) type Make = fn(&std::path::Path) -> Result<Box<dyn Rival>, Failure>;
