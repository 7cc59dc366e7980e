//! Sealed: no token and no path in what leaves a machine, and no token on a disk or in a log line.

use std::sync::Arc;

use crate::stage::Stage;

/// Where a secret would begin: tokens, and the paths of the API.
const MARKS: [&[u8]; 2] = [b"ghp_", b"/repos/"];

/// What must not be seen in what leaves a machine.
pub fn leak(bytes: &[u8], tokens: &[String]) -> Option<&'static str> {
    let at = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    if at(MARKS[1]) {
        return Some("a path of the API");
    }
    (at(MARKS[0]) && holds_token(bytes, tokens)).then_some("a token")
}

/// Looks at every disk, at the end.
pub fn check_disks(stage: &Arc<Stage>) {
    let tokens = stage.github().tokens.clone();
    for machine in stage.machines.values().filter(|machine| machine.plan.has_disk) {
        if holds_token(&machine.disk.image(), &tokens) {
            stage.violated(Some(machine.lane()), "sealed.disk", "there is a token on the disk");
        }
    }
}

pub fn holds_token(bytes: &[u8], tokens: &[String]) -> bool {
    let starts = (0..bytes.len().saturating_sub(3)).filter(|at| bytes[*at..].starts_with(MARKS[0]));
    starts.into_iter().any(|at| tokens.iter().any(|token| bytes[at..].starts_with(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_seen_and_its_first_letters_alone_are_not() {
        let tokens = ["ghp_0123".to_owned()];
        assert_eq!(leak(b"xxghp_0123yy", &tokens), Some("a token"));
        assert_eq!(leak(b"xxghp_9999yy", &tokens), None);
        assert_eq!(leak(b"GET /repos/o/r", &tokens), Some("a path of the API"));
    }
}
