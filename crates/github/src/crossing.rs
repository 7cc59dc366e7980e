use wire::Header;

use crate::Ask;

/// Returns what of an answer's headers another credential may see, once it has proved that it may see
/// the body: the content type, and nothing else yet.
///
/// `None` if the answer is not the same without what must stay behind.
pub fn crossing_headers(_ask: &Ask, headers: &[Header]) -> Option<Vec<Header>> {
    if headers.iter().any(|header| header.name == "link") {
        return None;
    }
    Some(headers.iter().filter(|header| header.name == "content-type").cloned().collect())
}
