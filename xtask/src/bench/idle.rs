//! `cargo xtask bench idle`: what a daemon costs that has eight peers, and nothing to do.
//!
//! Nine daemons as shipped, on loopback, before one fakehub. Clients of all of them have asked, and each knows
//! what the others were told. From then on nobody asks anything.

mod daemon;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use daemon::{Daemon, start_github};

use super::{account, folder::Folder};
use crate::run::{self, Outcome};

/// The goals of the one that is looked at.
const RSS_MB_MAX: f64 = 40.0;
const CORE_PERCENT_MAX: f64 = 0.5;

const DAEMONS: usize = 9;
/// Of 1 KB each, asked of one daemon after the other.
const ENTRIES: usize = 450;
const ENTRY_BYTES: usize = 1024;
/// For what the last question has left behind: commits, comparisons, connections that are sorted out.
const SETTLING_TIME: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(60);

/// Command line of the run.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Seconds that are looked at.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Folder with the `ghoard` and the `fakehub` to run; without it, the release build, made now.
    #[arg(long)]
    binaries: Option<PathBuf>,
}

/// What one daemon has used.
struct Used {
    rss_kb: u64,
    /// Of it what is no file's, such as the program's own code.
    anonymous_kb: u64,
    core_percent: f64,
}

/// Starts them, waits until they are quiet, and prints what the first of them uses.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let binaries = match &arguments.binaries {
        Some(folder) => folder.clone(),
        None => built()?,
    };
    let folder = Folder::new("idle")?;
    let github = start_github(&binaries)?;
    let start = |n: usize| Daemon::start(&binaries, &folder.0, n, &github.origin);
    let daemons = (0..DAEMONS).map(start).collect::<Result<Vec<_>, _>>()?;
    run::say(&format!("{DAEMONS} daemons run; they meet, and {ENTRIES} answers are asked for"));
    until("each is connected to all others", || daemons.iter().all(|daemon| daemon.count("connected_peers") == 8))?;
    for n in 0..ENTRIES {
        daemons[n % DAEMONS].get(&format!("/repos/octocat/Hello-World/git/blobs/size-{}?n={n}", ENTRY_BYTES + n))?;
    }
    until("each knows all answers", || daemons.iter().all(|daemon| daemon.count("index_entries") == ENTRIES as u64))?;
    std::thread::sleep(SETTLING_TIME);

    run::say(&format!("nobody asks anything for {} s", arguments.seconds));
    let (began, before) = (Instant::now(), daemons.iter().map(Daemon::cpu_secs).collect::<Vec<_>>());
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    let took = began.elapsed().as_secs_f64();
    let used = daemons.iter().zip(before).map(|(daemon, before)| Used {
        rss_kb: daemon.memory_kb("VmRSS:"),
        anonymous_kb: daemon.memory_kb("RssAnon:"),
        core_percent: 100.0 * (daemon.cpu_secs() - before) / took,
    });
    let used: Vec<Used> = used.collect();
    if let Some(lonely) = daemons.iter().position(|daemon| daemon.count("connected_peers") != 8) {
        return Err(format!("daemon {lonely} has lost a peer meanwhile"));
    }
    for line in table(&used, took) {
        run::print(&line);
    }
    Ok(())
}

fn table(used: &[Used], took: f64) -> Vec<String> {
    let mb = |kb: u64| kb as f64 / 1024.0;
    let first = &used[0];
    let of_all = |value: fn(&Used) -> f64| {
        let all = used.iter().map(value);
        (all.clone().fold(f64::INFINITY, f64::min), all.fold(0.0, f64::max))
    };
    let (least, most) = of_all(|used| used.rss_kb as f64 / 1024.0);
    let (idlest, busiest) = of_all(|used| used.core_percent);
    let verdict = |is_met: bool| if is_met { "met" } else { "**missed**" };
    vec![
        format!("| 8 peers, {ENTRIES} answers known, {took:.0} s | the first | all nine | goal | |"),
        "|---|---:|---:|---:|---|".to_owned(),
        format!(
            "| resident memory | {:.1} MB, {:.1} of it anonymous | {least:.1} to {most:.1} MB | at most {RSS_MB_MAX:.0} MB | {} |",
            mb(first.rss_kb),
            mb(first.anonymous_kb),
            verdict(mb(first.rss_kb) <= RSS_MB_MAX)
        ),
        format!(
            "| of a core | {:.2} % | {idlest:.2} to {busiest:.2} % | at most {CORE_PERCENT_MAX} % | {} |",
            first.core_percent,
            verdict(first.core_percent <= CORE_PERCENT_MAX)
        ),
    ]
}

fn built() -> Result<PathBuf, String> {
    run::check(&mut run::cargo(&["build", "--quiet", "--release", "--package", "ghoard", "--package", "fakehub"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| run::root().join("target"), PathBuf::from);
    Ok(target.join("release"))
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("waited for {} s in vain: {what}", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_is_missed_is_called_so() {
        let used = |rss_kb, core_percent| Used { rss_kb, anonymous_kb: 1024, core_percent };
        let lines = table(&[used(30 << 10, 0.6), used(50 << 10, 0.1)], 60.0);
        assert!(
            lines[2].contains("| 30.0 MB, 1.0 of it anonymous | 30.0 to 50.0 MB | at most 40 MB | met |"),
            "{}",
            lines[2]
        );
        assert!(lines[3].contains("| 0.60 % | 0.10 to 0.60 % | at most 0.5 % | **missed** |"), "{}", lines[3]);
    }
}
