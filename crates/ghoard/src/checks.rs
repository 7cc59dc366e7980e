//! What `ghoard probe` and `ghoard doctor` found, line by line: what is well, what is not, and the cure.

use serde_json::{Value, json};

use crate::output;

/// A list of findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Check>);

#[derive(Debug)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    cure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Well,
    /// It works, and not as it could.
    Doubtful,
    Wrong,
    /// It could not be looked at, or there was nothing to look at.
    Open,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Doubtful => "warn",
            Self::Wrong => "WRONG",
            Self::Open => "-",
        }
    }
}

impl Report {
    pub(crate) fn well(&mut self, name: &'static str, detail: impl Into<String>) {
        self.add(name, Verdict::Well, detail.into(), None);
    }

    pub(crate) fn open(&mut self, name: &'static str, detail: impl Into<String>) {
        self.add(name, Verdict::Open, detail.into(), None);
    }

    pub(crate) fn doubtful(&mut self, name: &'static str, detail: impl Into<String>, cure: impl Into<String>) {
        self.add(name, Verdict::Doubtful, detail.into(), Some(cure.into()));
    }

    pub(crate) fn wrong(&mut self, name: &'static str, detail: impl Into<String>, cure: impl Into<String>) {
        self.add(name, Verdict::Wrong, detail.into(), Some(cure.into()));
    }

    fn add(&mut self, name: &'static str, verdict: Verdict, detail: String, cure: Option<String>) {
        // Where there is nothing to try, no line says so.
        let cure = cure.filter(|cure| !cure.is_empty());
        self.0.push(Check { name, verdict, detail, cure });
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_well(&self) -> bool {
        self.0.iter().all(|check| check.verdict != Verdict::Wrong)
    }

    /// Prints a line for each check, and the cure below what is not well; or all of it as JSON.
    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            return output::data(&self.json().to_string());
        }
        for Check { name, verdict, detail, cure } in &self.0 {
            output::data(&format!("{:<6} {name:<12} {detail}", verdict.word()));
            if let Some(cure) = cure {
                output::data(&format!("{:<6} {:<12} try: {cure}", "", ""));
            }
        }
    }

    fn json(&self) -> Value {
        let check = |Check { name, verdict, detail, cure }: &Check| json!({ "check": name, "verdict": verdict.word().to_lowercase(), "detail": detail, "cure": cure });
        json!({ "well": self.is_well(), "checks": self.0.iter().map(check).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_makes_a_report_bad() {
        let mut report = Report::default();
        report.well("a", "fine");
        report.doubtful("b", "so so", "more");
        report.open("c", "not looked at");
        assert!(report.is_well());
        report.wrong("d", "bad", "mend it");
        assert!(!report.is_well());
        let last = &report.json()["checks"][3];
        assert_eq!((&last["verdict"], &last["cure"]), (&"wrong".into(), &"mend it".into()));
    }
}
