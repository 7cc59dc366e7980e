use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use crate::{
    age::{date, http_date},
    control::Control,
};

/// Of the time since the last change, this part is what a response may be taken for unchanged (RFC 9111, §4.2.2).
const HEURISTIC_DIVISOR: u32 = 10;

/// A guess holds for a day at most.
const HEURISTIC_MAX: Duration = Duration::from_secs(24 * 3600);

/// Statuses that may be reused without being told so (RFC 9110, §15.1). 206 is a part of such a one.
const HEURISTIC_STATUSES: [u16; 12] = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];

/// Returns how long the origin says that a response is fresh. `None` if it does not say.
///
/// `s-maxage` wins over `max-age`, and `max-age` over `Expires`. What cannot be read counts as expired.
///
/// # Source
/// RFC 9111, §4.2.1 for the order, §5.3 for `Expires`; RFC 9213, §2.2 for what a targeted field overrides.
pub(crate) fn explicit(control: &Control, response: &HeaderMap, answered: SystemTime) -> Option<Duration> {
    if let Some(told) = control.directives.seconds("s-maxage").or_else(|| control.directives.seconds("max-age")) {
        return Some(told);
    }
    if control.targeted || !response.contains_key(header::EXPIRES) {
        return None;
    }
    let expires = http_date(response, header::EXPIRES).unwrap_or(SystemTime::UNIX_EPOCH);
    Some(expires.duration_since(date(response, answered)).unwrap_or_default())
}

/// Whether a response with this status may be reused without explicit freshness at all.
pub(crate) fn allows_heuristic(control: &Control, status: StatusCode) -> bool {
    HEURISTIC_STATUSES.contains(&status.as_u16()) || control.directives.has("public")
}

/// Returns how long a response that says nothing may be taken for fresh; nothing without `Last-Modified`.
///
/// A response that sets a cookie is never guessed about: it is most likely one client's own.
pub(crate) fn heuristic(response: &HeaderMap, answered: SystemTime) -> Duration {
    if response.contains_key(header::SET_COOKIE) {
        return Duration::ZERO;
    }
    let unchanged = http_date(response, header::LAST_MODIFIED)
        .and_then(|modified| date(response, answered).duration_since(modified).ok());
    (unchanged.unwrap_or_default() / HEURISTIC_DIVISOR).min(HEURISTIC_MAX)
}
