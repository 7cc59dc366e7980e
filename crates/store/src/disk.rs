use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use wire::Millis;

use self::{batch::Batch, commit::Totals, handle::Handle, readers::Reader, tables::Snapshot};
use crate::{FlushError, FlushReport, GetError, OpenError, Stats, limits, store::Graves};

mod batch;
mod commit;
mod compact;
mod device;
mod handle;
mod readers;
mod serve;
mod shield;
mod tables;

pub use device::{Device, FileDevice};

/// What a [`DiskStore`] needs to know.
#[derive(Clone)]
pub struct DiskConfig {
    /// Records and bodies together, after a flush. The file is larger by redb's own pages.
    pub bytes_max: u64,
    /// Pages of the database that are held in memory.
    pub page_cache_bytes: usize,
    /// How much longer than [`limits::COMPACT_RATIO`] times its content the file may be.
    pub compact_slack_bytes: u64,
    /// 32 random bytes; they become [`Store::local_key`](crate::Store::local_key) if the store is new.
    pub entropy: [u8; 32],
}

impl DiskConfig {
    pub fn new(bytes_max: u64, entropy: [u8; 32]) -> Self {
        let (page_cache_bytes, compact_slack_bytes) = (limits::PAGE_CACHE_BYTES, limits::COMPACT_SLACK_BYTES);
        Self { bytes_max, page_cache_bytes, compact_slack_bytes, entropy }
    }
}

/// What was found when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    pub is_new: bool,
    /// The last run ended without closing the database.
    pub is_repaired: bool,
    pub entries: u64,
    pub bytes: u64,
    pub set_aside: Option<SetAside>,
}

/// A corrupt database that was moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    pub path: PathBuf,
    pub why: String,
}

/// The durable store, on any [`Device`].
///
/// Changes wait in memory until a flush commits them together. When the device fails, the database
/// is opened again over what the device still holds, reads go on, and every
/// [`limits::RETRY_AFTER`] a flush tries to write again.
pub struct DiskStore {
    device: Mutex<Arc<dyn Device>>,
    /// Puts another device in the place of one whose content is beyond repair.
    exchange: Option<Box<Exchange>>,
    config: DiskConfig,
    local_key: [u8; 32],
    /// `None` while the device cannot even be read.
    handle: RwLock<Option<Handle>>,
    state: Mutex<State>,
    /// Held during a flush: one at a time.
    flushing: Mutex<()>,
    /// The database failed in some call: it is to be opened again.
    is_suspect: AtomicBool,
    /// The database contradicted itself: all of it is to be read when it is opened again.
    is_contradictory: AtomicBool,
    /// Somebody looked something up since the last flush.
    is_asked: AtomicBool,
    /// A record could not be decoded: the next flush derives everything anew.
    is_damaged: AtomicBool,
}

#[derive(Default)]
struct State {
    pending: Batch,
    /// What is being committed right now, still visible.
    committing: Option<Arc<Batch>>,
    /// Counts the changes, to know the older of two.
    order: u64,
    stats: Stats,
    /// All tombstones, whether committed or not.
    graves: Graves,
    retry_at: Millis,
    /// Since this flush nobody has put or looked up anything.
    quiet_since: Option<Millis>,
    compact_at: Millis,
}

/// Moves the database out of the way, and returns an empty device in its place and where it is now.
pub(crate) type Exchange = dyn Fn(Millis) -> Result<(Box<dyn Device>, PathBuf), OpenError> + Send + Sync;

impl DiskStore {
    /// Opens the store on `device`, creating it if the device is empty.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] for content that is no database: the caller sets it aside.
    pub fn open(device: Box<dyn Device>, config: DiskConfig, now: Millis) -> Result<(Self, OpenReport), OpenError> {
        let device: Arc<dyn Device> = device.into();
        let (handle, is_repaired) = Handle::open(&device, config.page_cache_bytes)?;
        let found = guarded(|| handle.found()).map_err(|why| OpenError::Corrupt { why })??;
        let is_new = found.is_none();
        let (local_key, totals, graves) = match found {
            Some(found) => found,
            None => {
                handle.create(&config.entropy).map_err(|cause| OpenError::Database(Box::new(cause)))?;
                (config.entropy, Totals::default(), Graves::new())
            }
        };
        if let Some(cause) = handle.shield.failure() {
            return Err(OpenError::Device(cause));
        }
        let report = OpenReport { is_new, is_repaired, entries: totals.entries, bytes: totals.bytes, set_aside: None };
        let stats = Stats { entries: totals.entries, bytes: totals.bytes, ..Stats::default() };
        let store = Self {
            device: Mutex::new(device),
            exchange: None,
            config,
            local_key,
            handle: RwLock::new(Some(handle)),
            state: Mutex::new(State { stats, graves, retry_at: now, ..State::default() }),
            flushing: Mutex::default(),
            is_suspect: AtomicBool::new(false),
            is_contradictory: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
        };
        Ok((store, report))
    }

    /// From now on a database that turns out damaged as a whole is exchanged for a new one.
    #[must_use]
    pub(crate) fn with_exchange(self, exchange: Box<Exchange>) -> Self {
        Self { exchange: Some(exchange), ..self }
    }

    /// Names the database in whose place this one was opened.
    pub(crate) fn note_set_aside(&self, set_aside: SetAside) {
        self.state().stats.set_aside = Some(set_aside);
    }

    fn flush_pending(&self, now: Millis) -> Result<FlushReport, FlushError> {
        let _one_at_a_time = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = {
            let mut state = self.state();
            let batch = Arc::new(std::mem::take(&mut state.pending));
            state.committing = Some(Arc::clone(&batch));
            batch
        };
        let is_damaged = self.is_damaged.swap(false, Ordering::AcqRel);
        let result = match self.recover(now) {
            Ok(()) => {
                self.commit(&batch, is_damaged, now).inspect_err(|_| self.is_suspect.store(true, Ordering::Release))
            }
            Err(error) => Err(error),
        };
        match result {
            Ok((report, totals)) => {
                let mut state = self.state();
                state.committing = None;
                if let Some(totals) = totals {
                    (state.stats.entries, state.stats.bytes) = (totals.entries, totals.bytes);
                }
                state.stats.expirations += report.expired as u64;
                state.stats.evictions += report.evicted as u64;
                state.stats.damaged += report.damaged as u64;
                state.stats.degraded = None;
                let is_busy = self.is_asked.swap(false, Ordering::AcqRel) || !batch.is_empty();
                state.quiet_since = state.quiet_since.filter(|since| !is_busy && *since <= now).or(Some(now));
                drop(state);
                self.compact(now);
                Ok(report)
            }
            Err(mut error) => {
                self.is_damaged.fetch_or(is_damaged, Ordering::AcqRel);
                let is_tried = !matches!(error, FlushError::Degraded { .. });
                if is_tried && self.is_suspect.load(Ordering::Acquire) {
                    // What the failed commit left on the device is known only by reading it again.
                    error = self.reopen(now).map_or(error, FlushError::SetAside);
                }
                self.take_back(&batch);
                if is_tried && !matches!(error, FlushError::SetAside(_)) {
                    let mut state = self.state();
                    state.stats.degraded = Some(chain(&error));
                    state.retry_at = now.after(limits::RETRY_AFTER);
                }
                Err(error)
            }
        }
    }

    /// Makes sure that there is a database which can be written, as far as is known.
    fn recover(&self, now: Millis) -> Result<(), FlushError> {
        {
            let state = self.state();
            // A clock that was set back must not put the next try off for long.
            let is_soon = state.retry_at > now && state.retry_at <= now.after(limits::RETRY_AFTER);
            if let (true, Some(why)) = (is_soon, &state.stats.degraded) {
                return Err(FlushError::Degraded { why: why.clone() });
            }
        }
        let is_usable = !self.is_suspect.load(Ordering::Acquire)
            && self.handle().as_ref().is_some_and(|h| h.shield.failure().is_none());
        if is_usable {
            return Ok(());
        }
        if let Some(set_aside) = self.reopen(now) {
            return Err(FlushError::SetAside(set_aside));
        }
        match &*self.handle() {
            None => Err(FlushError::Device(io::Error::other("the database cannot be opened"))),
            Some(handle) => handle.shield.failure().map_or(Ok(()), |cause| Err(FlushError::Device(cause))),
        }
    }

    fn commit(
        &self,
        batch: &Batch,
        is_damaged: bool,
        now: Millis,
    ) -> Result<(FlushReport, Option<Totals>), FlushError> {
        let handle = self.handle();
        let handle = handle.as_ref().expect("recovery was the step before, and only a flush opens again");
        let committed = guarded(|| {
            if batch.is_empty() && !is_damaged && !self.has_removals(handle, now)? {
                return Ok((FlushReport::default(), None));
            }
            let (report, totals) =
                handle.write(|writer| writer.flush(batch, is_damaged, now, self.config.bytes_max))?;
            Ok((report, Some(totals)))
        });
        // A failure below comes first: redb was not told of it.
        if let Some(cause) = handle.shield.failure() {
            return Err(FlushError::Device(cause));
        }
        let committed = committed.map_err(|why| {
            self.is_contradictory.store(true, Ordering::Release);
            FlushError::Inconsistent { why }
        })?;
        committed.map_err(|cause: redb::Error| {
            self.is_contradictory.fetch_or(matches!(cause, redb::Error::Corrupted(_)), Ordering::AcqRel);
            FlushError::Commit(Box::new(cause))
        })
    }

    fn has_removals(&self, handle: &Handle, now: Millis) -> Result<bool, redb::Error> {
        let first = Snapshot::of(&handle.database)?.first_expiry()?;
        Ok(first.is_some_and(|at| at <= now) || self.state().stats.bytes > self.config.bytes_max)
    }

    /// Puts a batch that was not committed back under what came since, within its bound.
    fn take_back(&self, batch: &Arc<Batch>) {
        let is_held = |space, key: &crate::EntryKey| self.look(|reader| reader.has_record(space, key)).unwrap_or(true);
        let mut state = self.state();
        state.committing = None;
        let newer = std::mem::take(&mut state.pending);
        state.pending = Batch::clone(batch).under(newer);
        state.stats.dropped += state.pending.shrink(is_held);
    }

    /// Opens the database again over what the device holds now. Reads wait meanwhile.
    ///
    /// Returns what was set aside, if nothing of it could be used.
    fn reopen(&self, now: Millis) -> Option<SetAside> {
        let is_contradictory = self.is_contradictory.swap(false, Ordering::AcqRel);
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Handle { readers, database, shield }) = handle.take() {
            readers.renew();
            shield.freeze(&io::Error::other("the database was opened again"));
            // Closing writes, into the shield; redb may stumble over a contradiction once more.
            let _ = guarded(move || drop(database));
        }
        self.is_suspect.store(false, Ordering::Release);
        let device = Arc::clone(&self.device.lock().unwrap_or_else(PoisonError::into_inner));
        let opened = Handle::open(&device, self.config.page_cache_bytes).map(|(opened, _)| opened);
        match opened.and_then(|opened| if is_contradictory { opened.checked() } else { Ok(opened) }) {
            Ok(opened) => *handle = Some(opened),
            Err(OpenError::Corrupt { why }) => {
                let (afresh, path) = self.begin_afresh(now).ok()?;
                *handle = Some(afresh);
                let set_aside = SetAside { path, why };
                self.note_set_aside(set_aside.clone());
                return Some(set_aside);
            }
            Err(_) => {}
        }
        None
    }

    /// An empty database in the place of this one, with the same local key and tombstones.
    fn begin_afresh(&self, now: Millis) -> Result<(Handle, PathBuf), OpenError> {
        let no_exchange = || OpenError::Corrupt { why: "there is nothing to put in its place".into() };
        let (device, path) = self.exchange.as_ref().ok_or_else(no_exchange)?(now)?;
        let device: Arc<dyn Device> = device.into();
        let (handle, _) = Handle::open(&device, self.config.page_cache_bytes)?;
        handle.create(&self.local_key).map_err(|cause| OpenError::Database(Box::new(cause)))?;
        *self.device.lock().unwrap_or_else(PoisonError::into_inner) = device;
        let mut state = self.state();
        (state.stats.entries, state.stats.bytes) = (0, 0);
        let graves: Vec<_> = state.graves.iter().map(|(grave, buried)| (*grave, Some(*buried))).collect();
        state.pending.graves.extend(graves);
        Ok((handle, path))
    }

    /// Asks any of the tables.
    fn read<T>(&self, ask: impl FnOnce(&Snapshot) -> Result<T, redb::Error>) -> Result<T, GetError> {
        self.guarded_read(|handle| ask(&Snapshot::of(&handle.database)?))
    }

    /// Asks for records and bodies, whose tables are open already.
    fn look<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, redb::Error>) -> Result<T, GetError> {
        self.is_asked.store(true, Ordering::Release);
        self.guarded_read(|handle| handle.readers.with(&handle.database, ask))
    }

    fn guarded_read<T>(&self, ask: impl FnOnce(&Handle) -> Result<T, redb::Error>) -> Result<T, GetError> {
        let handle = self.handle();
        let handle = handle.as_ref().ok_or(GetError::Closed)?;
        let answer = guarded(|| ask(handle));
        let answer = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(cause)) => {
                self.is_contradictory.fetch_or(matches!(cause, redb::Error::Corrupted(_)), Ordering::AcqRel);
                GetError::Read(Box::new(cause))
            }
            Err(why) => {
                self.is_contradictory.store(true, Ordering::Release);
                GetError::Inconsistent { why }
            }
        };
        self.is_suspect.store(true, Ordering::Release);
        Err(answer)
    }

    fn handle(&self) -> std::sync::RwLockReadGuard<'_, Option<Handle>> {
        self.handle.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// redb panics where a database contradicts itself; here that is an error like others.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words").to_owned()
    })
}

/// The error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
