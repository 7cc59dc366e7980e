use serde_json::{Value, json};

use super::{Case, Run, load::Sample};

const OURS: [&str; 2] = ["ghoard", "before"];

/// What of a case is to be shown, and by how much.
struct Goal {
    what: &'static str,
    ratio: fn(&Sample, &Sample) -> f64,
    limit: f64,
    /// Or at most.
    at_least: bool,
}

fn per_sec(ours: &Sample, theirs: &Sample) -> f64 {
    ours.per_sec / theirs.per_sec
}

fn cpu(ours: &Sample, theirs: &Sample) -> f64 {
    ours.cpu_secs / theirs.cpu_secs
}

fn p99(ours: &Sample, theirs: &Sample) -> f64 {
    ours.p99_us / theirs.p99_us
}

/// The goals of one case; the ratios are to the rival that answers more in the same round.
fn goals(case: Case) -> Vec<Goal> {
    let at_least = |limit| Goal { what: "requests/s", ratio: per_sec, limit, at_least: true };
    let p99 = Goal { what: "p99", ratio: p99, limit: 1.0, at_least: false };
    let cpu = |limit| Goal { what: "CPU", ratio: cpu, limit, at_least: false };
    match case {
        Case { by_socket: true, .. } => vec![at_least(1.2), cpu(1.0), p99],
        Case { size: 0, .. } => vec![at_least(1.5), cpu(0.6), p99],
        Case { size: 2, .. } => vec![at_least(0.8), cpu(1.0), p99],
        _ => vec![at_least(1.0), cpu(1.0), p99],
    }
}

/// The table, the ratios with their goals, and the memory, as Markdown.
pub(super) fn lines(about: &str, results: &[(Case, Vec<Run>)], memory: &[(&str, u64)]) -> Vec<String> {
    let mut lines = vec![about.to_owned(), String::new()];
    lines
        .push("| case | server | requests/s | p50 µs | p99 µs | CPU s / 100,000 | its core | generator's |".to_owned());
    lines.push("|---|---|---:|---:|---:|---:|---:|---:|".to_owned());
    for (case, runs) in results {
        for run in runs {
            let of = |figure: fn(&Sample) -> f64| median(run.samples.iter().map(figure));
            lines.push(format!(
                "| {} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.0} % | {:.0} % |",
                case.name(),
                run.server,
                of(|sample| sample.per_sec),
                of(|sample| sample.p50_us),
                of(|sample| sample.p99_us),
                of(|sample| sample.cpu_secs),
                of(|sample| sample.busy) * 100.0,
                of(|sample| sample.generator_busy) * 100.0,
            ));
        }
    }
    lines.extend([String::new(), "| case | of | ratio | goal | |".to_owned(), "|---|---|---:|---:|---|".to_owned()]);
    for ratio in ratios(results) {
        let Ratio { case, server, what, ratio, goal } = &ratio;
        let (goal, kept) = match goal {
            Some((limit, at_least)) => {
                let sign = if *at_least { "≥" } else { "≤" };
                (format!("{sign} {limit}"), if is_kept(*ratio, *limit, *at_least) { "kept" } else { "missed" })
            }
            None => (String::new(), ""),
        };
        let of = if *server == OURS[0] { String::new() } else { format!(" ({server})") };
        lines.push(format!("| {case} | {what}{of} | {ratio:.2} | {goal} | {kept} |"));
    }
    lines.push(String::new());
    lines.extend(memory.iter().map(|(name, kb)| format!("peak memory of {name}: {:.1} MB", *kb as f64 / 1024.0)));
    lines
}

/// The same, with every sample.
pub(super) fn json(about: &str, results: &[(Case, Vec<Run>)], memory: &[(&str, u64)]) -> Value {
    let sample = |sample: &Sample| {
        json!({ "requests_per_second": sample.per_sec, "p50_us": sample.p50_us, "p99_us": sample.p99_us,
            "cpu_seconds_per_100000": sample.cpu_secs, "busy": sample.busy, "generator_busy": sample.generator_busy })
    };
    let of_run =
        |run: &Run| json!({ "server": run.server, "rounds": run.samples.iter().map(sample).collect::<Vec<_>>() });
    let of_case = |(case, runs): &(Case, Vec<Run>)| json!({ "case": case.name(), "servers": runs.iter().map(of_run).collect::<Vec<_>>() });
    let of_ratio = |ratio: &Ratio| {
        let goal = ratio.goal.map(|(limit, at_least)| {
            json!({ if at_least { "at_least" } else { "at_most" }: limit,
            "kept": is_kept(ratio.ratio, limit, at_least) })
        });
        json!({ "case": ratio.case, "server": ratio.server, "of": ratio.what, "ratio": ratio.ratio, "goal": goal })
    };
    let memory: serde_json::Map<String, Value> =
        memory.iter().map(|(name, kb)| ((*name).to_owned(), json!(kb * 1024))).collect();
    json!({ "about": about, "cases": results.iter().map(of_case).collect::<Vec<_>>(),
        "ratios": ratios(results).iter().map(of_ratio).collect::<Vec<_>>(), "peak_memory_bytes": memory })
}

struct Ratio {
    case: String,
    server: &'static str,
    what: String,
    ratio: f64,
    /// The limit, and whether it is the least.
    goal: Option<(f64, bool)>,
}

/// Each ratio is the median of those of the rounds.
fn ratios(results: &[(Case, Vec<Run>)]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (case, runs) in results {
        let (ours, rivals): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| OURS.contains(&run.server));
        for run in ours {
            for goal in goals(*case) {
                let of_round = |(round, sample)| (goal.ratio)(sample, better(&rivals, round));
                let ratio = median(run.samples.iter().enumerate().map(of_round));
                let goal_of = Some((goal.limit, goal.at_least));
                ratios.push(Ratio {
                    case: case.name(),
                    server: run.server,
                    what: goal.what.to_owned(),
                    ratio,
                    goal: goal_of,
                });
            }
            if case.gzip && case.size == 2 {
                ratios.extend(to_plain(*case, run, results));
            }
        }
    }
    ratios
}

/// What a client gains by accepting gzip: beside the better rival's plain form, which is what it would get
/// from a cache that keeps that one form.
fn to_plain(case: Case, ours: &Run, results: &[(Case, Vec<Run>)]) -> Option<Ratio> {
    let is_plain = |(other, _): &&(Case, Vec<Run>)| {
        !other.by_socket && !other.gzip && other.size == case.size && other.connections == case.connections
    };
    let (_, runs) = results.iter().find(is_plain)?;
    let rivals: Vec<&Run> = runs.iter().filter(|run| !OURS.contains(&run.server)).collect();
    let of_round = |(round, sample)| per_sec(sample, better(&rivals, round));
    let ratio = median(ours.samples.iter().enumerate().map(of_round));
    let what = "requests/s, to the rivals' plain form".to_owned();
    Some(Ratio { case: case.name(), server: ours.server, what, ratio, goal: Some((3.0, true)) })
}

fn better<'a>(rivals: &[&'a Run], round: usize) -> &'a Sample {
    let of_round = rivals.iter().map(|run| &run.samples[round]);
    of_round.max_by(|a, b| a.per_sec.total_cmp(&b.per_sec)).expect("nginx is in every case")
}

fn is_kept(ratio: f64, limit: f64, at_least: bool) -> bool {
    if at_least { ratio >= limit } else { ratio <= limit }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(figures[middle - 1], figures[middle]),
        _ => figures[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(server: &'static str, per_sec: [f64; 3]) -> Run {
        let sample = |per_sec| Sample {
            per_sec,
            p50_us: 1.0,
            p99_us: 1.0,
            cpu_secs: 100.0 / per_sec,
            busy: 1.0,
            generator_busy: 0.5,
        };
        Run { server, samples: per_sec.map(sample).to_vec() }
    }

    #[test]
    fn a_ratio_is_the_median_of_those_to_the_better_rival_of_the_round() {
        let case = Case { size: 0, gzip: false, connections: 64, by_socket: false, rotates: false };
        let runs =
            vec![run("nginx", [10.0, 10.0, 10.0]), run("varnish", [5.0, 20.0, 5.0]), run("ghoard", [16.0, 20.0, 18.0])];
        let results = [(case, runs)];
        let of = |what: &str| ratios(&results).into_iter().find(|ratio| ratio.what == what).unwrap().ratio;
        assert!((of("requests/s") - 1.6).abs() < 1e-9, "of 1.6, 1.0 and 1.8");
        assert!((of("CPU") - 1.0 / 1.6).abs() < 1e-9);
        let lines = lines("", &results, &[]);
        assert!(lines.iter().any(|line| line.contains("| requests/s | 1.60 | ≥ 1.5 | kept |")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("| CPU | 0.62 | ≤ 0.6 | missed |")), "{lines:#?}");
    }
}
