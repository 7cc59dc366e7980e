//! Members that come: one by one during an attack, and all at once.

use std::time::{Duration, Instant};

use net::{Address, Event, EventStream, Net};
use tokio::time::{sleep, timeout};

use crate::{Failure, node::member, print, verdict, victim::Victim};

const ALL_IN_WITHIN: Duration = Duration::from_secs(5);
/// So many come at once; connections at which memory and processor time are told.
const STEPS: [usize; 2] = [64, 256];
const IDLE: Duration = Duration::from_secs(10);
/// Before who was turned away tries again.
const PAUSE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

/// One member comes and goes. How long it waited outside.
pub(crate) async fn visit(at: &str) -> Result<Duration, Failure> {
    let number = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&number.to_le_bytes());
    let (net, mut events) = member(seed, &[])?;
    let began = Instant::now();
    timeout(PATIENCE, enter(&net, &mut events, &at.parse()?)).await??;
    Ok(began.elapsed())
}

/// Dials until it is in.
async fn enter(net: &Net, events: &mut EventStream, at: &Address) -> Result<(), Failure> {
    net.dial(at.clone());
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { .. } => return Ok(()),
            Event::DialFailed { .. } => {
                sleep(PAUSE).await;
                net.dial(at.clone());
            }
            _ => {}
        }
    }
    Err("a member's network has ended".into())
}

/// All at once, and what they cost when they are there.
pub(crate) async fn run() -> Result<bool, Failure> {
    let victim = Victim::start(None)?;
    let at: Address = victim.address("/ip4/127.0.0.1/tcp/")?.parse()?;
    visit(&at.to_string()).await?;
    let (bare_bytes, mut inside) = (victim.resident_bytes()?, Vec::new());
    let mut all_in = Duration::ZERO;
    print("| members connected | came within | processor time for each | RSS, MiB | KiB for each | idle: of a core |");
    print("|---:|---:|---:|---:|---:|---:|");
    for step in STEPS {
        let coming = step - inside.len();
        let mut outside = Vec::new();
        for number in inside.len()..step {
            let mut seed = [9; 32];
            seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
            outside.push(member(seed, &[])?);
        }
        let (began, spent) = (Instant::now(), victim.cpu_seconds()?);
        let entries = outside.iter_mut().map(|(net, events)| enter(net, events, &at));
        timeout(PATIENCE, futures::future::try_join_all(entries)).await??;
        let (took, spent) = (began.elapsed(), victim.cpu_seconds()? - spent);
        all_in = all_in.max(took);
        inside.extend(outside.into_iter().map(|(net, mut events)| {
            task::Tasks::tokio().spawn(async move { while events.next().await.is_some() {} });
            net
        }));
        let before = victim.cpu_seconds()?;
        sleep(IDLE).await;
        let idle = (victim.cpu_seconds()? - before) / IDLE.as_secs_f64();
        let bytes = victim.resident_bytes()?;
        print(&format!(
            "| {step} | {:.2} s | {:.1} ms | {:.1} | {:.0} | {:.1} % |",
            took.as_secs_f64(),
            1000.0 * spent / coming as f64,
            bytes as f64 / f64::from(1 << 20),
            bytes.saturating_sub(bare_bytes) as f64 / 1024.0 / step as f64,
            100.0 * idle,
        ));
    }
    let stood = all_in <= ALL_IN_WITHIN;
    print(&format!(
        "\n{} members of one process, all in within {} s: {}",
        STEPS[1],
        ALL_IN_WITHIN.as_secs(),
        verdict(stood)
    ));
    Ok(stood)
}
