//! This machine: its secret, its disk.

use std::{fs, path::Path};

use crypto::SecretKind;

use crate::{
    checks::Report,
    config::{Config, MeshSecret, World},
};

const NEW_SECRET: &str = "set CACHE_P2P_SHARED_SECRET to one from `ghoard secret new`, the same on all machines";

pub(super) fn secret(config: &Config, world: &World<'_>, report: &mut Report) {
    const NAME: &str = "secret";
    if !config.enable_p2p {
        return report.open(NAME, "this machine shares with no other (enable_p2p)");
    }
    let secret = match config.mesh_secret(world) {
        Ok(MeshSecret::AskGh) => MeshSecret::ask_gh(),
        Ok(secret) => secret,
        Err(error) => return report.wrong(NAME, error.to_string(), error.hint().unwrap_or_default()),
    };
    match secret {
        MeshSecret::Shared(secret) if secret.kind() == SecretKind::Weak => {
            report.doubtful(NAME, "short: whoever records a handshake can guess it", NEW_SECRET);
        }
        MeshSecret::Shared(_) => report.well(NAME, "a shared secret is set"),
        MeshSecret::Token { from, .. } => {
            report.well(NAME, format!("the token in {from} stands in for one: all machines need this very token"));
        }
        MeshSecret::JobToken { from, .. } => {
            report.doubtful(NAME, format!("{from} is a job's token: every step of the job is a member"), NEW_SECRET);
        }
        MeshSecret::JobTokenNotUsed { from } => {
            report.wrong(NAME, format!("{from} is a job's token, which is not used as a secret by itself"), NEW_SECRET);
        }
        MeshSecret::AskGh | MeshSecret::None => {
            report.wrong(NAME, "there is none, so this machine shares with no other", NEW_SECRET);
        }
    }
}

/// Whether the cache can be written, by trying it.
pub(super) fn cache_dir(config: &Config, report: &mut Report) {
    const NAME: &str = "cache";
    let dir = &config.cache_dir;
    match try_to_write(dir) {
        Ok(()) => report.well(NAME, dir.display().to_string()),
        Err(cause) => report.wrong(
            NAME,
            format!("{} cannot be written: {cause}", dir.display()),
            "give it to the user that runs ghoard (chown), free some space, or set CACHE_DIR; until then nothing is kept over a restart",
        ),
    }
}

fn try_to_write(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    tempfile::NamedTempFile::new_in(dir).map(drop)
}
