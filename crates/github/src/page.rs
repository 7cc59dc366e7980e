use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{Aliases, Route, Target, limits, link};

/// Whether an answer is the last page and full: then it must be fetched, not revalidated.
///
/// GitHub's ETag covers the body alone. When a next page appears, a full page stays what it was, and
/// a 304 to it hides the new `Link`. (Observed by others, who fetch such pages anew, too.)
/// Whatever is not clear counts as full and last: that costs a request.
pub fn is_full_last_page(target: &Target, link: Option<&str>, body: &[u8]) -> bool {
    if !Route::is_listing(target) {
        return false;
    }
    let links = link.and_then(link::parse).unwrap_or_default();
    let has_next = links.iter().any(|link| link.rel == "next");
    !has_next && items(body).is_some_and(|items| items > 0 && items >= per_page(target))
}

/// The `Link` of an answer that may be told to another scope, rebuilt from its parts.
///
/// `base` is the origin's, such as `https://api.github.com`. `None` unless every reference is to the
/// same resource at the same origin, by the same path or that path with the id of the repository,
/// organisation or user in place of its name, with the same query but for paging.
pub fn travelling_link(base: &str, target: &Target, aliases: &Aliases, value: &str) -> Option<String> {
    let origin = base.strip_suffix("/api/v3").unwrap_or(base);
    let links = link::parse(value)?;
    let mut text = String::new();
    for (at, link) in links.iter().enumerate() {
        let is_new = links[..at].iter().all(|other| other.rel != link.rel);
        let is_paging = matches!(link.rel, "next" | "prev" | "first" | "last");
        let is_same_path = link.target.path() == links[0].target.path() && is_alias(target, &link.target, aliases);
        if link.origin != origin || !is_new || !is_paging || !is_same_path || !is_same_query(target, &link.target) {
            return None;
        }
        let comma = if at > 0 { ", " } else { "" };
        text.push_str(&format!("{comma}<{base}{}>; rel=\"{}\"", link.target.text(), link.rel));
    }
    (!text.is_empty()).then_some(text)
}

/// Whether `other` is the path of `target`, or that path by a number.
fn is_alias(target: &Target, other: &Target, aliases: &Aliases) -> bool {
    let (own, other): (Vec<&str>, Vec<&str>) = (target.segments().collect(), other.segments().collect());
    let is_id = |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    match (own.as_slice(), other.as_slice()) {
        (["repos", owner, name, own @ ..], ["repositories", id, other @ ..]) if is_id(id) => {
            // An id that is known to be another repository's is another repository's.
            let is_known_otherwise =
                aliases.name(id).is_some_and(|known| !known.eq_ignore_ascii_case(&format!("{owner}/{name}")));
            own == other && !is_known_otherwise
        }
        (["orgs", _, own @ ..], ["organizations", id, other @ ..])
        | (["users", _, own @ ..], ["user", id, other @ ..])
            if is_id(id) =>
        {
            own == other
        }
        (["repos", owner, name, own @ ..], ["repos", other_owner, other_name, other @ ..]) => {
            own == other && owner.eq_ignore_ascii_case(other_owner) && name.eq_ignore_ascii_case(other_name)
        }
        (own, other) => own == other,
    }
}

const PAGING: [&str; 6] = ["page", "per_page", "before", "after", "since", "cursor"];

fn is_same_query(own: &Target, other: &Target) -> bool {
    let filters = |target: &Target| {
        // A space has two spellings in a query.
        let query = target.query().unwrap_or_default().replace('+', "%20");
        let pairs = query.split('&').filter(|pair| !pair.is_empty() && !is_paging(pair));
        let mut pairs: Vec<String> = pairs.map(str::to_owned).collect();
        pairs.sort();
        pairs
    };
    let mut paging = other.query().unwrap_or_default().split('&').filter(|pair| is_paging(pair));
    paging.all(|pair| pair.len() <= limits::PAGING_BYTES_MAX) && filters(own) == filters(other)
}

fn is_paging(pair: &str) -> bool {
    PAGING.contains(&pair.split('=').next().unwrap_or_default())
}

/// How many items GitHub would put on a page. If that is not clear, one: then every page is full.
fn per_page(target: &Target) -> usize {
    let pairs = target.query().unwrap_or_default().split('&');
    let mut sizes = pairs.filter_map(|pair| pair.strip_prefix("per_page="));
    match (sizes.next().map(str::parse::<usize>), sizes.next()) {
        (None, _) => 30,
        (Some(Ok(size)), None) => size.clamp(1, 100),
        _ => 1,
    }
}

/// How many items a body lists: an array, or an object with one array. They are counted, not kept.
fn items(body: &[u8]) -> Option<usize> {
    serde_json::from_slice::<Listing>(body).ok()?.0
}

struct Listing(Option<usize>);

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Top).map(Self)
    }
}

macro_rules! scalars_are_no_list {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut count = 0;
            while items.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(Some(count))
        }
    };
}

struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Option<usize>;

    scalars_are_no_list!();

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut lists, mut count) = (0, None);
        while let Some((_, Member(items))) = members.next_entry::<IgnoredAny, Member>()? {
            lists += usize::from(items.is_some());
            count = count.or(items);
        }
        Ok(count.filter(|_| lists == 1))
    }
}

struct Member(Option<usize>);

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Inner).map(Self)
    }
}

struct Inner;

impl<'de> Visitor<'de> for Inner {
    type Value = Option<usize>;

    scalars_are_no_list!();

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
