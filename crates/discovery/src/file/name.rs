use crate::limits;

/// The reference's file name for a runner, with anything but letters, digits, `.`, `_` and `-` made `_`.
pub(super) fn of_runner(runner_name: &str) -> String {
    format!("peer_{}.json", sanitised(runner_name))
}

/// The name beside it for a second peer of the same runner name.
///
/// The peer id's last eight characters: all Ed25519 ids begin with the same eight, `12D3KooW`.
pub(super) fn of_peer(runner_name: &str, peer_id: &str) -> String {
    let start = peer_id.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    format!("peer_{}.{}.json", sanitised(runner_name), sanitised(&peer_id[start..]))
}

pub(super) fn is_record(file: &str) -> bool {
    file.starts_with("peer_") && file.ends_with(".json")
}

fn sanitised(runner_name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String =
        runner_name.chars().take(limits::FILE_NAME_CHARS_MAX).map(|c| if allowed(c) { c } else { '_' }).collect();
    if name.is_empty() { "runner".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_name_cannot_leave_the_folder() {
        assert_eq!(of_runner("local-reader"), "peer_local-reader.json");
        assert_eq!(of_runner("../../etc/passwd"), "peer_.._.._etc_passwd.json");
        assert_eq!(of_runner("a b\n\0ü"), "peer_a_b___.json");
        assert_eq!(of_runner(""), "peer_runner.json");
        assert_eq!(of_runner(&"x".repeat(500)).len(), "peer_.json".len() + limits::FILE_NAME_CHARS_MAX);
    }

    #[test]
    fn two_peers_of_one_name_get_two_files() {
        assert_ne!(of_peer("r", "12D3KooWaaaaaaaaaaaa"), of_peer("r", "12D3KooWbbbbbbbbbbbb"));
        assert_eq!(of_peer("r", "abc"), "peer_r.abc.json");
    }
}
