use std::collections::BTreeMap;

use crate::{
    run::{self, Outcome},
    source,
};

/// Prints the lines of each crate, code and tests apart.
pub(crate) fn run(_arguments: &[String]) -> Outcome {
    let mut crates = BTreeMap::<String, (usize, usize, usize)>::new();
    for file in source::files(&run::root(), &["crates", "sim", "bench", "xtask"])? {
        let mut parts = file.path.components().map(|part| part.as_os_str().to_string_lossy());
        let first = parts.next().unwrap_or_default();
        let name = if first == "crates" { parts.next().unwrap_or_default() } else { first };
        let sum = crates.entry(name.into_owned()).or_default();
        let (code, tests) = file.lines();
        *sum = (sum.0 + code, sum.1 + tests, sum.2 + 1);
    }
    run::print(&format!("{:12} {:>7} {:>7} {:>6}", "crate", "code", "tests", "files"));
    let line = |name: &str, (code, tests, files): (usize, usize, usize)| {
        run::print(&format!("{name:12} {code:>7} {tests:>7} {files:>6}"));
    };
    let mut total = (0, 0, 0);
    for (name, sum) in crates {
        total = (total.0 + sum.0, total.1 + sum.1, total.2 + sum.2);
        line(&name, sum);
    }
    line("total", total);
    Ok(())
}
