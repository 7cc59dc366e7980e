use serde_json::Value;
use wire::{Millis, SignedPeer};

use super::{
    Reply,
    comment::{Skipped, untimely},
};
use crate::limits;

/// The comments as they were read last.
#[derive(Default)]
pub(super) struct Pages(Vec<Page>);

struct Page {
    etag: Option<String>,
    has_next: bool,
    comments: Vec<Comment>,
}

pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) read: Result<Vec<SignedPeer>, Skipped>,
}

impl Pages {
    pub(super) fn etag(&self, number: usize) -> Option<String> {
        self.0.get(number)?.etag.clone()
    }

    pub(super) fn has_next(&self, number: usize) -> bool {
        number + 1 < limits::COMMENT_PAGES_MAX && self.0.get(number).is_some_and(|page| page.has_next)
    }

    /// Takes a page in, in place of what was known of it.
    pub(super) fn replace(
        &mut self,
        number: usize,
        reply: &Reply,
        read: impl Fn(&str) -> Result<Vec<SignedPeer>, Skipped>,
    ) {
        let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let comments = value.as_array().into_iter().flatten().filter_map(|comment| {
            Some(Comment { id: comment["id"].as_u64()?, read: read(comment["body"].as_str().unwrap_or_default()) })
        });
        let page = Page { etag: reply.etag.clone(), has_next: reply.has_next, comments: comments.collect() };
        self.0.truncate(if page.has_next { self.0.len() } else { number + 1 });
        match self.0.get_mut(number) {
            Some(known) => *known = page,
            None => self.0.push(page),
        }
    }

    pub(super) fn comments(&self) -> impl Iterator<Item = &Comment> {
        self.0.iter().flat_map(|page| &page.comments)
    }

    /// Every record that a member sealed and signed, whatever its times.
    pub(super) fn records(&self) -> impl Iterator<Item = &SignedPeer> {
        self.comments().filter_map(|comment| comment.read.as_ref().ok()).flatten()
    }

    /// With its id, what each comment's writer says of itself.
    pub(super) fn writers(&self) -> impl Iterator<Item = (u64, &SignedPeer)> {
        self.comments().filter_map(|comment| Some((comment.id, comment.read.as_ref().ok()?.first()?)))
    }

    /// Why comments are left out, at `now`.
    pub(super) fn skipped(&self, now: Millis) -> impl Iterator<Item = Skipped> {
        self.comments().filter_map(move |comment| match &comment.read {
            Ok(records) => records.iter().find_map(|record| untimely(record, now)),
            Err(why) => Some(*why),
        })
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.0.iter_mut().for_each(|page| page.comments.retain(|comment| comment.id != id));
    }
}
