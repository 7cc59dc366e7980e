//! What the results mean, by the rules of the package's own pages.

use serde_json::Value;

/// One test with its result.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) id: String,
    pub(super) name: String,
    /// `required`, `optimal`, or `check`, which only tells what a cache does.
    pub(super) kind: String,
    depends_on: Vec<String>,
    /// About caches within a browser.
    browser_only: bool,
    result: Value,
}

impl Test {
    /// What the client saw.
    pub(super) fn why(&self) -> String {
        match &self.result {
            Value::Bool(true) => format!("depends on {}", self.depends_on.join(", ")),
            result => result[1].as_str().unwrap_or("not run").to_owned(),
        }
    }
}

/// Reads what the script wrote.
pub(super) fn read(json: &[u8]) -> Result<Vec<Test>, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all: Value = serde_json::from_slice(json).map_err(|cause| format!("the client wrote no JSON: {cause}"))?;
    let tests = all.as_array().ok_or("the client wrote no list")?.iter();
    Ok(tests
        .map(|test| Test {
            id: text(&test["id"]),
            name: text(&test["name"]),
            kind: text(&test["kind"]),
            depends_on: test["depends_on"].as_array().into_iter().flatten().map(text).collect(),
            browser_only: test["browser_only"] == true,
            result: test["result"].clone(),
        })
        .collect())
}

/// Takes the results of `newer` where it has any.
pub(super) fn replace(tests: &mut [Test], newer: Vec<Test>) {
    for test in newer {
        if let Some(old) = tests.iter_mut().find(|old| old.id == test.id) {
            old.result = test.result;
        }
    }
}

/// Whether the test passed, and all that it depends on did.
pub(super) fn has_passed(tests: &[Test], id: &str) -> bool {
    let Some(test) = tests.iter().find(|test| test.id == id) else { return false };
    // One that was left out by choice says nothing.
    let is_there = |id: &&String| tests.iter().any(|test| test.id == **id);
    test.result == true && test.depends_on.iter().filter(is_there).all(|id| has_passed(tests, id))
}

/// `required P/N, optimal P/N`, of the tests for shared caches.
pub(super) fn line(tests: &[Test]) -> String {
    format!("{}, {}", count(tests, "required"), count(tests, "optimal"))
}

/// What a cache may do one way or the other.
pub(super) fn checks(tests: &[Test]) -> String {
    format!("{} answered with yes", count(tests, "check"))
}

fn count(tests: &[Test], kind: &str) -> String {
    let all: Vec<_> = tests.iter().filter(|test| test.kind == kind && !test.browser_only).collect();
    let passed = all.iter().filter(|test| has_passed(tests, &test.id)).count();
    format!("{kind} {passed}/{}", all.len())
}

/// The required and optimal tests that did not pass.
pub(super) fn misses(tests: &[Test]) -> Vec<&Test> {
    let counts = |test: &&Test| test.kind != "check" && !test.browser_only;
    tests.iter().filter(counts).filter(|test| !has_passed(tests, &test.id)).collect()
}

/// The ids of misses that nobody knows of.
pub(super) fn surprising(tests: &[Test], known: &[(String, String)]) -> Vec<String> {
    let is_known = |id: &str| known.iter().any(|(known, _)| known == id);
    misses(tests).iter().map(|test| test.id.clone()).filter(|id| !is_known(id)).collect()
}

/// Reads the rows ``| `id` | kind | reason |`` of a document.
pub(super) fn known_misses(document: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let (id, kind, reason) = (cells.next()?, cells.next()?, cells.next()?);
        let id = id.strip_prefix('`')?.strip_suffix('`')?;
        matches!(kind, "required" | "optimal").then(|| (id.to_owned(), reason.to_owned()))
    };
    document.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results() -> Vec<Test> {
        let test = |id: &str, kind: &str, depends_on: &[&str], result: Value| json!({"id": id, "name": "n", "kind": kind, "depends_on": depends_on, "browser_only": id == "own", "result": result});
        let all = json!([
            test("a", "required", &[], json!(true)),
            test("b", "required", &["c"], json!(true)),
            test("c", "check", &[], json!(["Assertion", "no"])),
            test("d", "optimal", &["a"], json!(["Setup", "x"])),
            test("own", "required", &[], json!(null)),
        ]);
        read(all.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_test_passes_with_all_that_it_depends_on() {
        let mut tests = results();
        assert_eq!(line(&tests), "required 1/2, optimal 0/1");
        assert_eq!(misses(&tests).iter().map(|test| test.why()).collect::<Vec<_>>(), ["depends on c", "x"]);
        let known = known_misses("| test | kind | why |\n|---|---|---|\n| `b` | required | so |\n| `x` | other | y |");
        assert_eq!(known, [("b".to_owned(), "so".to_owned())]);
        assert_eq!(surprising(&tests, &known), ["d"]);
        let mut newer = tests.clone();
        newer[3].result = json!(true);
        replace(&mut tests, newer);
        assert_eq!(line(&tests), "required 1/2, optimal 1/1");
    }
}
