//! Worlds that are not one network: offices behind routers of many kinds, and anchors on the internet.

use super::draft::Draft;
use crate::{
    checkers::CROSSING,
    nat_matrix::Cell,
    plan::{Link, Place, Router, Site, Trouble, What},
};

/// Bytes of what crosses between two machines: too many to go along with its announce.
const CROSSING_BYTES: u32 = 9_000;

/// After a change all is well again, by the promise, and what crosses then is looked at.
const REACH_MS: u64 = 60_000;

/// How long all crossings of a world take.
const CROSSING_MS: u64 = 10_000;

/// The lot of the machines from the first on: anchors, one for each router and round again, and in public.
fn lay_out(draft: &mut Draft, anchors: usize, routers: &[Router], public: usize) {
    let plan = &mut draft.plan;
    plan.tick_ms = plan.tick_ms.max(5);
    plan.sites = routers.iter().zip(0..).map(|(router, id)| Site { id, router: *router }).collect();
    let count = plan.nodes.len();
    for (at, node) in plan.nodes.iter_mut().enumerate() {
        node.place = match at {
            _ if at < anchors => Place::Anchor,
            _ if at >= count - public || routers.is_empty() => Place::Public,
            _ => Place::Site(((at - anchors) % routers.len()) as u32),
        };
        node.has_disk = false;
        if node.place == Place::Anchor {
            node.starts_ms = 0;
        }
    }
    let mut drawn = draft.stream("links between offices");
    let latency_ms = drawn.range(8, 25);
    let link = Link { latency_ms, jitter_ms: drawn.range(0, 4), loss_ppm: 0, bytes_per_sec: None };
    (draft.plan.link, draft.plan.origin_ms) = (link, drawn.range(30, 250));
    draft.plan.policy.default_ttl_ms = None;
    draft.plan.policy.proof_window_ms = None;
}

fn routers(draft: &Draft, count: usize) -> Vec<Router> {
    let mut drawn = draft.stream("routers");
    (0..count).map(|_| *drawn.pick(&Router::ALL)).collect()
}

/// From `at_ms` on each two of these machines, in one direction or the other, read what the other has.
fn crossings(draft: &mut Draft, at_ms: u64, of: &[u32]) {
    let mut drawn = draft.stream(&format!("crossings at {at_ms}"));
    let mut turn = 0;
    for (at, one) in of.iter().enumerate() {
        for other in &of[at + 1..] {
            let (a, b) = if drawn.percent(50) { (*one, *other) } else { (*other, *one) };
            crossing(draft, at_ms + 100 * turn, a, b, CROSSING_BYTES);
            turn += 1;
        }
    }
}

/// A asks GitHub for what nobody has asked for; B must get it from A.
fn crossing(draft: &mut Draft, at_ms: u64, a: u32, b: u32, bytes: u32) {
    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{bytes}{CROSSING}{a}-{b}-{at_ms}");
    draft.op(at_ms, What::ask(a, Some(0), path.clone()));
    draft.op(at_ms + 3_000, What::ask(b, Some(0), path));
}

fn all(draft: &Draft) -> Vec<u32> {
    draft.plan.nodes.iter().map(|node| node.id).collect()
}

/// One pair of kinds, A and B, with an anchor: `cargo xtask sim nat-matrix` plays all of them.
pub fn nat_matrix(draft: &mut Draft) {
    let Cell { a, b, is_one_router } = Cell::nth(draft.plan.seed);
    lay_out(draft, 1, &[], 2);
    for (number, router) in [a, b].into_iter().enumerate() {
        let Some(router) = router else { continue };
        let site = if is_one_router { 0 } else { number as u32 };
        if !draft.plan.sites.iter().any(|known| known.id == site) {
            draft.plan.sites.push(Site { id: site, router });
        }
        if let Some(node) = draft.plan.nodes.get_mut(number + 1) {
            node.place = Place::Site(site);
        }
    }
    for (node, starts_ms) in draft.plan.nodes.iter_mut().zip([0, 1_000, Cell::B_STARTS_MS]) {
        node.starts_ms = starts_ms;
    }
    draft.plan.span_ms = draft.span_of(Cell::B_STARTS_MS + 85_000);
    let ends = draft.plan.span_ms;
    if (Cell { a, b, is_one_router }).kernel().is_direct() {
        // Without the anchor, so that it is the connection between the two that carries it.
        draft.fault(ends - 15_000, 15_000, Trouble::Kill { node: 0 });
    }
    crossing(draft, ends - 10_000, 1, 2, Cell::BODY_BYTES);
}

/// People come and go in three offices, and two anchors stay.
pub fn sites(draft: &mut Draft) {
    let routers = routers(draft, 3);
    lay_out(draft, 2, &routers, 0);
    draft.plan.span_ms = draft.span_of(190_000);
    let last = draft.plan.nodes.len() - 1;
    let mut drawn = draft.stream("comings and goings");
    if let Some(late) = draft.plan.nodes.get_mut(2) {
        late.starts_ms = drawn.range(10_000, 40_000);
    }
    draft.plan.nodes[last].stops_ms = Some(drawn.range(45_000, 60_000));
    for _ in 0..2 {
        let node = drawn.range(2, last as u64) as u32;
        draft.fault(drawn.range(20_000, 45_000), drawn.range(500, 15_000), Trouble::Kill { node });
    }
    draft.questions(20);
    let staying: Vec<u32> = all(draft).into_iter().filter(|node| *node as usize != last).collect();
    crossings(draft, 60_000 + REACH_MS, &staying);
}

/// The only relay of offices that cannot do without is killed, or loses power, and comes back.
pub fn relay_restart(draft: &mut Draft) {
    let mut drawn = draft.stream("restart");
    let symmetric = [Router::Random, Router::FullyRandom];
    lay_out(draft, 1, &[symmetric[0], *drawn.pick(&Router::ALL), symmetric[1]], 0);
    let (at_ms, lasts_ms) = (drawn.range(35_000, 50_000), drawn.range(1_000, 20_000));
    draft.plan.span_ms = draft.span_of(at_ms + lasts_ms + REACH_MS + 15_000);
    let what = if drawn.percent(50) { Trouble::Kill { node: 0 } } else { Trouble::Power { node: 0, at_write: None } };
    draft.fault(at_ms, lasts_ms, what);
    let everybody = all(draft);
    crossings(draft, at_ms - 10_000, &everybody);
    crossings(draft, at_ms + lasts_ms + REACH_MS, &everybody);
}

/// Of two anchors one is lost for good, and then the other one, too.
pub fn anchor_loss(draft: &mut Draft) {
    let mut drawn = draft.stream("losses");
    let closed = [Router::Masquerade, Router::Random, Router::FullyRandom, Router::PortChanging];
    let routers = [0, 1, 2].map(|_| *drawn.pick(&closed));
    lay_out(draft, 2, &routers, 0);
    let first = drawn.range(30_000, 40_000);
    let second = first + REACH_MS + 15_000;
    draft.plan.span_ms = draft.span_of(second + REACH_MS + 10_000);
    let ends = draft.plan.span_ms;
    let lost = drawn.range(0, 2) as u32;
    for (node, at_ms) in [(lost, first), (1 - lost, second)] {
        let what = if drawn.percent(50) { Trouble::Kill { node } } else { Trouble::Power { node, at_write: None } };
        draft.fault(at_ms, ends - at_ms, what);
    }
    let staying: Vec<u32> = all(draft).into_iter().filter(|node| *node != lost).collect();
    crossings(draft, first + REACH_MS, &staying);
}

/// A machine in public gets another address, then a router does, and at last both have their old ones.
pub fn address_change(draft: &mut Draft) {
    let routers = routers(draft, 2);
    lay_out(draft, 1, &routers, 2);
    let mut drawn = draft.stream("changes");
    let count = draft.plan.nodes.len() as u64;
    let moved = [drawn.range(count.saturating_sub(2).max(1), count), drawn.range(1, count.saturating_sub(2))];
    let first = drawn.range(30_000, 40_000);
    let back = first + 2 * (REACH_MS + CROSSING_MS);
    draft.plan.span_ms = draft.span_of(back + REACH_MS + CROSSING_MS);
    let everybody = all(draft);
    for (node, at_ms) in moved.into_iter().zip([first, first + REACH_MS + CROSSING_MS]) {
        draft.fault(at_ms, back.saturating_sub(at_ms), Trouble::Moved { node: node as u32 });
        crossings(draft, at_ms + REACH_MS, &everybody);
    }
    crossings(draft, back + REACH_MS, &everybody);
}
