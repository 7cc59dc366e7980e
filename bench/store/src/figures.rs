//! Medians, and how figures are written.

/// The middle one; the lower of two.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The smallest value that `part` of all do not exceed.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// A duration in the unit that suits it.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        value if value < 1e-6 => format!("{:.0} ns", value * 1e9),
        value if value < 1e-3 => format!("{:.2} µs", value * 1e6),
        value if value < 1.0 => format!("{:.2} ms", value * 1e3),
        value => format!("{value:.2} s"),
    }
}

/// A size in the unit that suits it.
pub(crate) fn bytes(value: u64) -> String {
    match value {
        value if value < 1 << 20 => format!("{:.0} KB", value as f64 / 1024.0),
        value => format!("{:.1} MB", value as f64 / 1_048_576.0),
    }
}

/// How busy the machine is with all that runs on it, as its kernel counts, for who reads the figures.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("load of the last minute {}, {cores} cores", load.split(' ').next().unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(median(&values), 3.0);
        assert_eq!(quantile(&values, 0.99), 5.0);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn units_suit_the_value() {
        assert_eq!([2e-9, 2e-6, 2e-3, 2.0].map(seconds), ["2 ns", "2.00 µs", "2.00 ms", "2.00 s"]);
        assert_eq!([2 << 10, 2 << 20].map(bytes), ["2 KB", "2.0 MB"]);
    }
}
