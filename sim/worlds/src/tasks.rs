//! The port for tasks: everything that a machine does runs here, and dies with it.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use task::Spawn;
use tokio::{runtime::Handle, task::AbortHandle};

use crate::{logs, plan::Layer, stage::Stage};

/// Tasks of one machine.
#[derive(Clone)]
pub struct MachineTasks {
    stage: Arc<Stage>,
    machine: u32,
}

impl MachineTasks {
    pub fn new(stage: Arc<Stage>, machine: u32) -> Self {
        Self { stage, machine }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the port that the ban points to")]
    fn start(&self, work: BoxFuture<'static, ()>) {
        // What is dropped in a crash may want to start something; the machine is gone by then.
        if Handle::try_current().is_err() || self.stage.machine(self.machine).alive().is_down {
            return;
        }
        let task = tokio::spawn(OnMachine::new(self.stage.clone(), self.machine, work));
        if self.stage.plan.layer == Layer::Bare {
            self.stage.machine(self.machine).alive().tasks.add(task.abort_handle());
        }
    }
}

impl Spawn for MachineTasks {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        self.start(work);
    }

    /// Inline, but at the next turn and after what the disk takes: never in the middle of its caller.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        let stage = self.stage.clone();
        let machine = self.machine;
        self.start(
            async move {
                let delay = stage.machine(machine).alive().disk_delay;
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                work();
            }
            .boxed(),
        );
    }

    fn spawn_compute(&self, work: Box<dyn FnOnce() + Send>) {
        self.start(async move { work() }.boxed());
    }
}

/// What has to end with a machine, where no host of turmoil's ends it.
#[derive(Default)]
pub struct Running {
    tasks: Vec<AbortHandle>,
    /// The length at which finished ones are taken out.
    prune_at: usize,
}

impl Running {
    fn add(&mut self, task: AbortHandle) {
        self.tasks.push(task);
        if self.tasks.len() > self.prune_at {
            self.tasks.retain(|task| !task.is_finished());
            self.prune_at = 2 * self.tasks.len() + 256;
        }
    }

    pub fn end(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

/// Work on a machine: under its clock, with its name on every log line, and not allowed to panic.
pub struct OnMachine<F> {
    stage: Arc<Stage>,
    machine: u32,
    work: Pin<Box<F>>,
}

impl<F> OnMachine<F> {
    pub fn new(stage: Arc<Stage>, machine: u32, work: F) -> Self {
        Self { stage, machine, work: Box::pin(work) }
    }
}

impl<F: Future<Output = ()>> Future for OnMachine<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let machine = this.stage.machine(this.machine);
        let work = &mut this.work;
        let poll = || catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let polled = logs::on_lane(machine.lane(), || det::with_wall_offset(machine.plan.clock_ms, poll));
        polled.unwrap_or_else(|_| {
            // tokio would swallow it.
            this.stage.violated(Some(machine.lane()), "panic", logs::last_panic());
            Poll::Ready(())
        })
    }
}
