//! What the store holds of the fleet's answers, page by page: a start waits for none but the newest.

use std::sync::Arc;

use futures::future::BoxFuture;
use store::{EntryKey, GetError, Space, Store, StoredRecord};
use task::Tasks;
use tracing::warn;
use wire::Millis;

use super::Sharing;
use crate::limits;

/// One record of the store, and whether its body is there too.
pub(super) struct Kept {
    pub at: EntryKey,
    pub stored: StoredRecord,
    pub body_held: bool,
}

pub(super) type Page = Vec<Kept>;

/// Newest first, as many as the index knows.
pub(super) struct Memories {
    store: Arc<dyn Store>,
    tasks: Tasks,
    space: Space,
    /// The last that was told.
    before: Option<(Millis, EntryKey)>,
    left: usize,
    reading: Option<BoxFuture<'static, Option<Result<Page, GetError>>>>,
}

impl Memories {
    pub fn new(sharing: &Sharing) -> Self {
        let space = if sharing.net.is_some() { Space::Fleet } else { Space::Local };
        let (store, tasks) = (sharing.store.clone(), sharing.tasks.clone());
        Self { store, tasks, space, before: None, left: fleet::limits::INDEX_ENTRIES_MAX, reading: None }
    }

    pub fn are_told(&self) -> bool {
        self.left == 0
    }

    /// The next page. Of a call that is given up nothing is lost: its page comes with the next.
    pub async fn next(&mut self) -> Page {
        let page_max = limits::REMEMBERED_AT_ONCE.min(self.left);
        let reading = match &mut self.reading {
            Some(reading) => reading,
            reading => reading.insert(read(self.store.clone(), self.tasks.clone(), self.space, self.before, page_max)),
        };
        let read = reading.await;
        self.reading = None;
        let page = match read {
            Some(Ok(page)) => page,
            Some(Err(error)) => {
                warn!(%error, "cannot read the fleet's records; going on without the rest of them");
                Page::new()
            }
            None => Page::new(),
        };
        self.left = if page.len() < page_max { 0 } else { self.left - page.len() };
        self.before = page.last().map(|kept| (kept.stored.record.validated_at, kept.at));
        page
    }
}

fn read(
    store: Arc<dyn Store>,
    tasks: Tasks,
    space: Space,
    before: Option<(Millis, EntryKey)>,
    max: usize,
) -> BoxFuture<'static, Option<Result<Page, GetError>>> {
    let read = move || {
        let newest = store.newest(space, before, max)?.into_iter();
        let kept = newest.map(|(at, stored)| {
            let body_held = store.has_body(&stored.record.version.digest)?;
            Ok(Kept { at, stored, body_held })
        });
        kept.collect()
    };
    Box::pin(async move { tasks.block(read).await })
}
