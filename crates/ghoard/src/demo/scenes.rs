//! What happens in the morning: the clients, and what befalls them.

use std::{sync::atomic::Ordering, time::Duration};

use fakehub::Failure as Fault;
use futures::future::{join, join_all};
use gateway::Origin;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Failure, Stage};

pub(super) const JOBS: usize = 50;
const DASHBOARDS: usize = 6;
pub(super) const DASHBOARD_TOKEN: &str = "demo-token-of-the-dashboards";

const REPO: &str = "/repos/octocat/Hello-World";

/// What every job asks when it begins.
const SET_UP: [&str; 6] = ["", "/branches/main", "/contents/README.md", "/labels", "/releases", "/tags"];
/// What it then looks at again and again, and a dashboard from the beginning.
const WATCHED: [&str; 4] = ["/actions/runs", "/issues?per_page=30", "/pulls", "/commits"];

const DASHBOARD_PAUSE: Duration = Duration::from_millis(250);
const JOB_PAUSE: Duration = Duration::from_millis(1000);

/// All jobs of a matrix begin within this.
const HERD: Duration = Duration::from_millis(200);

/// When things happen, in parts of the morning.
const MATRIX: f64 = 0.12;
const WRITE: f64 = 0.38;
const LEAVE: f64 = 0.52;
const LIMIT: f64 = 0.68;
const RECOVERY: f64 = 0.86;
const END: f64 = 0.97;

pub(super) fn job_tokens() -> impl Iterator<Item = String> {
    (0..JOBS).map(|job| format!("demo-token-of-job-{job}"))
}

/// Plays until the end.
pub(super) async fn play(stage: &Stage) -> Result<(), Failure> {
    let names = stage.machines.iter().map(|machine| machine.name).collect::<Vec<_>>().join(", ");
    stage.happens(format!("{names} know each other; {DASHBOARDS} dashboards begin to poll"));
    let clients = join(join_all((0..DASHBOARDS).map(|n| dashboard(stage, n))), matrix(stage));
    join(clients, events(stage)).await.1
}

/// What befalls the clients.
async fn events(stage: &Stage) -> Result<(), Failure> {
    stage.until(WRITE).await;
    let comment = format!("{REPO}/issues/1/comments");
    let is_written = stage.write(1, &comment, r#"{"body":"works for me"}"#, DASHBOARD_TOKEN).await;
    let how = if is_written { "what it kept of the repository is doubted" } else { "GitHub refuses it" };
    stage.happens(format!("a comment through {}: {how}", stage.machines[1].name));

    stage.until(LEAVE).await;
    let leaver = stage.machines.last().ok_or("there is no machine")?;
    stage.happens(format!("{} is told to stop: it hands over what it alone holds", leaver.name));
    let began = Instant::now();
    leaver.leave().await;
    stage.happens(format!("{} is gone after {} ms; its jobs ask the others", leaver.name, began.elapsed().as_millis()));

    stage.until(LIMIT).await;
    let retry_after = stage.length.mul_f64(RECOVERY - LIMIT).as_secs().max(1);
    stage.hub().fail_with("", Fault::SecondaryLimit { retry_after });
    stage.happens(format!("GitHub says: secondary rate limit, come back in {retry_after} s"));
    stage.until(RECOVERY).await;
    stage.hub().recover();
    stage.happens("GitHub answers again");

    stage.until(END).await;
    stage.is_over.store(true, Ordering::Relaxed);
    Ok(())
}

async fn dashboard(stage: &Stage, n: usize) {
    // Each has its own rhythm, so that they are not one herd.
    sleep(DASHBOARD_PAUSE.mul_f64(n as f64 / DASHBOARDS as f64)).await;
    while !stage.is_over.load(Ordering::Relaxed) {
        let pause = sleep(DASHBOARD_PAUSE);
        for question in WATCHED {
            stage.ask(n, &format!("{REPO}{question}"), DASHBOARD_TOKEN).await;
        }
        pause.await;
    }
}

async fn matrix(stage: &Stage) {
    stage.until(MATRIX).await;
    stage.happens(format!("a matrix of {JOBS} jobs begins, each with its own token"));
    join_all(job_tokens().enumerate().map(|(n, token)| job(stage, n, token))).await;
}

/// Jobs run on every machine but the first.
async fn job(stage: &Stage, n: usize, token: String) {
    let runners = stage.machines.len() - 1;
    let machine = 1 + n % runners;
    sleep(HERD.mul_f64(n as f64 / JOBS as f64)).await;
    for question in SET_UP {
        stage.ask(machine, &format!("{REPO}{question}"), &token).await;
    }
    let mut next = Instant::now();
    while !stage.is_over.load(Ordering::Relaxed) {
        let question = WATCHED[n % 2];
        stage.ask(machine, &format!("{REPO}{question}"), &token).await;
        next += JOB_PAUSE;
        sleep_until(next).await;
    }
}

impl Stage {
    /// Asks this machine, or another one if it has gone.
    async fn ask(&self, machine: usize, path: &str, token: &str) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let count = self.machines.len();
        for machine in (0..count).map(|more| &self.machines[(machine + more) % count]) {
            if machine.is_gone() {
                continue;
            }
            match self.exchange(Method::GET, &format!("{}{path}", machine.url), "", token).await {
                Ok(true) => return,
                Ok(false) => break,
                // It may just have closed its door: another one answers.
                Err(_) => {}
            }
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    async fn write(&self, machine: usize, path: &str, body: &'static str, token: &str) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}{path}", self.machines[machine].url);
        let is_done = self.exchange(Method::POST, &url, body, token).await.unwrap_or_default();
        self.refused.fetch_add(u64::from(!is_done), Ordering::Relaxed);
        is_done
    }

    /// Whether the answer was a good one.
    async fn exchange(&self, method: Method, url: &str, body: &'static str, token: &str) -> Result<bool, Failure> {
        let request = Request::builder().method(method).uri(url);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(gateway::full(body))?;
        let response = self.client.send(request).await?;
        let is_good = response.status().is_success();
        response.into_body().collect().await?;
        Ok(is_good)
    }
}
