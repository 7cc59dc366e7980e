//! This machine: its secret, its disk, its port.

use std::{fs, net::TcpListener, path::Path};

use crypto::SecretKind;
use serde_json::Value;

use crate::{
    checks::Report,
    config::{Config, MeshSecret, World},
    reach::firewall_lines,
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

/// Whether the port for members can be had, or the daemon has it; and the line that opens it.
pub(super) fn port(config: &Config, daemon: Option<&Value>, report: &mut Report) {
    const NAME: &str = "port";
    let wanted = config.listen_port;
    if let Some(daemon) = daemon {
        let listening: Vec<&str> =
            daemon["listening"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match listening.first() {
            Some(first) if wanted != 0 && !first.contains(&format!("/{wanted}")) => report.doubtful(
                NAME,
                format!("{wanted} was taken when the daemon started; it listens at {}", listening.join(", ")),
                format!("end the other program (ss -ltnp 'sport = :{wanted}'), or set CACHE_LISTEN_PORT"),
            ),
            Some(_) => report.well(NAME, format!("the daemon listens at {}", listening.join(", "))),
            None => report.wrong(NAME, "the daemon listens nowhere", "its log says why (`cannot listen for members`)"),
        }
    } else if let Err(cause) = TcpListener::bind((config.listen_address, wanted)) {
        report.wrong(
            NAME,
            format!("{wanted} cannot be had: {cause}"),
            format!("end the other program (ss -ltnp 'sport = :{wanted}'), or set CACHE_LISTEN_PORT"),
        );
    } else {
        report.well(NAME, format!("{wanted} is free"));
    }
    report.open("firewall", format!("where one runs, this opens the port: {}", firewall_lines(wanted).join("; or: ")));
}
