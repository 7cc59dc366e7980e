use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use github::{Aliases, Ask, Family, Touches};
use wire::Record;

/// The names of repositories that clients ask for by number, by site: the same number at two sites
/// is two repositories.
#[derive(Default)]
pub struct Names(Mutex<BTreeMap<String, Aliases>>);

impl Names {
    /// Learns from an answer of the origin.
    pub fn learn(&self, ask: &Ask, record: &Record, body: &[u8]) {
        let link = record.header("link").and_then(|link| std::str::from_utf8(link).ok());
        self.lock().entry(ask.host.clone()).or_default().learn(&ask.target, link, body);
    }

    /// Gives a question that names a repository by number the family of that repository.
    pub fn resolve(&self, ask: &mut Ask) {
        if by_number(ask)
            && let Some(aliases) = self.lock().get(&ask.host)
        {
            ask.family = Family::resolved(&ask.host, &ask.target, aliases);
        }
    }

    /// A write that touches everything may be one that renames.
    pub fn written(&self, touches: &Touches) {
        if *touches == Touches::Everything {
            self.lock().clear();
        }
    }

    /// What of an answer's headers another credential may see.
    pub fn crossing(&self, ask: &Ask, base: &str, record: &Record) -> Option<Vec<wire::Header>> {
        let names = self.lock();
        let none = Aliases::default();
        github::crossing_headers(ask, base, names.get(&ask.host).unwrap_or(&none), &record.headers)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Aliases>> {
        self.0.lock().expect("no panic while held")
    }
}

/// Whether a question names its repository by number.
pub fn by_number(ask: &Ask) -> bool {
    ask.target.path().starts_with("/repositories/")
}
