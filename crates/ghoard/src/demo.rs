//! A morning of a small fleet before a GitHub of our own: what reaches it, and what does not.

mod figures;
mod fleet;
mod scenes;
mod view;

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use fakehub::{Hub, Options, Token};
use gateway::HttpOrigin;
use task::Tasks;
use tokio::time::{Instant, sleep_until};

use crate::output;
use figures::Figures;
use fleet::Machine;
use view::View;

type Failure = Box<dyn std::error::Error>;

/// Below it the scenes overlap.
pub(crate) const SECONDS_MIN: u64 = 5;
pub(crate) const SECONDS_MAX: u64 = 3600;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How a client is known to GitHub. The jobs of a matrix have a token each, of one account.
const ACCOUNT_OF_JOBS: &str = "octocat";
const ACCOUNT_OF_DASHBOARDS: &str = "monalisa";

/// What `ghoard demo` was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demo {
    pub(crate) json: bool,
    pub(crate) seconds: u64,
}

/// Everything that the scenes play on, and that is watched.
struct Stage {
    hub: Arc<Mutex<Hub>>,
    machines: Vec<Machine>,
    client: HttpOrigin,
    began: Instant,
    length: Duration,
    /// Requests of the clients, and those among them that nobody answered well.
    asked: AtomicU64,
    refused: AtomicU64,
    events: Mutex<Vec<Event>>,
    is_over: AtomicBool,
    /// Say each event as it happens.
    says_events: bool,
}

/// Something that a person would notice.
#[derive(Clone, Debug)]
struct Event {
    at: Duration,
    what: String,
}

/// Plays the morning and prints what came of it. Ends by itself after about `seconds`.
pub(crate) async fn demo(demo: Demo) -> Result<(), Failure> {
    let tasks = Tasks::tokio();
    let mut hub = Hub::standard(7);
    for token in scenes::job_tokens() {
        hub.add_token(Token::new(token, ACCOUNT_OF_JOBS));
    }
    hub.add_token(Token::new(scenes::DASHBOARD_TOKEN, ACCOUNT_OF_DASHBOARDS));
    let hub = Arc::new(Mutex::new(hub));
    let github = fakehub::serve(&tasks, hub.clone(), Options { control: false }).await?;
    let machines = fleet::start(&tasks, &github.url()).await?;
    let is_live =
        !demo.json && std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|t| t != "dumb");
    let stage = Stage {
        hub,
        machines,
        client: HttpOrigin::new(REQUEST_TIMEOUT)?,
        began: Instant::now(),
        length: Duration::from_secs(demo.seconds.clamp(SECONDS_MIN, SECONDS_MAX)),
        asked: AtomicU64::default(),
        refused: AtomicU64::default(),
        events: Mutex::default(),
        is_over: AtomicBool::default(),
        says_events: !demo.json && !is_live,
    };
    if is_live {
        let mut view = View::default();
        let played = tokio::select! {
            played = scenes::play(&stage) => played,
            () = view.watch(&stage) => Ok(()),
        };
        view.draw(&stage);
        played?;
    } else {
        scenes::play(&stage).await?;
    }
    let figures = Figures::read(&stage);
    for machine in &stage.machines {
        machine.leave().await;
    }
    github.stop().await;
    if demo.json {
        output::data(&figures.to_json(&stage.events()).to_string());
    } else {
        figures.summary().iter().for_each(|line| output::data(line));
    }
    Ok(())
}

impl Stage {
    fn hub(&self) -> std::sync::MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn happens(&self, what: impl Into<String>) {
        let event = Event { at: self.began.elapsed(), what: what.into() };
        if self.says_events {
            output::data(&event.line());
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Waits until so much of the morning is over, 0 to 1.
    async fn until(&self, part: f64) {
        sleep_until(self.began + self.length.mul_f64(part)).await;
    }
}

impl Event {
    fn line(&self) -> String {
        format!("{:>5.1} s  {}", self.at.as_secs_f64(), self.what)
    }
}
