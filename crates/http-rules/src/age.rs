use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use crate::directives::delta_seconds;

/// Returns how old a response was when it arrived (RFC 9111, §4.2.3). `None` if its `Age` is no whole
/// number, or several: then nobody knows, and the response must count as stale.
///
/// RFC 9111, §5.1 would have the first of several numbers used and a word ignored. Both take a response
/// for younger than somebody on the way said, so we do not.
pub(crate) fn initial_age(response: &HeaderMap, asked: SystemTime, answered: SystemTime) -> Option<Duration> {
    let mut lines = response.get_all(header::AGE).iter();
    let told = match (lines.next(), lines.next()) {
        (None, _) => Duration::ZERO,
        (Some(line), None) => Duration::from_secs(delta_seconds(line.to_str().ok()?.trim())?),
        (Some(_), Some(_)) => return None,
    };
    let on_the_way = answered.duration_since(asked).unwrap_or_default();
    let apparent = answered.duration_since(date(response, answered)).unwrap_or_default();
    // `Date` has whole seconds: a part of one is no age.
    Some(Duration::from_secs(apparent.as_secs()).max(told + on_the_way))
}

/// The response's `Date`; when it arrived, if it has none that can be read (RFC 9110, §6.6.1).
pub(crate) fn date(response: &HeaderMap, answered: SystemTime) -> SystemTime {
    http_date(response, header::DATE).unwrap_or(answered)
}

/// The date in a field. `None` if there is none, several, or one that cannot be read.
pub(crate) fn http_date(headers: &HeaderMap, name: header::HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    httpdate::parse_http_date(line.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn age(lines: &[&str], date_back: u64, delay: u64) -> Option<u64> {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let answered = asked + Duration::from_secs(delay);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AGE, HeaderValue::from_str(line).unwrap());
        }
        let date = httpdate::fmt_http_date(answered - Duration::from_secs(date_back));
        headers.insert(header::DATE, HeaderValue::from_str(&date).unwrap());
        initial_age(&headers, asked, answered).map(|age| age.as_secs())
    }

    #[test]
    fn the_larger_of_what_is_told_and_what_is_apparent_counts() {
        assert_eq!(age(&[], 0, 0), Some(0));
        assert_eq!(age(&["30"], 0, 2), Some(32));
        assert_eq!(age(&["30"], 100, 2), Some(100));
        for unknown in ["", "abc", "-1", "1.0", "1;a=b", "0, 0", "7200,0"] {
            assert_eq!(age(&[unknown], 0, 0), None, "{unknown}");
        }
        assert_eq!(age(&["0", "0"], 0, 0), None);
    }
}
