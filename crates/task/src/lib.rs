//! How every crate starts work: one port for tasks and for blocking calls.
//!
//! Production fills it with tokio's runtime; the simulator with the tasks of one simulated machine,
//! which die with it. Nothing else may start a task or a thread (`clippy.toml` holds the ban).

use std::sync::Arc;

use futures::{FutureExt, channel::oneshot, future::BoxFuture};

/// A spawner and a way to block.
pub trait Spawn: Send + Sync + 'static {
    /// Runs `work` to its end, or until the machine dies.
    fn spawn(&self, work: BoxFuture<'static, ()>);

    /// Runs `work`, which may block on a disk, away from the tasks.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Runs `work`, which takes its time but waits for nothing, away from the tasks.
    fn spawn_compute(&self, work: Box<dyn FnOnce() + Send>) {
        self.spawn_blocking(work);
    }
}

/// A cheap handle to a [`Spawn`].
#[derive(Clone)]
pub struct Tasks(Arc<dyn Spawn>);

impl Tasks {
    pub fn new(spawn: impl Spawn) -> Self {
        Self(Arc::new(spawn))
    }

    /// Tasks of the tokio runtime in whose context they are started.
    pub fn tokio() -> Self {
        Self::new(Tokio)
    }

    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work.boxed());
    }

    /// Runs `work` where it may block, and returns what it returns.
    ///
    /// `None` if the machine went down before it ended.
    pub fn block<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Option<R>> + Send + 'static {
        let (work, result) = answered(work);
        self.0.spawn_blocking(work);
        result
    }

    /// The same for work that only computes: hashing, packing, sealing. A disk that hangs does not hold it up.
    pub fn compute<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> impl Future<Output = Option<R>> + Send + 'static {
        let (work, result) = answered(work);
        self.0.spawn_compute(work);
        result
    }
}

/// The work, and what it will return.
fn answered<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> (Box<dyn FnOnce() + Send>, impl Future<Output = Option<R>> + Send + 'static) {
    let (done, result) = oneshot::channel();
    let work = Box::new(move || {
        let _ = done.send(work());
    });
    (work, result.map(Result::ok))
}

struct Tokio;

#[expect(clippy::disallowed_methods, reason = "this is the port that the ban points to")]
impl Spawn for Tokio {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }
}
