//! `ghoard doctor --etag` tells whether the rule holds, for a token that it never shows.

use std::{path::Path, process::Output};

use fakehub::EtagRule;

use crate::{
    home::Home,
    world::{GitHub, TOKEN},
};

fn doctor(home: &Home, origin: &str, token: &str, arguments: &str) -> (i32, String) {
    let mut command = home.ghoard(&format!("doctor {arguments}"));
    command.env("GHOARD_ORIGIN", origin).env("GH_TOKEN", token).env("GHOARD_LOG", "trace");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let all = [stdout.as_slice(), &stderr].map(String::from_utf8_lossy).concat();
    assert!(!all.contains("Octocat"), "the token is shown:\n{all}");
    (status.code().unwrap(), all)
}

#[test]
fn a_rule_that_holds_is_proved_for_free() {
    let (github, home) = (GitHub::start(), Home::new());
    let (code, said) = doctor(&home, &github.url, TOKEN, "--etag");
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("304 to it, free").count(), 3, "{said}");
    assert!(said.contains("with the token in GH_TOKEN"), "{said}");
    let total = github.hub().counts().total;
    assert_eq!((total.charged, total.not_modified), (3, 3));

    let (code, said) = doctor(&home, &github.url, TOKEN, "--etag --json");
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    let report: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((code, &report["holds"], &report["questions"][0]["outcome"]), (0, &true.into(), &"holds".into()));
    assert!(!Path::new(&home.path(".cache")).exists(), "it leaves nothing behind");
}

#[test]
fn a_rule_that_was_changed_is_said_so() {
    let (github, home) = (GitHub::start(), Home::new());
    github.hub().etag_rule = EtagRule::Changed;
    let (code, said) = doctor(&home, &github.url, TOKEN, "--etag");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("differs      /user: GitHub's ETag is "), "{said}");
    assert!(said.contains("The rule does not hold"), "{said}");
}

#[test]
fn without_an_answer_there_is_no_verdict() {
    let (mut github, home) = (GitHub::start(), Home::new());
    let (code, said) = doctor(&home, &github.url, "", "--etag");
    assert!(code == 2 && said.contains("none is set") && said.contains("hint: "), "{said}");
    let (code, said) = doctor(&home, &github.url, "ghp_unknown", "--etag");
    assert!(code == 2 && said.contains("GitHub answered 401") && said.contains("nothing could be checked"), "{said}");
    github.stop();
    let (code, said) = doctor(&home, &github.url, TOKEN, "--etag");
    assert!(code == 2 && said.contains("cannot connect"), "{said}");
    let (code, said) = doctor(&home, &github.url, TOKEN, "");
    assert!(code == 1 && said.contains("does not answer") && said.contains("--etag"), "{said}");
}
