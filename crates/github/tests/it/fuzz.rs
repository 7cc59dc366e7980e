use std::{
    collections::BTreeSet,
    env,
    io::Write as _,
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use rand::{SeedableRng as _, rngs::StdRng};

use crate::mutate::Mutator;

/// Inputs that are mutated further, at most.
const CORPUS_MAX: usize = 4096;

/// Findings after which a run ends.
const FINDINGS_MAX: usize = 10;

/// Runs `check` on mutations of `seeds` (one a line, `\n` and `\r` written so) for a bounded time.
///
/// `check` panics where an invariant does not hold, and returns a sign of what the input did; an input
/// with a new sign is mutated further.
pub(crate) fn run(name: &str, seeds: &str, words: &[&str], check: impl Fn(&[u8]) -> u64) {
    let secs = number("GHOARD_FUZZ_SECS").unwrap_or(2);
    let seed = number("GHOARD_FUZZ_SEED").unwrap_or(7134);
    let mut corpus: Vec<Vec<u8>> = seeds.lines().map(unescape).collect();
    let mut mutator = Mutator::new(StdRng::seed_from_u64(seed), words);
    let (mut signs, mut findings) = (BTreeSet::new(), Vec::new());
    let (began, mut executions) = (Instant::now(), 0u64);
    for at in 0.. {
        let input = corpus.get(at).cloned().unwrap_or_else(|| mutator.mutate(&corpus));
        executions += 1;
        match panic::catch_unwind(AssertUnwindSafe(|| check(&input))) {
            Ok(sign) => {
                if signs.insert(sign) && at >= corpus.len() && corpus.len() < CORPUS_MAX {
                    corpus.push(input);
                }
            }
            Err(_) => findings.push(input.escape_ascii().to_string()),
        }
        let is_over = executions.is_multiple_of(256) && began.elapsed() >= Duration::from_secs(secs);
        if findings.len() == FINDINGS_MAX || is_over {
            break;
        }
    }
    let line = format!(
        "fuzz {name}: seed {seed}, {executions} executions in {} s, {} kinds of outcome, {} findings\n",
        began.elapsed().as_secs(),
        signs.len(),
        findings.len(),
    );
    std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
    assert!(findings.is_empty(), "inputs that broke an invariant:\n{}", findings.join("\n"));
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

fn unescape(line: &str) -> Vec<u8> {
    line.replace("\\n", "\n").replace("\\r", "\r").into_bytes()
}
