use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// The request headers that GitHub hashes into an ETag, as they are sent.
///
/// Which of them count depends on how the request is authorised: for a token all three, for an
/// anonymous request and for an App's JWT only `Accept` (their answers' `Vary` says so).
#[derive(Clone, Copy, Debug, Default)]
pub struct EtagInput<'a> {
    pub accept: Option<&'a [u8]>,
    pub authorization: Option<&'a [u8]>,
    pub cookie: Option<&'a [u8]>,
}

/// Returns the ETag that GitHub gives `body` for this request: strong, quotes included.
///
/// `body` is the plain form, before gzip and before pretty-printing.
///
/// # Source
/// Undocumented. Observed: SHA-256 over each present value of Accept, Authorization and Cookie, in
/// this order and each followed by a colon, then the body. It reproduces on recorded answers of
/// 2021 to 2026; see `docs/ARCHITECTURE.md` for what that proves and what it cannot.
pub fn etag(input: EtagInput<'_>, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for value in [input.accept, input.authorization, input.cookie].into_iter().flatten() {
        hash.update(value);
        hash.update(b":");
    }
    hash.update(body);
    format!("\"{}\"", HEXLOWER.encode(&hash.finalize()))
}

/// Whether two ETags name the same answer, compared weakly (RFC 9110, §8.8.3.2).
pub fn matches(a: &str, b: &str) -> bool {
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    strong(a.trim()) == strong(b.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_headers_come_first_each_with_its_colon() {
        let all = EtagInput { accept: Some(b"*/*"), authorization: Some(b"Bearer t"), cookie: Some(b"c=1") };
        let expected = HEXLOWER.encode(&Sha256::digest(b"*/*:Bearer t:c=1:[]"));
        assert_eq!(etag(all, b"[]"), format!("\"{expected}\""));
    }

    #[test]
    fn with_no_header_it_is_the_hash_of_the_body() {
        let empty = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
        assert_eq!(etag(EtagInput::default(), b""), empty);
    }

    #[test]
    fn weak_and_strong_forms_match() {
        assert!(matches("W/\"a\"", "\"a\""));
        assert!(!matches("\"a\"", "\"b\""));
    }
}
