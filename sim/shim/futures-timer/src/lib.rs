//! futures-timer's interface over tokio's clock.
//!
//! libp2p waits with futures-timer, whose helper thread counts real time. Here its delays count the
//! time of the runtime that they are polled in, which in a simulated world is simulated.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep_until},
};

/// Longer than any world, and far from the end of what an instant can hold.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A future that ends after a while.
#[must_use = "futures do nothing unless polled"]
pub struct Delay {
    span: Duration,
    /// Armed at the first poll where it was made outside of a runtime: libp2p does that.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Delay {
    pub fn new(span: Duration) -> Self {
        let sleep = Handle::try_current().is_ok().then(|| armed(span));
        Self { span, sleep }
    }

    /// Starts it anew, from now.
    pub fn reset(&mut self, span: Duration) {
        *self = Self::new(span);
    }
}

fn armed(span: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(Instant::now() + span.min(FAR)))
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let span = self.span;
        self.sleep.get_or_insert_with(|| armed(span)).as_mut().poll(context)
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").field("span", &self.span).finish_non_exhaustive()
    }
}
