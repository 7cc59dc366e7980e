use memchr::memmem::{find, find_iter};

/// Whether `body` carries a credential of its own: then it stays in memory, for its scope alone.
///
/// GitHub puts them into a private repository's `temp_clone_token` and into the `?token=` of raw
/// URLs. The search is by bytes and errs towards "yes": a wrong "yes" costs a request, a wrong "no"
/// would write a credential to a disk.
pub fn holds_credential(body: &[u8]) -> bool {
    find(body, b"token=").is_some()
        || find_iter(body, b"\"temp_clone_token\"").any(|at| has_value(&body[at + 18..]))
        || find_iter(body, b"\"token\"").any(|at| has_value(&body[at + 7..]))
}

/// Whether a non-empty string follows: `: "x`.
fn has_value(rest: &[u8]) -> bool {
    let mut rest = rest.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    rest.next() == Some(b':') && rest.next() == Some(b'"') && rest.next().is_some_and(|byte| byte != b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_seen_and_its_empty_place_is_not() {
        for (body, holds) in [
            (r#"{"temp_clone_token":"ABC"}"#, true),
            (r#"{"temp_clone_token" : "A"}"#, true),
            (r#"{"temp_clone_token":""}"#, false),
            (r#"{"temp_clone_token":null}"#, false),
            (r#"{"download_url":"https://raw.githubusercontent.com/o/r/main/f?token=AB"}"#, true),
            (r#"{"token":"v1.123","expires_at":"x"}"#, true),
            (r#"{"full_name":"o/r"}"#, false),
            ("", false),
        ] {
            assert_eq!(holds_credential(body.as_bytes()), holds, "{body}");
        }
    }
}
