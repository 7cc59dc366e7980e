//! Who asks what: the days that the table is made of. What each is in words, `docs/SAVINGS.md` says.

use std::time::Duration;

use super::trace::{Asked, Poll, Presence, REPOS, Trace};
use crate::draw::Stream;

/// What a dashboard, or a job, looks at of a repository.
const KINDS: [&str; 8] =
    ["", "/actions/runs", "/actions/runners", "/issues", "/pulls", "/releases/latest", "/branches", "/commits"];
/// What an autoscaler does.
const QUEUE: [&str; 2] = ["/actions/runs", "/actions/runners"];

/// How often a machine that stays gets a new token.
const ROTATION: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Case {
    /// 20 pollers on four machines, round 40 endpoints
    Dashboard,
    /// Three controllers that look at queues and runners every ten seconds
    Autoscaler,
    /// 100 jobs with a token each that start at once, on 50 machines, every ten minutes
    Matrix,
    /// 50 runners that come and go, with a token for each job
    Runners,
}

impl Case {
    pub fn title(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Autoscaler => "autoscaler",
            Self::Matrix => "matrix start",
            Self::Runners => "50 runners",
        }
    }

    /// Hours, where none are asked for: machines in a swarm of 50 take their time.
    pub fn hours(self) -> u64 {
        match self {
            Self::Dashboard | Self::Autoscaler => 24,
            Self::Matrix | Self::Runners => 1,
        }
    }

    pub fn draw(self, seed: u64, hours: u64) -> Trace {
        let span = Duration::from_secs(3600) * hours as u32;
        let (kinds, asked) = match self {
            Self::Dashboard => (&KINDS[..], round(seed, span, 4, 5, Duration::from_secs(5), KINDS.len())),
            // Each poller has an endpoint of its own, and looks at it every ten seconds.
            Self::Autoscaler => (&QUEUE[..], autoscaler(seed, span)),
            Self::Matrix => (&KINDS[..], matrix(seed, span)),
            Self::Runners => (&KINDS[..], runners(seed, span)),
        };
        Trace::draw(seed, span, kinds, asked)
    }
}

/// The token that a machine has in an hour, where each gets one an hour.
fn rotating(machines: u32, machine: u32, at: Duration) -> usize {
    (at.as_secs() / ROTATION.as_secs()) as usize * machines as usize + machine as usize
}

fn staying(machines: u32, span: Duration) -> Asked {
    let tokens = rotating(machines, machines, span);
    Asked { machines: vec![Presence::ALWAYS; machines as usize], tokens, polls: Vec::new() }
}

/// Pollers that go round all endpoints, each in its own order of beginning.
fn round(seed: u64, span: Duration, machines: u32, pollers_each: u32, every: Duration, kinds: usize) -> Asked {
    let endpoints = REPOS.len() * kinds;
    let mut asked = staying(machines, span);
    for poller in 0..machines * pollers_each {
        let mut drawn = Stream::new(seed, &format!("poller {poller}"));
        let (first, phase) = (drawn.range(0, endpoints as u64) as usize, drawn.range(0, every.as_millis() as u64));
        let times = (0..).map(|turn| Duration::from_millis(phase) + every * turn).take_while(|at| *at < span);
        let machine = poller % machines;
        asked.polls.extend(times.zip(first..).map(|(at, next)| {
            let token = rotating(machines, machine, at);
            Poll { at, machine, token, endpoint: next % endpoints }
        }));
    }
    asked
}

/// Controllers that ask everything every ten seconds.
fn autoscaler(seed: u64, span: Duration) -> Asked {
    const CONTROLLERS: u32 = 3;
    const EVERY: Duration = Duration::from_secs(10);
    let mut asked = staying(CONTROLLERS, span);
    for machine in 0..CONTROLLERS {
        let phase = Stream::new(seed, &format!("controller {machine}")).range(0, EVERY.as_millis() as u64);
        let times = (0..).map(|turn| Duration::from_millis(phase) + EVERY * turn).take_while(|at| *at < span);
        for at in times {
            let token = rotating(CONTROLLERS, machine, at);
            let endpoints = 0..REPOS.len() * QUEUE.len();
            asked.polls.extend(endpoints.map(|endpoint| Poll { at, machine, token, endpoint }));
        }
    }
    asked
}

/// Machines that stay, on which many jobs begin in the same five seconds.
fn matrix(seed: u64, span: Duration) -> Asked {
    const MACHINES: u32 = 50;
    const JOBS: u32 = 100;
    const EVERY: Duration = Duration::from_secs(600);
    let mut asked = Asked { machines: vec![Presence::ALWAYS; MACHINES as usize], ..Asked::default() };
    let mut drawn = Stream::new(seed, "matrix");
    for start in (0..).map(|turn| MINUTE + EVERY * turn).take_while(|at| *at + MINUTE < span) {
        let repo = drawn.range(0, REPOS.len() as u64) as usize;
        for job in 0..JOBS {
            let at = start + Duration::from_millis(drawn.range(0, 5_000));
            job_asks(&mut asked, job % MACHINES, at, repo);
        }
    }
    asked
}

/// One machine after the other in each of 50 places, and on it one job after the other.
fn runners(seed: u64, span: Duration) -> Asked {
    const PLACES: u32 = 50;
    let mut asked = Asked::default();
    for place in 0..PLACES {
        let mut drawn = Stream::new(seed, &format!("place {place}"));
        let mut from = Duration::from_secs(drawn.range(0, 300));
        while from + 2 * MINUTE < span {
            let until = from + Duration::from_secs(drawn.range(600, 3_600));
            let machine = asked.machines.len() as u32;
            asked.machines.push(Presence { from, until: Some(until).filter(|until| *until < span) });
            let mut at = from + Duration::from_secs(drawn.range(5, 60));
            while at + MINUTE < until.min(span) {
                job_asks(&mut asked, machine, at, drawn.range(0, REPOS.len() as u64) as usize);
                at += Duration::from_secs(drawn.range(120, 600));
            }
            from = until + Duration::from_secs(drawn.range(5, 300));
        }
    }
    asked
}

/// A job has a token of its own, and looks once at everything of its repository.
fn job_asks(asked: &mut Asked, machine: u32, at: Duration, repo: usize) {
    let token = asked.tokens;
    asked.tokens += 1;
    let endpoints = (repo * KINDS.len()..).take(KINDS.len()).zip(0..);
    let poll = |(endpoint, turn)| Poll { at: at + Duration::from_millis(300) * turn, machine, token, endpoint };
    asked.polls.extend(endpoints.map(poll));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_are_what_they_are_said_to_be() {
        let counts = |case: Case, hours| {
            let trace = case.draw(1, hours);
            (trace.polls.len(), trace.endpoints(), trace.machines.len(), trace.tokens.len())
        };
        assert_eq!(counts(Case::Dashboard, 24), (345_600, 40, 4, 100));
        assert_eq!(counts(Case::Autoscaler, 1), (10_800, 10, 3, 6));
        assert_eq!(counts(Case::Matrix, 1), (6 * 100 * 8, 40, 50, 600));
        let (polls, _, machines, tokens) = counts(Case::Runners, 1);
        assert!(polls == 8 * tokens && (50..150).contains(&machines), "{polls} {machines} {tokens}");
    }

    #[test]
    fn nobody_asks_on_a_machine_that_is_not_there() {
        let trace = Case::Runners.draw(3, 2);
        let is_there = |poll: &Poll| {
            let Presence { from, until } = trace.machines[poll.machine as usize];
            from < poll.at && until.is_none_or(|until| poll.at < until)
        };
        assert!(trace.polls.iter().all(is_there));
    }
}
