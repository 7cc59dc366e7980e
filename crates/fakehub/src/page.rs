use serde_json::Value;

use crate::{answer::Answer, ask::Ask};

const PER_PAGE: usize = 30;
const PER_PAGE_MAX: usize = 100;

/// The parameters of a query, in the order they came and as they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let split = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        };
        Self(pairs.map(split).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The same with its percent signs and pluses undone.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let written = self.get(key)?.replace('+', " ");
        let mut bytes = Vec::with_capacity(written.len());
        let mut rest = written.as_bytes();
        while let [first, tail @ ..] = rest {
            let code = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
            match code.filter(|_| *first == b'%') {
                Some(code) => {
                    bytes.push(code);
                    rest = &tail[2..];
                }
                None => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The page and the items on one; what is not a number counts as absent, as at GitHub.
    pub(crate) fn page(&self) -> (usize, usize) {
        (self.number("page", 1), self.number("per_page", PER_PAGE).min(PER_PAGE_MAX))
    }

    fn number(&self, key: &str, default: usize) -> usize {
        self.get(key).and_then(|text| text.parse().ok()).filter(|&number| number > 0).unwrap_or(default)
    }

    /// The same query for another page; GitHub keeps the order and appends `page` if it was absent.
    fn with_page(&self, page: usize) -> String {
        let mut pairs = self.0.clone();
        match pairs.iter_mut().find(|(key, _)| key == "page") {
            Some((_, value)) => *value = page.to_string(),
            None => pairs.push(("page".to_owned(), page.to_string())),
        }
        pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// One page of `items`, with the `Link` to its neighbours.
///
/// `base` is the path that `Link` names, for a repository `/repositories/<id>/...`. With `wrap` the
/// page is an object of `total_count` and that key, otherwise an array; `items` are a search's.
pub(crate) fn listing(ask: &Ask<'_>, base: &str, items: Vec<Value>, wrap: Option<&str>) -> Answer {
    let (page, per_page) = ask.page();
    let total = items.len();
    let shown: Vec<Value> = items.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let mut answer = match wrap {
        // The order of the keys is GitHub's: it is part of what the ETag is made of.
        Some(key) => {
            let also = if key == "items" { "\"incomplete_results\":false," } else { "" };
            ask.ok_raw(format!("{{\"total_count\":{total},{also}\"{key}\":{}}}", Value::Array(shown)).into())
        }
        None => ask.ok(&Value::Array(shown)),
    };
    let last = total.div_ceil(per_page).max(1);
    answer.link = link(&format!("{}{base}", ask.api_url), &ask.query, page, last).map(Into::into);
    answer
}

/// `None` if everything fits on one page.
fn link(url: &str, query: &Query, page: usize, last: usize) -> Option<String> {
    let mut relations = Vec::new();
    if page > 1 {
        relations.push((page.saturating_sub(1).min(last), "prev"));
    }
    if page < last {
        relations.extend([(page + 1, "next"), (last, "last")]);
    }
    if page > 1 {
        relations.push((1, "first"));
    }
    let written = relations.iter().map(|(page, rel)| format!("<{url}?{}>; rel=\"{rel}\"", query.with_page(*page)));
    let joined = written.collect::<Vec<_>>().join(", ");
    (!joined.is_empty()).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, page: usize, last: usize, expected: Option<&str>) {
        assert_eq!(link("u", &Query::parse(Some(query)), page, last).as_deref(), expected);
    }

    #[test]
    fn a_link_names_the_neighbours_that_exist() {
        check("", 1, 1, None);
        check("", 1, 3, Some(r#"<u?page=2>; rel="next", <u?page=3>; rel="last""#));
        check(
            "page=3&per_page=2",
            3,
            3,
            Some(r#"<u?page=2&per_page=2>; rel="prev", <u?page=1&per_page=2>; rel="first""#),
        );
        check(
            "state=all&page=2",
            2,
            3,
            Some(
                "<u?state=all&page=1>; rel=\"prev\", <u?state=all&page=3>; rel=\"next\", \
                 <u?state=all&page=3>; rel=\"last\", <u?state=all&page=1>; rel=\"first\"",
            ),
        );
    }
}
