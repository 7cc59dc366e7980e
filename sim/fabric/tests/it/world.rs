//! A driver for the stories: an executor of a few lines that runs the tasks and moves the time.

use std::{
    cell::RefCell,
    net::SocketAddrV4,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use fabric::{Link, MachineId, Network, Stream};
use futures::{AsyncReadExt, AsyncWriteExt};

pub const PORT: u16 = 4001;
pub const LATENCY: Duration = Duration::from_millis(20);

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Two machines, a and b, and what runs on them.
pub struct World {
    pub network: Network,
    pub a: MachineId,
    pub b: MachineId,
    tasks: Vec<Task>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

/// A waker that remembers.
pub struct Woken(pub AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a task has returned, if it has.
pub struct Outcome<T>(Rc<RefCell<Option<T>>>);

impl<T> Outcome<T> {
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }
}

impl World {
    pub fn new() -> Self {
        Self::with_link(Link { latency: LATENCY, ..Link::default() })
    }

    pub fn with_link(link: Link) -> Self {
        Self::with_seed(7, link)
    }

    pub fn with_seed(seed: u64, link: Link) -> Self {
        let network = Network::new(seed, link);
        let (a, b) = (network.add_machine([50, 0, 0, 1].into()), network.add_machine([50, 0, 0, 2].into()));
        Self { network, a, b, tasks: Vec::new() }
    }

    pub fn at(&self, machine: MachineId) -> SocketAddrV4 {
        SocketAddrV4::new(self.network.ip(machine), PORT)
    }

    /// A stream from a to b, and its other end.
    pub fn pair(&mut self) -> (Stream, Stream) {
        let mut listener = self.network.listen(self.b, PORT).unwrap();
        let dial = self.network.dial(self.a, self.at(self.b));
        let accepted = self.spawn(async move { listener.accept().await.unwrap() });
        let dialled = self.spawn(async move { dial.await.unwrap() });
        (self.finish(&dialled), self.finish(&accepted))
    }

    pub fn spawn<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> Outcome<T> {
        let slot = Rc::new(RefCell::new(None));
        let outcome = Outcome(slot.clone());
        let future = Box::pin(async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        self.tasks.push(Task { future, woken: Arc::new(Woken(true.into())) });
        self.run_tasks();
        outcome
    }

    fn run_tasks(&mut self) {
        while self.tasks.iter().any(|task| task.woken.0.load(Ordering::Relaxed)) {
            self.tasks.retain_mut(|task| {
                if !task.woken.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                let waker = Waker::from(task.woken.clone());
                task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
        }
    }

    /// To the next event.
    fn step(&mut self, next: Duration) {
        self.network.advance(next);
        self.run_tasks();
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.network.now() + time;
        self.run_tasks();
        while let Some(next) = self.network.next_event().filter(|next| *next <= until) {
            self.step(next);
        }
        self.step(until);
    }

    /// Until the task has ended.
    pub fn finish<T>(&mut self, outcome: &Outcome<T>) -> T {
        loop {
            self.run_tasks();
            if let Some(value) = outcome.take() {
                return value;
            }
            let next = self.network.next_event().expect("the task ends before nothing happens any more");
            self.step(next);
        }
    }

    /// Until nothing happens any more.
    pub fn quiesce(&mut self) {
        self.run_tasks();
        while let Some(next) = self.network.next_event() {
            self.step(next);
        }
    }

    /// Drops what runs, as the end of its process would.
    pub fn end_tasks(&mut self) {
        self.tasks.clear();
    }

    pub fn block_both(&self, blocked: bool) {
        self.network.block(self.a, self.b, blocked);
        self.network.block(self.b, self.a, blocked);
    }

    pub fn set_both(&self, link: Link) {
        self.network.set_link(self.a, self.b, link);
        self.network.set_link(self.b, self.a, link);
    }
}

/// Bytes of which no two places look alike.
pub fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes as u64 / 8 + 1)
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(bytes)
        .collect()
}

pub async fn send(mut stream: Stream, bytes: Vec<u8>) -> std::io::Result<Stream> {
    stream.write_all(&bytes).await?;
    Ok(stream)
}

/// Up to the end. (`read_to_end` clears its buffer anew after each wait.)
pub async fn receive(mut stream: Stream) -> std::io::Result<(Vec<u8>, Stream)> {
    let (mut bytes, mut part) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match stream.read(&mut part).await? {
            0 => return Ok((bytes, stream)),
            count => bytes.extend_from_slice(&part[..count]),
        }
    }
}

pub async fn receive_exact(mut stream: Stream, count: usize) -> std::io::Result<(Vec<u8>, Stream)> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await?;
    Ok((bytes, stream))
}
