use bytes::Bytes;
use wire::Header;

use crate::{Aliases, Ask, travelling_link};

/// Returns what of an answer's headers another credential may see, once it has proved that it may see
/// the body: the content type, and a `Link` that leads nowhere but through the pages of the same list.
///
/// `None` if what must stay behind would be missed: a page without its `Link` would look like the last.
/// `base` is the origin's, such as `https://api.github.com`.
pub fn crossing_headers(ask: &Ask, base: &str, aliases: &Aliases, headers: &[Header]) -> Option<Vec<Header>> {
    let mut crossing: Vec<Header> = headers.iter().filter(|header| header.name == "content-type").cloned().collect();
    if let Some(link) = headers.iter().find(|header| header.name == "link") {
        let link = std::str::from_utf8(&link.value).ok()?;
        let value = travelling_link(base, &ask.target, aliases, link)?;
        crossing.push(Header { name: "link".to_owned(), value: Bytes::from(value) });
    }
    Some(crossing)
}
