use std::time::Duration;

use http::{HeaderMap, header};

use crate::{Stored, age::http_date};

/// Bytes `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub first: u64,
    pub last: u64,
}

impl Part {
    pub fn bytes(&self) -> u64 {
        self.last - self.first + 1
    }

    pub fn contains(&self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// What of the whole a 206 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    pub part: Part,
    pub total: u64,
}

/// Returns what `Content-Range` says. `None` if it is not there, of another unit, of unknown length, or contradicts itself.
pub fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let (part, total) = (Part { first: number(first)?, last: number(last)? }, number(total)?);
    (part.first <= part.last && part.last < total).then_some(ContentRange { part, total })
}

/// How much a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Whole,
    Part(Part),
    /// A part that there is not: 416.
    Nothing,
}

/// Returns what of `total` bytes a request asks for.
///
/// All, where it asks in a way that may be ignored (RFC 9110, §14.2): another unit, several ranges, or what
/// cannot be read.
pub fn asked_range(request: &HeaderMap, total: u64) -> Asked {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Asked::Whole };
    line.to_str().ok().and_then(|text| read_range(text.trim(), total)).unwrap_or(Asked::Whole)
}

fn read_range(text: &str, total: u64) -> Option<Asked> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
    let number = |text: &str| text.parse::<u64>().ok();
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix = number(last)?;
        let part = || Part { first: total.saturating_sub(suffix), last: total - 1 };
        return Some(if suffix == 0 || total == 0 { Asked::Nothing } else { Asked::Part(part()) });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(if first >= total { Asked::Nothing } else { Asked::Part(Part { first, last: last.min(total - 1) }) })
}

/// Whether `If-Range`, if there is one, names the very response that is stored (RFC 9110, §13.1.5).
pub fn if_range_holds(request: &HeaderMap, stored: &Stored) -> bool {
    let Some(validator) = request.get(header::IF_RANGE) else { return true };
    if validator.as_bytes().starts_with(b"\"") {
        return stored.strong_etag() == Some(validator.as_bytes());
    }
    // A date is a strong validator only if the response could not change within its second.
    let modified = http_date(stored.headers(), header::LAST_MODIFIED);
    let is_strong = modified.is_some_and(|at| stored.date() >= at + Duration::from_secs(1));
    is_strong && stored.headers().get(header::LAST_MODIFIED) == Some(validator)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asked(range: &str, total: u64) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        asked_range(&headers, total)
    }

    #[test]
    fn ranges_are_read_as_written() {
        let part = |first, last| Asked::Part(Part { first, last });
        for (range, expected) in [
            ("bytes=0-1", part(0, 1)),
            ("bytes=1-", part(1, 9)),
            ("Bytes=-1", part(9, 9)),
            ("bytes=-20", part(0, 9)),
            ("bytes=8-99", part(8, 9)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=2-1", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("bytes=a-", Asked::Whole),
        ] {
            assert_eq!(asked(range, 10), expected, "{range}");
        }
        assert_eq!(asked("bytes=-1", 0), Asked::Nothing);
    }

    #[test]
    fn a_content_range_that_contradicts_itself_is_none() {
        for (text, good) in [
            ("bytes 0-4/10", true),
            ("bytes 4-0/10", false),
            ("bytes 0-10/10", false),
            ("bytes 0-4/*", false),
            ("bytes */10", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_static(text));
            assert_eq!(content_range(&headers).is_some(), good, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_whole(range in "bytes=[0-9]{0,21}-[0-9]{0,21}", total in 0_u64..100) {
            if let Asked::Part(part) = asked(&range, total) {
                prop_assert!(part.first <= part.last && part.last < total);
            }
        }
    }
}
