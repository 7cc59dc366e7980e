use std::{collections::BTreeMap, sync::LazyLock};

use super::{Row, table::TABLE};
use crate::Target;

/// The table as a tree of segments, so that a look-up costs the length of the path, not of the table.
static TREE: LazyLock<Node> = LazyLock::new(|| {
    let mut root = Node::default();
    for row in TABLE {
        root.insert(row);
    }
    root
});

#[derive(Default)]
struct Node {
    literal: BTreeMap<&'static str, Node>,
    /// `:sha`, a full SHA-1 in hexadecimal.
    sha: Option<Box<Node>>,
    /// `:name`, any segment.
    any: Option<Box<Node>>,
    row: Option<&'static Row>,
    /// `*`, any segments, at least one.
    rest: Option<&'static Row>,
}

/// The row of the table that `target` is of. GitHub's routes differ in more than case, so case is
/// ignored: a class that is never stored must not be left by a capital letter.
pub(super) fn find(target: &Target) -> Option<&'static Row> {
    let path = target.path().to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    TREE.find(&canonical(segments))
}

/// The named form of what GitHub also calls by number, in `Link` headers above all.
fn canonical(mut segments: Vec<&str>) -> Vec<&str> {
    match segments.as_slice() {
        ["repositories", id, ..] if is_id(id) => {
            // Which owner and which name matter to no class.
            segments.splice(..2, ["repos", ":owner", ":repo"]);
        }
        ["organizations", id, ..] if is_id(id) => segments[0] = "orgs",
        ["user", id, ..] if is_id(id) => segments[0] = "users",
        _ => {}
    }
    segments
}

impl Node {
    fn insert(&mut self, row: &'static Row) {
        let mut node = self;
        for segment in row.pattern.split('/').filter(|segment| !segment.is_empty()) {
            node = match segment {
                "*" => {
                    node.rest = Some(row);
                    return;
                }
                ":sha" => node.sha.get_or_insert_default(),
                name if name.starts_with(':') => node.any.get_or_insert_default(),
                literal => node.literal.entry(literal).or_default(),
            };
        }
        node.row = Some(row);
    }

    /// The most specific row: a literal goes before a SHA, a SHA before any segment, that before `*`.
    fn find(&self, segments: &[&str]) -> Option<&'static Row> {
        let Some((first, others)) = segments.split_first() else { return self.row };
        let literal = self.literal.get(first).and_then(|node| node.find(others));
        let sha = || self.sha.as_ref().filter(|_| is_sha(first)).and_then(|node| node.find(others));
        let any = || self.any.as_ref().and_then(|node| node.find(others));
        literal.or_else(sha).or_else(any).or(self.rest)
    }
}

pub(crate) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
