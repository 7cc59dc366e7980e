//! A case: a small world with everything in it that decides who may be told what.
//!
//! Few paths and few tokens, so that they meet; times around the edges of the windows, so that what is
//! a moment too old is asked for.

use crate::{
    draw::Stream,
    manner::{Manner, USUAL_ACCEPTS, Validator, Wants},
    plan::{Fault, Layer, Link, Node, Op, Place, Plan, Policy, Role, Share, Sharing, Token, Trouble, VERSION, What},
};

pub const NAME: &str = "property";

const SECRET: &str = "acme/secret";
const REPOS: [&str; 4] = [SECRET, "octocat/Hello-World", "octo-org/empty", "octocat/diary"];

/// Private and public, alone and in listings, empty, by another name, missing, one's own.
const PATHS: [&str; 20] = [
    "/repos/acme/secret",
    "/repos/acme/secret/issues",
    "/repos/acme/secret/issues/1",
    "/repos/acme/secret/git/blobs/size-900",
    "/repos/octocat/diary/actions/runners",
    "/repos/acme/secret/actions/runs?per_page=2",
    "/repos/acme/secret/branches",
    "/repos/ACME/Secret",
    "/repos/acme/secret/releases/latest",
    "/repos/octocat/diary",
    "/repos/octocat/Hello-World",
    "/repos/octocat/Hello-World/issues?per_page=3",
    "/repos/octocat/Hello-World/issues/1",
    "/repos/octocat/Hello-World/pulls/9999",
    "/repos/octo-org/empty",
    "/repos/octo-org/empty/issues",
    "/repos/octo-org/empty/pulls",
    "/repos/acme/nothing",
    "/user",
    "/user/repos",
];

/// Tokens by how often they ask: most see what is private.
const USUAL_TOKENS: [usize; 8] = [0, 0, 0, 1, 2, 2, 3, 4];

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Draws the case of a seed.
pub fn case(seed: u64, canary: Option<&str>) -> Plan {
    let mut drawn = Stream::new(seed, "property");
    let machines = match drawn.range(0, 1_000) {
        0..980 => 1,
        980..995 => 2,
        _ => 3,
    };
    let policy = policy(&mut drawn);
    let link = Link { latency_ms: drawn.range(1, 4), jitter_ms: 0, loss_ppm: 0, bytes_per_sec: None };
    let mut plan = Plan {
        version: VERSION,
        scenario: NAME.to_owned(),
        seed,
        layer: Layer::Bare,
        tick_ms: 1,
        span_ms: 0,
        settle_ms: 0,
        policy,
        sharing: sharing(&mut drawn),
        link,
        origin_ms: drawn.range(2, 200),
        tokens: tokens(&mut drawn),
        nodes: (0..machines).map(|id| node(id, &mut drawn)).collect(),
        sites: Vec::new(),
        ops: Vec::new(),
        faults: Vec::new(),
        model: crate::plan::Model::default(),
        canary: canary.map(str::to_owned),
    };
    let count = *drawn.pick(&[1, 1, 2, 2, 3]);
    let paths: Vec<&str> = (0..count).map(|_| *drawn.pick(&PATHS)).collect();
    let asking: Vec<usize> = (0..3).map(|_| *drawn.pick(&USUAL_TOKENS)).collect();
    let edges = edges(policy);
    // A fleet talks all the time, so its worlds are short.
    let gap_max = if machines > 1 { 20 * SECOND } else { *drawn.pick(&[5 * MINUTE, 15 * MINUTE, 2 * HOUR]) };
    let mut at_ms = if machines > 1 { 5 * SECOND } else { 10 };
    for id in 0..drawn.range(10, 41) as u32 {
        at_ms += gap(&mut drawn, &edges).min(gap_max);
        let what = what(&mut drawn, &plan, &paths, &asking);
        plan.ops.push(Op { id, at_ms, what });
    }
    plan.span_ms = at_ms + 30 * SECOND;
    for id in 0..*drawn.pick(&[0, 0, 0, 1, 1, 2]) {
        plan.faults.push(fault(id, &mut drawn, &plan, &edges));
    }
    plan
}

/// Each window at its least, its usual and its most; both clocks shorter than the other.
fn policy(drawn: &mut Stream) -> Policy {
    let default_ttl_ms =
        *drawn.pick(&[None, None, None, Some(0), Some(SECOND), Some(5 * MINUTE), Some(5 * MINUTE), Some(24 * HOUR)]);
    let proof_window_ms =
        *drawn.pick(&[None, None, None, Some(0), Some(2 * SECOND), Some(20 * SECOND), Some(HOUR), Some(HOUR)]);
    let stale_for_ms = *drawn.pick(&[0, 30 * SECOND, HOUR, HOUR, 7 * 24 * HOUR]);
    Policy { default_ttl_ms, proof_window_ms, stale_for_ms }
}

fn sharing(drawn: &mut Stream) -> Sharing {
    let share = *drawn.pick(&[Share::Token, Share::Proof, Share::Proof, Share::Trusted]);
    let mut some = |percent| if drawn.percent(percent) { vec![(*drawn.pick(&REPOS)).to_owned()] } else { Vec::new() };
    Sharing { share, never_cache: some(10), never_share: some(10) }
}

/// Two tokens of one user, as before and after a rotation, two of another with unlike roles, and a stranger.
fn tokens(drawn: &mut Stream) -> Vec<Token> {
    let limit = *drawn.pick(&[5_000, 5_000, 5_000, 6]);
    let token = |login: &str, repos: &[&str]| Token {
        login: login.to_owned(),
        repos: repos.iter().map(|repo| (*repo).to_owned()).collect(),
        limit,
    };
    vec![
        token("octocat", &[SECRET]),
        token("octocat", &[SECRET]),
        token("hubot", &[SECRET]),
        token("hubot", &[]),
        token("monalisa", &[]),
    ]
}

fn node(id: u32, drawn: &mut Stream) -> Node {
    let starts_ms = if id == 0 { 0 } else { drawn.range(0, 500) };
    Node {
        id,
        role: Role::Node,
        place: Place::Lan,
        starts_ms,
        stops_ms: None,
        has_disk: drawn.percent(10),
        clock_ms: 0,
        old_until_ms: None,
    }
}

/// The moments after an answer at which its meaning changes.
fn edges(policy: Policy) -> Vec<u64> {
    let proof = policy.proof_window_ms.or(policy.default_ttl_ms).unwrap_or(MINUTE);
    let fresh = policy.default_ttl_ms.unwrap_or(MINUTE);
    vec![proof, fresh, proof + policy.stale_for_ms, 15 * SECOND, 30 * SECOND, MINUTE]
}

fn gap(drawn: &mut Stream, edges: &[u64]) -> u64 {
    match drawn.range(0, 100) {
        0..25 => drawn.range(0, 20),
        25..65 => drawn.range(0, 3 * SECOND),
        65..75 => drawn.range(0, MINUTE),
        75..95 => (*drawn.pick(edges)).saturating_add(drawn.range(0, 400)).saturating_sub(drawn.range(0, 400)),
        _ => drawn.range(0, HOUR),
    }
}

fn what(drawn: &mut Stream, plan: &Plan, paths: &[&str], asking: &[usize]) -> What {
    let node = drawn.range(0, plan.nodes.len() as u64) as u32;
    let token = *drawn.pick(asking);
    let repo = || repo_in(paths).unwrap_or(SECRET).to_owned();
    match drawn.range(0, 100) {
        0..70 => {
            let token = (!drawn.percent(6)).then_some(token);
            What::Ask { node, token, path: (*drawn.pick(paths)).to_owned(), manner: manner(drawn) }
        }
        70..75 => What::Write { node, token: if drawn.percent(70) { 0 } else { token }, repo: repo() },
        75..79 => What::Change { repo: repo() },
        79..83 => What::Edit { repo: repo() },
        83..87 => What::Hide { repo: repo(), private: drawn.percent(60) },
        87..92 => What::Deny { token, repo: repo() },
        92..96 => What::Grant { token, repo: repo() },
        _ => What::Revoke { token },
    }
}

/// The repository that the first of these paths is about.
fn repo_in(paths: &[&str]) -> Option<&'static str> {
    let names = |path: &str, repo: &str| {
        let rest = path.to_ascii_lowercase();
        rest.strip_prefix("/repos/").is_some_and(|rest| rest.starts_with(&repo.to_ascii_lowercase()))
    };
    paths.iter().find_map(|path| REPOS.into_iter().find(|repo| names(path, repo)))
}

fn manner(drawn: &mut Stream) -> Manner {
    let mut manner = Manner { head: drawn.percent(8), gzip: drawn.percent(25), ..Manner::default() };
    manner.accept = match drawn.range(0, 100) {
        0..20 => Some((*drawn.pick(&USUAL_ACCEPTS)).to_owned()),
        20..25 => Some("application/vnd.github.raw+json".to_owned()),
        _ => None,
    };
    manner.wants = match drawn.range(0, 100) {
        0..10 => Some(Wants::NoCache),
        10..16 => Some(Wants::MaxAge(*drawn.pick(&[0, 1, 10, 3600]))),
        16..20 => Some(Wants::OnlyIfCached),
        20..22 => Some(Wants::NoStore),
        _ => None,
    };
    manner.validator = match drawn.range(0, 100) {
        0..12 => Some(Validator::Own),
        12..20 => Some(Validator::Foreign),
        20..22 => Some(Validator::Any),
        _ => None,
    };
    manner.range = drawn.percent(3).then(|| *drawn.pick(&[0, 9, 1_000_000]));
    manner
}

fn fault(id: u32, drawn: &mut Stream, plan: &Plan, edges: &[u64]) -> Fault {
    let from_ms = plan.ops[drawn.range(0, plan.ops.len() as u64) as usize].at_ms.saturating_sub(drawn.range(0, 30));
    let edge = *drawn.pick(edges);
    let lasts = *drawn.pick(&[50, 5 * SECOND, 2 * MINUTE, 3 * HOUR, edge]);
    let node = drawn.range(0, plan.nodes.len() as u64) as u32;
    let login = drawn.pick(&plan.tokens).login.clone();
    let (what, lasts) = match drawn.range(0, 100) {
        0..30 => (Trouble::Outage { status: Some(*drawn.pick(&[500, 502, 503])) }, lasts),
        30..45 => (Trouble::Outage { status: None }, lasts),
        45..60 => (Trouble::SecondaryLimit { retry_after_secs: *drawn.pick(&[1, 30, 600]) }, lasts),
        60..72 => (Trouble::Exhausted { login }, lasts),
        72..80 => (Trouble::Unreachable { node }, lasts),
        80..88 => (Trouble::SlowOrigin { by_ms: *drawn.pick(&[300, 5_000, 30_000]) }, lasts),
        _ => (Trouble::Kill { node }, *drawn.pick(&[50, 2 * SECOND])),
    };
    let from_ms = from_ms.min(plan.span_ms - 2);
    Fault { id, from_ms, until_ms: (from_ms + lasts.max(1)).min(plan.span_ms), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_case_and_every_case_can_be_played() {
        for seed in 0..500 {
            let plan = case(seed, None);
            assert_eq!(plan, case(seed, None));
            plan.check().expect("a drawn plan makes sense");
        }
    }
}
