//! `nat-matrix`: each kind of router before A and before B, and what comes of it, beside what the kernel's
//! own routers do (`cargo xtask nat-lab`).

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde_json::json;

use crate::{
    children,
    cli::HARNESS,
    core_layer::costs::quantile,
    output,
    plan::{Plan, Router},
    run::{Seeds, work},
    scenario::{Scenario, Wishes},
    world::Outcome,
};

/// What the lab has found, over TCP (`docs/CONNECTIVITY.md`): A down, B across, in the order of [`KINDS`].
const KERNEL: [&str; 6] = ["DDDDDD", "DDRRDD", "DRRRDR", "DRRRDR", "DDDDDD", "DDRRDD"];

const KINDS: [Option<Router>; 6] = [
    None,
    Some(Router::Masquerade),
    Some(Router::Random),
    Some(Router::FullyRandom),
    Some(Router::FullCone),
    Some(Router::PortChanging),
];

/// Cells that differ from the kernel's, and why: the same list is in `docs/CONNECTIVITY.md`.
const EXPLAINED: &[(&str, &str)] = &[];

pub struct Options {
    pub seeds: Seeds,
    pub jobs: usize,
    pub json: bool,
    pub out: PathBuf,
}

/// Two machines and what is in front of each; nothing for one in public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub a: Option<Router>,
    pub b: Option<Router>,
    /// Both are behind one router.
    pub is_one_router: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Direct,
    Relayed,
}

impl Path {
    pub fn is_direct(self) -> bool {
        self == Self::Direct
    }

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Self::Direct => "D",
            Self::Relayed => "R",
        }
    }
}

impl Cell {
    /// A waits at the relay when B comes.
    pub const B_STARTS_MS: u64 = 6_000;

    /// More than a relay with libp2p's own limits passes on.
    pub const BODY_BYTES: u32 = 150_000;

    const COUNT: u64 = 36 + 5;

    /// Each in its turn.
    pub fn nth(number: u64) -> Self {
        match (number % Self::COUNT) as usize {
            one if one < 36 => Self { a: KINDS[one / 6], b: KINDS[one % 6], is_one_router: false },
            one => Self { a: KINDS[one - 35], b: KINDS[one - 35], is_one_router: true },
        }
    }

    /// What the kernel does.
    pub fn kernel(self) -> Path {
        let at = |kind| KINDS.iter().position(|known| *known == kind).expect("all kinds are there");
        let letter = KERNEL[at(self.a)].as_bytes()[at(self.b)];
        if self.is_one_router || letter == b'D' { Path::Direct } else { Path::Relayed }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_one_router {
            true => write!(f, "one-router:{}", name(self.a)),
            false => write!(f, "{}/{}", name(self.a), name(self.b)),
        }
    }
}

fn name(kind: Option<Router>) -> &'static str {
    kind.map_or("public", Router::name)
}

/// What came of a cell, of one seed.
struct Seen {
    path: Option<Path>,
    /// From B's start, in milliseconds.
    after_ms: Option<u128>,
    connections: usize,
    trouble: Option<String>,
}

impl Seen {
    fn of(outcome: &anyhow::Result<Outcome>) -> Self {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                return Self { path: None, after_ms: None, connections: 0, trouble: Some(format!("{error:#}")) };
            }
        };
        let pair = outcome.paths.iter().find(|pair| (pair.a, pair.b) == (1, 2));
        let path = pair.and_then(|pair| match (pair.connected_ms, pair.direct_ms) {
            (_, Some(at)) => Some((Path::Direct, at)),
            (Some(at), None) => Some((Path::Relayed, at)),
            (None, None) => None,
        });
        let text = outcome.violation.as_ref().map(|violation| format!("{}: {}", violation.invariant, violation.text));
        Self {
            path: path.map(|(path, _)| path),
            after_ms: path.map(|(_, at)| at.saturating_sub(Cell::B_STARTS_MS).into()),
            connections: pair.map_or(0, |pair| pair.connections),
            trouble: text,
        }
    }
}

/// Plays every cell with each seed, and prints the matrix. 1 if a cell is not as it should be.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    let plans: Vec<Plan> = (options.seeds.from..options.seeds.to)
        .flat_map(|seed| (0..Cell::COUNT).map(move |cell| seed * Cell::COUNT + cell))
        .map(|seed| Scenario::find("nat-matrix").expect("it is in the list").plan(seed, &Wishes::default()))
        .collect();
    std::fs::create_dir_all(&options.out)?;
    let (mut all, mut wrong, mut has_failed) = (BTreeMap::<Cell, Vec<Seen>>::new(), Vec::new(), false);
    work(plans, options.jobs, |plan| children::outcome(plan, None, None), &mut |plan, outcome| {
        let (cell, seen) = (Cell::nth(plan.seed), Seen::of(outcome));
        has_failed |= outcome.is_err();
        let is_explained = EXPLAINED.iter().any(|(name, _)| *name == cell.to_string());
        let difference = (seen.path != Some(cell.kernel()) && !is_explained)
            .then(|| format!("the kernel's is {}", cell.kernel().name()));
        if let Some(why) = seen.trouble.clone().or(difference) {
            let file = options.out.join(format!("nat-matrix-{}.json", plan.seed));
            let written = plan.write(&file);
            output::note(&format!("{cell} --seed {}: {why}", plan.seed));
            let paste = written.map_or_else(|error| error.to_string(), |()| file.display().to_string());
            output::note(&format!("replay:   cargo xtask sim replay {paste}"));
            wrong.push(cell);
        }
        if options.json {
            output::data(&line(plan, cell, &seen).to_string());
        }
        all.entry(cell).or_default().push(seen);
        true
    });
    if !options.json {
        print(&all);
    }
    if wrong.is_empty() {
        return Ok(0);
    }
    output::note(&format!(
        "error: {} of {} cells are not as they should be",
        wrong.len(),
        all.values().flatten().count()
    ));
    Ok(if has_failed { HARNESS } else { 1 })
}

fn line(plan: &Plan, cell: Cell, seen: &Seen) -> serde_json::Value {
    json!({
        "cell": cell.to_string(), "seed": plan.seed, "path": seen.path.map(Path::name),
        "after_ms": seen.after_ms.map(|ms| ms as u64), "connections": seen.connections,
        "kernel": cell.kernel().name(), "trouble": seen.trouble,
    })
}

fn print(all: &BTreeMap<Cell, Vec<Seen>>) {
    let names: Vec<&str> = KINDS.into_iter().map(name).collect();
    output::data(&format!("| sim / kernel: A \\ B | {} | one router |", names.join(" | ")));
    output::data(&format!("|---|{}---|", "---|".repeat(names.len())));
    for a in KINDS {
        let mut cells: Vec<Cell> = KINDS.map(|b| Cell { a, b, is_one_router: false }).into();
        cells.push(Cell { a, b: a, is_one_router: true });
        let shown =
            cells.into_iter().map(|cell| all.get(&cell).map_or_else(|| "-".to_owned(), |seen| short(cell, seen)));
        output::data(&format!("| {} | {} |", name(a), shown.collect::<Vec<_>>().join(" | ")));
    }
    output::data(
        "\nD direct, R relayed, with the seconds from B's start (the median of the seeds) / the kernel's; ! where they differ or something is wrong",
    );
}

fn short(cell: Cell, seen: &[Seen]) -> String {
    let mut times: Vec<u128> = seen.iter().filter_map(|seen| seen.after_ms).collect();
    let seconds = quantile(&mut times, 500) as f64 / 1000.0;
    let direct = seen.iter().filter(|seen| seen.path == Some(Path::Direct)).count();
    let path = match direct {
        0 if times.is_empty() => "none".to_owned(),
        0 => Path::Relayed.letter().to_owned(),
        all if all == seen.len() => Path::Direct.letter().to_owned(),
        some => format!("D in {some} of {}", seen.len()),
    };
    let is_wrong = seen.iter().any(|seen| seen.path != Some(cell.kernel()) || seen.trouble.is_some());
    format!("{path} {seconds:.1} / {}{}", cell.kernel().letter(), if is_wrong { " !" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::is_direct_possible;

    #[test]
    fn each_cell_has_its_turn_once() {
        let cells: std::collections::BTreeSet<Cell> = (0..Cell::COUNT).map(Cell::nth).collect();
        assert_eq!(cells.len() as u64, Cell::COUNT);
        assert_eq!(Cell::nth(Cell::COUNT + 7), Cell::nth(7));
        assert_eq!(Cell::nth(7).to_string(), "masquerade/masquerade");
        assert_eq!(Cell::nth(40).to_string(), "one-router:port-changing");
    }

    #[test]
    fn what_the_kernel_does_is_what_the_checkers_ask_for() {
        for cell in (0..Cell::COUNT).map(Cell::nth).filter(|cell| !cell.is_one_router) {
            assert_eq!(cell.kernel().is_direct(), is_direct_possible(cell.a, cell.b), "{cell}");
        }
    }
}
