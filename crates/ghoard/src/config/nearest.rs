/// Returns the one of `known` that `typed` was most likely meant to be, if any is near.
pub(super) fn nearest(typed: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let typed = typed.to_lowercase().replace('-', "_");
    // A key of a few hundred bytes is no typing error, and the distance is quadratic.
    if typed.len() > 64 {
        return None;
    }
    let far = (typed.len() / 3).max(2);
    known
        .map(|name| (distance(&typed, name), name))
        .filter(|&(distance, _)| distance <= far)
        .min()
        .map(|(_, name)| name)
}

/// How many characters one has to insert, remove or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_key_and_nonsense_none() {
        let known = || ["listen_port", "listen_address", "cache_dir"].into_iter();
        assert_eq!(nearest("listen_prot", known()), Some("listen_port"));
        assert_eq!(nearest("Listen-Port", known()), Some("listen_port"));
        assert_eq!(nearest("cachedir", known()), Some("cache_dir"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(nearest(&"x".repeat(10_000), known()), None);
    }
}
