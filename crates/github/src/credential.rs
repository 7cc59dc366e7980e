use std::fmt;

use bytes::Bytes;
use http::HeaderValue;

/// The whole credential of a request, as it is sent to the origin.
///
/// Two requests with one credential see the same GitHub; nothing less is the same view (two tokens
/// of one user may have different permissions). It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Bytes);

impl Credential {
    /// Normalises `Authorization`: `token x`, as gh writes it, and `Bearer x` are one credential.
    pub fn from_authorization(value: &HeaderValue) -> Self {
        let raw = value.as_bytes();
        let token = strip_scheme(raw, b"token ").or_else(|| strip_scheme(raw, b"bearer "));
        match token {
            Some(token) => Self([b"Bearer ", token].concat().into()),
            None => Self(Bytes::copy_from_slice(raw)),
        }
    }

    /// The text that goes into `Authorization`. Each call is a place where it could leak.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether GitHub hashes it into its ETags: every credential but an App's JWT, whose answers vary
    /// by `Accept` alone. Observed in recorded answers.
    pub fn is_hashed(&self) -> bool {
        !self.is_jwt()
    }

    /// Whether it has the form of a JSON Web Token: three parts in base64url, the first one an object.
    fn is_jwt(&self) -> bool {
        let token = self.0.strip_prefix(b"Bearer ").unwrap_or_default();
        let is_base64url = |part: &[u8]| {
            !part.is_empty() && part.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        token.starts_with(b"eyJ")
            && token.split(|byte| *byte == b'.').count() == 3
            && token.split(|byte| *byte == b'.').all(is_base64url)
    }

    /// The header that is sent to the origin.
    pub fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_bytes(&self.0).expect("it came from a header value");
        value.set_sensitive(true);
        value
    }
}

fn strip_scheme<'a>(raw: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (head, token) = raw.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| token.trim_ascii())
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(set)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apps_token_is_known_by_its_form() {
        for (text, is_hashed) in [
            ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOjF9.c2ln_-", false),
            ("Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOjF9", true),
            ("Bearer eyJ.a.", true),
            ("Bearer ghp_a.b.c", true),
            ("Basic eyJa.b.c", true),
        ] {
            let credential = Credential::from_authorization(&HeaderValue::from_static(text));
            assert_eq!(credential.is_hashed(), is_hashed, "{text}");
        }
    }

    #[test]
    fn the_schemes_of_a_token_are_one_credential() {
        let of = |text| Credential::from_authorization(&HeaderValue::from_static(text));
        assert_eq!(of("token abc"), of("Bearer abc"));
        assert_eq!(of("TOKEN abc"), of("bearer  abc"));
        assert_ne!(of("token abc"), of("token abd"));
        assert_ne!(of("Basic abc"), of("Bearer abc"));
        assert_eq!(of("token abc").reveal(), b"Bearer abc");
        assert_eq!(format!("{:?}", of("token abc")), "Credential(set)");
    }
}
