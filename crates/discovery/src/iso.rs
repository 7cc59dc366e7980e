//! Wall-clock time as Python's `datetime.isoformat()` writes it: `2026-11-20T09:59:15.655157+00:00`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use wire::Millis;

#[cfg(test)]
mod tests;

/// The text is not an ISO-8601 time with an offset, from 1970 on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-11-20T09:59:15.655157+00:00")]
pub struct ParseTimeError;

/// Writes `time` in UTC with six digits of fraction, which every version of Python reads.
pub fn format(time: Millis) -> String {
    let (days, second) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = time.0 % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}000+00:00")
}

/// Reads what [`format()`] and Python write, and `Z` and other offsets. Digits past the millisecond are dropped.
pub(crate) fn parse(text: &str) -> Result<Millis, ParseTimeError> {
    let bytes = text.as_bytes();
    // A leap second is read as the second before it, as Python cannot write one at all.
    let (year, month, day) = (number(bytes, 0, 4)?, number(bytes, 5, 2)?, number(bytes, 8, 2)?);
    let (hour, minute, second) = (number(bytes, 11, 2)?, number(bytes, 14, 2)?, number(bytes, 17, 2)?.min(59));
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| bytes[at] != byte) || !matches!(bytes[10], b'T' | b't' | b' ') {
        return Err(ParseTimeError);
    }
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 {
        return Err(ParseTimeError);
    }

    let mut rest = &bytes[19..];
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return Err(ParseTimeError);
        }
        for place in 0..3 {
            millis =
                millis * 10 + fraction.get(place).filter(|_| place < digits).map_or(0, |byte| u64::from(byte - b'0'));
        }
        rest = &fraction[digits..];
    }
    let (ahead, offset_secs) = offset(rest)?;
    let local = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let utc = if ahead { local.checked_sub(offset_secs) } else { Some(local + offset_secs) };
    Ok(Millis(utc.ok_or(ParseTimeError)? * 1000 + millis))
}

pub(crate) fn serialize<S: Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn offset(text: &[u8]) -> Result<(bool, u64), ParseTimeError> {
    match text {
        b"Z" | b"z" => Ok((true, 0)),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(text, 1, 2)?, number(text, 4, 2)?);
            if hours > 23 || minutes > 59 {
                return Err(ParseTimeError);
            }
            Ok((*sign == b'+', hours * 3600 + minutes * 60))
        }
        _ => Err(ParseTimeError),
    }
}

fn number(text: &[u8], at: usize, digits: usize) -> Result<u64, ParseTimeError> {
    let digits = text.get(at..at + digits).ok_or(ParseTimeError)?;
    digits.iter().try_fold(0, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + u64::from(byte - b'0')),
        _ => Err(ParseTimeError),
    })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Howard Hinnant's algorithms, for days since 1970-01-01: years start in March, so that the leap
// day is the last one of its year.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}
