//! What the compiler does not check.

use std::fs;

use crate::{
    arrows,
    run::{self, Outcome},
    source::{self, SourceFile},
};

const LINES_MAX: usize = 500;

pub(crate) fn run(_arguments: &[String]) -> Outcome {
    let root = run::root();
    let files = source::files(&root, &["crates", "sim", "bench", "xtask"])?;
    let mut wrong: Vec<_> = files.iter().flat_map(judge).collect();
    wrong.extend(arrows::wrong()?);
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !root.join(licence).is_file() {
            wrong.push(format!("{licence}: is missing"));
        }
    }
    let manifest = root.join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest).map_err(|cause| format!("could not read Cargo.toml: {cause}"))?;
    if !manifest.lines().any(|line| line == "publish = false") {
        wrong.push("Cargo.toml: [workspace.package] needs `publish = false`".to_owned());
    }
    for wrong in &wrong {
        run::say(wrong);
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} untidy places", wrong.len())) }
}

/// Returns what is wrong in one file, as `path:line: reason`.
fn judge(file: &SourceFile) -> Vec<String> {
    // Put together here, so that this file is tidy itself.
    let markers = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|word| word.concat());
    let (ignored, un_safe) = (["#[ig", "nore"].concat(), ["un", "safe"].concat());
    let path = file.path.display();
    let mut wrong = Vec::new();
    let count = file.text.lines().count();
    if count > LINES_MAX && ["crates", "sim"].iter().any(|folder| file.path.starts_with(folder)) {
        wrong.push(format!("{path}: {count} lines, and at most {LINES_MAX} are one idea"));
    }
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.contains(&ignored) {
            wrong.push(format!("{path}:{number}: a test runs or does not exist"));
        }
        if let Some(marker) = markers.iter().find(|marker| words(line).any(|word| word == marker.as_str())) {
            wrong.push(format!("{path}:{number}: {marker} is for the list of work, not for the source"));
        }
        let code = line.split("//").next().unwrap_or_default();
        let is_interposer = file.path.starts_with("sim/det");
        if words(code).any(|word| word == un_safe) && !code.contains('"') && !is_interposer {
            wrong.push(format!("{path}:{number}: {un_safe} code is for the simulator's interposer only"));
        }
    }
    wrong
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        judge(&SourceFile { path: "crates/a.rs".into(), text: text.into() })
    }

    #[test]
    fn untidy_lines_are_named() {
        let marker = ["TO", "DO"].concat();
        assert_eq!(
            wrong(&format!("fn a() {{}}\n// {marker}: b\n")),
            [format!("crates/a.rs:2: {marker} is for the list of work, not for the source")]
        );
        assert_eq!(wrong(&["#[ig", "nore = \"slow\"]"].concat()), ["crates/a.rs:1: a test runs or does not exist"]);
        let un_safe = ["un", "safe"].concat();
        assert_eq!(
            wrong(&format!("{un_safe} {{ }}")),
            [format!("crates/a.rs:1: {un_safe} code is for the simulator's interposer only")]
        );
    }

    #[test]
    fn words_within_words_and_texts_are_fine() {
        assert_eq!(wrong("fn unsafely() {} // an unsafe comment\nlet x = \"unsafe\";\nlet xxxx = TODOS;"), [""; 0]);
        assert_eq!(wrong(&"\n".repeat(501)), ["crates/a.rs: 501 lines, and at most 500 are one idea"]);
    }
}
