use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};

/// The timer of one connection's heads.
///
/// hyper makes a sleep for each head that it waits for, and drops it when the head is there. Each of
/// tokio's is entered into the runtime's wheel and taken out again under its lock; so here one alarm stays
/// in the wheel, and is set anew only when it rings before the head is late.
#[derive(Clone)]
pub(crate) struct HeadTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl HeadTimer {
    /// `patience` is how long its sleeps will be, or less.
    pub(crate) fn new(patience: Duration) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(patience)))))
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HeadSleep { alarm: self.clone(), deadline: deadline.into() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// One wait; only the last one made of a timer is waited for.
struct HeadSleep {
    alarm: HeadTimer,
    deadline: tokio::time::Instant,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.alarm.0.lock().expect("no panic while held");
        if alarm.deadline() > self.deadline {
            alarm.as_mut().reset(self.deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_WHILE: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn a_wait_does_not_end_with_the_one_before_it() {
        let timer = HeadTimer::new(A_WHILE);
        let mut first = timer.sleep(A_WHILE);
        assert!(futures::poll!(&mut first).is_pending());
        drop(first);
        tokio::time::sleep(A_WHILE / 2).await;
        let start = tokio::time::Instant::now();
        timer.sleep(A_WHILE).await;
        assert!(start.elapsed() >= A_WHILE);
    }

    #[tokio::test]
    async fn a_wait_that_is_shorter_than_the_alarm_ends_in_time() {
        let timer = HeadTimer::new(Duration::from_secs(3600));
        tokio::time::timeout(Duration::from_secs(60), timer.sleep(A_WHILE)).await.unwrap();
    }
}
