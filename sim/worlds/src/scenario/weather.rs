//! What goes wrong, drawn.

use super::draft::Draft;
use crate::{
    draw::Stream,
    plan::{Lie, Link, Node, Role, Trouble, What},
};

impl Draft {
    fn moment(&self, purpose: &str, from: u64, to: u64) -> (Stream, u64, u64) {
        let mut drawn = self.stream(purpose);
        let begins = drawn.range(3_000, self.plan.span_ms.saturating_sub(from).max(3_001));
        let lasts = drawn.range(from, to);
        (drawn, begins, lasts)
    }

    fn any(&self, drawn: &mut Stream) -> u32 {
        drawn.pick(&self.plan.nodes).id
    }

    /// Two machines, not the same.
    fn pair(&self, drawn: &mut Stream) -> Option<(u32, u32)> {
        let one = self.any(drawn);
        let others: Vec<u32> = self.plan.nodes.iter().map(|node| node.id).filter(|node| *node != one).collect();
        (!others.is_empty()).then(|| (one, *drawn.pick(&others)))
    }

    fn honest(&self, drawn: &mut Stream) -> u32 {
        let honest: Vec<u32> =
            self.plan.nodes.iter().filter(|node| node.role == Role::Node).map(|node| node.id).collect();
        *drawn.pick(&honest)
    }

    pub fn partitions(&mut self, count: u32, from: u64, to: u64) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("partition {number}"), from, to);
            // One at least on either side.
            let mut all: Vec<u32> = self.plan.nodes.iter().map(|node| node.id).collect();
            let stays = drawn.range(0, all.len() as u64) as usize;
            all.remove(stays);
            let goes = drawn.range(0, all.len() as u64) as usize;
            let mut side: Vec<u32> = Vec::new();
            for (place, node) in all.into_iter().enumerate() {
                if drawn.percent(40) || place == goes {
                    side.push(node);
                }
            }
            self.fault(begins, lasts, Trouble::Partition { side });
        }
    }

    /// The first half on one side.
    pub fn long_partition(&mut self, begins: u64, lasts: u64) {
        let half = self.plan.nodes.len() / 2;
        let side = self.plan.nodes.iter().take(half).map(|node| node.id).collect();
        self.fault(begins, lasts, Trouble::Partition { side });
    }

    /// The last machine alone on one side. What it knows is written to by others meanwhile, and its clients
    /// ask for it before, while it is cut off, and when it is back.
    pub fn cut_off(&mut self, begins: u64, lasts: u64) {
        let Some(node) = self.plan.nodes.last().map(|node| node.id) else { return };
        let others: Vec<u32> = self.plan.nodes.iter().map(|node| node.id).filter(|other| *other != node).collect();
        self.fault(begins, lasts, Trouble::Partition { side: vec![node] });
        let (ends, repos) = (begins + lasts, ["octocat/Hello-World", "octocat/Spoon-Knife"]);
        for (number, repo) in repos.into_iter().enumerate() {
            let mut drawn = self.stream(&format!("write {number} while one is cut off"));
            let path = format!("/repos/{repo}");
            let token = drawn.range(0, 2) as usize;
            let ask = |node| What::ask(node, Some(token), path.clone());
            self.op(begins - drawn.range(1_000, 20_000), ask(node));
            let Some(writer) = (!others.is_empty()).then(|| *drawn.pick(&others)) else { return };
            let write = What::Write { node: writer, token: 0, repo: repo.to_owned() };
            self.op(begins + drawn.range(1_000, lasts), write);
            for _ in 0..3 {
                self.op(begins + drawn.range(1_000, lasts), ask(node));
            }
            for _ in 0..6 {
                self.op(ends + drawn.range(0, 60_000), ask(node));
            }
        }
    }

    pub fn one_ways(&mut self, count: u32, from: u64, to: u64) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("one way {number}"), from, to);
            let Some((from, to)) = self.pair(&mut drawn) else { return };
            self.fault(begins, lasts, Trouble::OneWay { from, to });
        }
    }

    pub fn holds(&mut self, count: u32, from: u64, to: u64) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("hold {number}"), from, to);
            let Some((a, b)) = self.pair(&mut drawn) else { return };
            self.fault(begins, lasts, Trouble::Hold { a, b });
        }
    }

    pub fn kills(&mut self, count: u32, from: u64, to: u64) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("kill {number}"), from, to);
            // Of those that are alive then.
            let alive = |node: &&Node| {
                let stops = node.stops_ms.unwrap_or(self.plan.span_ms);
                node.role == Role::Node && node.starts_ms < begins && begins < stops
            };
            let alive: Vec<u32> = self.plan.nodes.iter().filter(alive).map(|node| node.id).collect();
            if alive.is_empty() {
                continue;
            }
            let node = *drawn.pick(&alive);
            let trouble =
                if drawn.percent(50) { Trouble::Kill { node } } else { Trouble::Power { node, at_write: None } };
            self.fault(begins, lasts, trouble);
        }
    }

    /// At writes, mostly: a few after some moment, and soon after the power is back once more, at a
    /// write of the opening. A loss comes when its write does, and at the end of its fault if that
    /// never comes; the power is back when the fault ends.
    pub fn power_losses(&mut self, count: u32) {
        let nodes: Vec<u32> = self.plan.nodes.iter().map(|node| node.id).collect();
        for node in nodes {
            for number in 0..count {
                let mut drawn = self.stream(&format!("power loss {number} of n{node}"));
                let part = self.plan.span_ms.saturating_sub(6_000) / u64::from(count);
                let begins = 3_000 + u64::from(number) * part + drawn.range(0, part / 4);
                let lasts = drawn.range(part / 4, part / 2);
                let at_write = drawn.percent(85).then(|| drawn.range(0, 12));
                self.fault(begins, lasts, Trouble::Power { node, at_write });
                if drawn.percent(60) {
                    let at_write = Some(drawn.range(0, 8));
                    self.fault(begins + lasts, drawn.range(100, part / 5), Trouble::Power { node, at_write });
                }
            }
        }
    }

    pub fn outages(&mut self, count: u32) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("outage {number}"), 3_000, 40_000);
            let node = self.honest(&mut drawn);
            let trouble = match drawn.range(0, 4) {
                0 => Trouble::Outage { status: Some(500) },
                1 => Trouble::Outage { status: Some(503) },
                2 => Trouble::Outage { status: None },
                _ => Trouble::Unreachable { node },
            };
            self.fault(begins, lasts, trouble);
        }
    }

    pub fn limits(&mut self, count: u32) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("limit {number}"), 3_000, 40_000);
            let login = drawn.pick(&self.plan.tokens).login.clone();
            let trouble = match drawn.range(0, 3) {
                0 => Trouble::SecondaryLimit { retry_after_secs: drawn.range(1, 60) },
                1 => Trouble::Outage { status: Some(429) },
                _ => Trouble::Exhausted { login },
            };
            self.fault(begins, lasts, trouble);
        }
    }

    pub fn slow_links(&mut self, count: u32) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("slow link {number}"), 5_000, 40_000);
            let link = Link {
                latency_ms: drawn.range(50, 2_000),
                jitter_ms: drawn.range(0, 200),
                loss_ppm: *drawn.pick(&[0, 10_000, 50_000]),
                bytes_per_sec: Some(drawn.range(10_000, 1_000_000)),
            };
            let node = self.honest(&mut drawn);
            self.fault(begins, lasts, Trouble::SlowLink { node, link });
        }
    }

    pub fn slow_disks(&mut self, count: u32) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("slow disk {number}"), 5_000, 30_000);
            let node = self.honest(&mut drawn);
            let by_ms = drawn.range(5, 2_000);
            self.fault(begins, lasts, Trouble::SlowDisk { node, by_ms });
        }
    }

    pub fn slow_origin(&mut self, count: u32) {
        for number in 0..count {
            let (mut drawn, begins, lasts) = self.moment(&format!("slow origin {number}"), 5_000, 20_000);
            let by_ms = drawn.range(500, 12_000);
            self.fault(begins, lasts, Trouble::SlowOrigin { by_ms });
        }
    }

    /// About what is asked, mostly: a question follows most lies.
    pub fn lies(&mut self, count: u32) {
        let liars: Vec<u32> =
            self.plan.nodes.iter().filter(|node| node.role == Role::Liar).map(|node| node.id).collect();
        let Some(node) = liars.first().copied() else { return };
        let kinds = [
            Lie::WrongDigest,
            Lie::Forged,
            Lie::Forged,
            Lie::ForgedTag,
            Lie::Future,
            Lie::WrongBody,
            Lie::WrongBody,
            Lie::Endless,
            Lie::Oversize,
            Lie::Nonsense,
        ];
        let paths = [
            "/repos/octocat/Hello-World",
            "/repos/acme/secret",
            "/repos/octocat/Spoon-Knife",
            "/repos/octocat/Hello-World/git/blobs/size-900",
            "/repos/octocat/Hello-World/git/blobs/size-150000",
        ];
        for number in 0..count {
            let mut drawn = self.stream(&format!("lie {number}"));
            let at_ms = drawn.range(6_000, self.plan.span_ms - 2_000);
            let token = drawn.range(0, self.plan.tokens.len() as u64) as usize;
            let path = (*drawn.pick(&paths)).to_owned();
            let lie = *drawn.pick(&kinds);
            if matches!(lie, Lie::WrongBody | Lie::Endless) {
                self.false_holder(node, token, lie, at_ms, number);
                continue;
            }
            self.op(at_ms, What::Lie { node, token, path: path.clone(), lie });
            if drawn.percent(70)
                && let Some((asked, ..)) = self.life(&mut drawn)
            {
                let at_ms = at_ms + drawn.range(50, 1_000);
                self.op(at_ms, What::ask(asked, Some(token), path));
            }
        }
    }

    /// A liar says that it, too, holds what one machine was just told and others will want: a body of
    /// its own, so that nobody has it yet, and too large to have come with the announce.
    fn false_holder(&mut self, node: u32, token: usize, lie: Lie, at_ms: u64, number: u32) {
        let path = format!("/repos/octocat/Hello-World/git/blobs/size-150000?lie={number}");
        let ask = |node| What::ask(node, Some(token), path.clone());
        let honest = self.plan.nodes.iter().filter(|node| node.role == Role::Node).map(|node| node.id);
        let honest: Vec<u32> = honest.collect();
        let mut drawn = self.stream(&format!("those who believe lie {number}"));
        let first = *drawn.pick(&honest);
        self.op(at_ms - 1_500, ask(first));
        let others = honest.into_iter().filter(|node| *node != first);
        for other in others {
            let at_ms = at_ms + drawn.range(300, 1_500);
            self.op(at_ms, ask(other));
        }
        self.op(at_ms, What::Lie { node, token, path: path.clone(), lie });
    }

    /// A private repository is taken from a token whose clients have read it and ask again: its pages
    /// one after the other, so that a refusal is heard while other pages would still be fresh.
    pub fn denials(&mut self) {
        let repo = "acme/secret";
        let mut drawn = self.stream("denial");
        let at_ms = drawn.range(10_000, self.plan.span_ms - 30_000);
        self.op(at_ms, What::Deny { token: 1, repo: repo.to_owned() });
        for number in 0..2 {
            let mut drawn = self.stream(&format!("client {number} of the denied repository"));
            let node = self.honest(&mut drawn);
            for path in ["/repos/acme/secret/issues", "/repos/acme/secret/pulls"] {
                let ask = || What::ask(node, Some(1), path.to_owned());
                self.op(at_ms - drawn.range(200, 2_000), ask());
                for _ in 0..4 {
                    let at_ms = at_ms + drawn.range(100, 25_000);
                    self.op(at_ms, ask());
                }
            }
        }
    }

    /// Two tokens are taken back; their clients go on asking: what they had before, and in between
    /// something new, from which their machine learns of it.
    pub fn revocations(&mut self) {
        for token in [2, 3] {
            let mut drawn = self.stream(&format!("revocation {token}"));
            let at_ms = drawn.range(15_000, self.plan.span_ms / 2);
            self.op(at_ms, What::Revoke { token });
            for number in 0..3 {
                let mut drawn = self.stream(&format!("client {number} of the revoked token {token}"));
                let node = self.honest(&mut drawn);
                let ask = |path: &str| What::ask(node, Some(token), path.to_owned());
                self.op(at_ms - drawn.range(500, 5_000), ask("/repos/octocat/Hello-World"));
                self.op(at_ms + drawn.range(100, 2_000), ask("/repos/octocat/Hello-World/git/blobs/size-1200"));
                self.op(at_ms + drawn.range(2_500, 8_000), ask("/repos/octocat/Hello-World"));
            }
        }
    }
}
