use std::fmt;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// A text that must never be printed: a fleet's shared secret or a token.
///
/// Wiped when dropped; neither `Debug` nor `Display` shows any of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// How much a shared secret can be trusted to be hard to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Made by `ghoard secret new`: 256 random bits.
    Generated,
    /// A GitHub token: random, but known to whoever holds the token.
    Token,
    /// The token of one Actions job: every step of the job would be a member.
    JobToken,
    /// Anything else, long enough to be stretched to something useful.
    Passphrase,
    /// Short enough to be guessed by whoever records one handshake.
    Weak,
}

const GENERATED_PREFIX: &str = "ghoards_";

/// A passphrase below this is called weak. A choice, not a measure of its entropy.
const PASSPHRASE_CHARS_MIN: usize = 20;

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns a secret of 256 bits, in the form that is recognised as generated.
    pub fn generate(entropy: [u8; 32]) -> Self {
        Self::new(format!("{GENERATED_PREFIX}{}", BASE32_NOPAD.encode(&entropy).to_ascii_lowercase()))
    }

    /// The text itself. Each call is a place where it could leak.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn kind(&self) -> SecretKind {
        let token_prefixes = ["ghp_", "gho_", "ghu_", "github_pat_"];
        if self.generated_bits().is_some() {
            SecretKind::Generated
        } else if self.0.starts_with("ghs_") {
            SecretKind::JobToken
        } else if token_prefixes.iter().any(|prefix| self.0.starts_with(prefix)) {
            SecretKind::Token
        } else if self.0.chars().count() < PASSPHRASE_CHARS_MIN {
            SecretKind::Weak
        } else {
            SecretKind::Passphrase
        }
    }

    /// The random bits of a generated secret; `None` for any other text.
    pub(crate) fn generated_bits(&self) -> Option<Zeroizing<[u8; 32]>> {
        let text = self.0.strip_prefix(GENERATED_PREFIX)?.to_ascii_uppercase();
        let bits = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
        Some(Zeroizing::new(bits.try_into().ok()?))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_judged_by_its_form() {
        assert_eq!(Secret::generate([9; 32]).kind(), SecretKind::Generated);
        for (text, kind) in [
            ("dev-secret", SecretKind::Weak),
            ("ghoards_tooshort", SecretKind::Weak),
            ("ghs_0123456789", SecretKind::JobToken),
            ("ghp_0123456789", SecretKind::Token),
            ("correct horse battery staple", SecretKind::Passphrase),
        ] {
            assert_eq!(Secret::new(text).kind(), kind, "{text}");
        }
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::new("dev-secret");
        assert_eq!(format!("{secret} {secret:?}"), "(set) (set)");
    }
}
