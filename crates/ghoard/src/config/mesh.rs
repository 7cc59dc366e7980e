use std::process::{Command, Stdio};

use crypto::SecretKind;

use super::{Config, ConfigError, Secret, World};

/// Where the secret of the membership comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MeshSecret {
    /// `shared_secret` or `shared_secret_file`.
    Shared(Secret),
    /// A GitHub token from the named variable, flag or file key, for want of a shared secret.
    Token { token: Secret, from: String },
    /// The same, and it is a job's token: every step of the job is then a member. Warn loudly.
    JobToken { token: Secret, from: String },
    /// There is only a job's token, and P2P was not switched on explicitly: it is not used.
    JobTokenNotUsed { from: String },
    /// Nothing is set, and P2P was switched on explicitly: [`MeshSecret::ask_gh`] may know one.
    AskGh,
    /// The P2P port stays closed.
    None,
}

impl Config {
    /// Returns the secret of the membership: `shared_secret`, `shared_secret_file` or `github_token`, the
    /// first that is set.
    ///
    /// The file is read here and not before, since only the daemon's user may be able to read it.
    ///
    /// # Errors
    /// [`ConfigError`] if the file is needed, and cannot be read or is empty.
    pub(crate) fn mesh_secret(&self, world: &World<'_>) -> Result<MeshSecret, ConfigError> {
        if let Some(secret) = self.shared_secret.clone() {
            return Ok(MeshSecret::Shared(secret));
        }
        if let Some((path, source)) = self.shared_secret_file.clone() {
            let text = (world.read_file)(&path).map_err(|cause| ConfigError::Read { path, cause })?;
            let secret = text.trim();
            if secret.is_empty() {
                let expected = "a file that is not empty".to_owned();
                return Err(ConfigError::BadValue {
                    name: "shared_secret_file",
                    source_: source,
                    value: None,
                    expected,
                });
            }
            return Ok(MeshSecret::Shared(Secret::new(secret)));
        }
        Ok(match &self.github_token {
            Some((token, from)) => stand_in(token.clone(), from.to_string(), self.p2p_explicit),
            None if self.p2p_explicit => MeshSecret::AskGh,
            None => MeshSecret::None,
        })
    }
}

fn stand_in(token: Secret, from: String, explicit: bool) -> MeshSecret {
    match (token.kind() == SecretKind::JobToken, explicit) {
        (false, _) => MeshSecret::Token { token, from },
        (true, true) => MeshSecret::JobToken { token, from },
        (true, false) => MeshSecret::JobTokenNotUsed { from },
    }
}

impl MeshSecret {
    /// The GitHub token that it is, if it is one.
    pub(crate) fn into_token(self) -> Option<Secret> {
        match self {
            Self::Token { token, .. } | Self::JobToken { token, .. } => Some(token),
            _ => None,
        }
    }

    /// Asks `gh auth token`, which reads gh's own login and no network.
    ///
    /// [`MeshSecret::None`] if there is no gh, or nobody is logged in. Blocks until gh ends.
    pub(crate) fn ask_gh() -> Self {
        let answer = Command::new("gh").args(["auth", "token"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
        answer.ok().filter(|answer| answer.status.success()).map_or(Self::None, |answer| told(&answer.stdout))
    }
}

fn told(token: &[u8]) -> MeshSecret {
    match std::str::from_utf8(token).map(str::trim) {
        Ok(token) if !token.is_empty() => stand_in(Secret::new(token), "`gh auth token`".to_owned(), true),
        _ => MeshSecret::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gh_tells_is_a_token_or_nothing() {
        let token = MeshSecret::Token { token: Secret::new("gho_x"), from: "`gh auth token`".to_owned() };
        assert_eq!(told(b"gho_x\n"), token);
        assert_eq!(told(b"\n"), MeshSecret::None);
        assert_eq!(told(&[0xff]), MeshSecret::None);
    }
}
