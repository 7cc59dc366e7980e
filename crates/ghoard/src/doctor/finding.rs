//! The ways of finding others, as far as they can be looked at from here.

use gateway::Origin;
use github::{Site, Target};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use net::Address;
use node::FindingKind;
use serde_json::Value;

use super::{fleet::Daemon, origin};
use crate::{
    checks::Report,
    config::{Config, World},
    machine::{
        finding::{Finding, Trouble},
        full_text,
    },
    names,
    run::RunError,
    upstream,
};

const NAME: &str = "finding";

/// A repository's description is a few thousand bytes.
const REPOSITORY_BYTES_MAX: usize = 1 << 20;

/// What is configured and cannot be opened, a service without addresses, a repository that cannot be read; and what
/// the daemon complains of beyond that.
///
/// # Errors
/// [`RunError`] if there is no TLS to ask with.
pub(super) async fn finding(
    config: &Config,
    world: &World<'_>,
    daemon: &Daemon,
    report: &mut Report,
) -> Result<(), RunError> {
    if !config.enable_p2p {
        return Ok(());
    }
    let opened = Finding::open(config, !config.seal);
    // Those of the configured members come with their names.
    let troubles = opened.troubles.iter().filter(|trouble| trouble.kind != FindingKind::Static);
    for Trouble { what, cure, is_mended, .. } in troubles {
        if *is_mended {
            report.doubtful(NAME, what, *cure);
        } else {
            report.wrong(NAME, what, *cure);
        }
    }
    if let Some((name, port)) = &config.dns_name {
        service(name, *port, report).await;
    }
    match daemon {
        Daemon::Runs(shown) => told(&shown["connectivity"]["discovery"]["kinds"], &opened.troubles, report),
        Daemon::Silent | Daemon::None => {
            if let Some(registry) = &opened.registry {
                repository(&registry.repository, config, world, report).await?;
            }
        }
    }
    Ok(())
}

async fn service(name: &str, port: u16, report: &mut Report) {
    let address = format!("/dns/{name}/tcp/{port}").parse::<Address>();
    let found = match address {
        Ok(address) => names::places(&address).await,
        Err(error) => Err(error.to_string()),
    };
    match found {
        Ok(places) => {
            let ips: Vec<String> = places.iter().filter_map(Address::ip).map(|ip| ip.to_string()).collect();
            report.well(NAME, format!("dns_name {name} stands for {}", ips.join(", ")));
        }
        Err(why) => report.wrong(
            NAME,
            format!("dns_name {name}: {why}"),
            "is the name right, and does this machine's DNS know it? `getent ahosts NAME` tells",
        ),
    }
}

/// What the daemon says of ways that could be opened.
fn told(kinds: &Value, known: &[Trouble], report: &mut Report) {
    for (kind, state) in kinds.as_object().into_iter().flatten() {
        let Some(trouble) = state["trouble"].as_str() else { continue };
        // Names that do not resolve are looked up by this command itself.
        let is_said =
            matches!(kind.as_str(), "static" | "dns") || known.iter().any(|known| trouble.contains(&known.what));
        if !is_said {
            report.doubtful(NAME, format!("{kind}: {trouble}"), "the daemon's log says more");
        }
    }
}

/// Whether the repository of the registry is there for this token, and has issues.
async fn repository(name: &str, config: &Config, world: &World<'_>, report: &mut Report) -> Result<(), RunError> {
    let target = Target::parse(&format!("/repos/{name}"), None).expect("the settings take an owner and a name");
    let request = Request::get(Site::main(&config.origin).api_uri(&target));
    let answer = match upstream::origin(config, world)?.send(origin::signed(request, config)).await {
        Ok(answer) => answer,
        Err(error) => {
            report.open(NAME, format!("issue_registry in {name}: not looked at: {}", full_text(&error)));
            return Ok(());
        }
    };
    let status = answer.status();
    let body = Limited::new(answer.into_body(), REPOSITORY_BYTES_MAX).collect().await;
    let about: Value = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
    match status {
        StatusCode::OK if about["has_issues"] == false => report.wrong(
            NAME,
            format!("issue_registry: {name} has no issues to keep a registry in"),
            "switch issues on in its settings, or name another repository in GITHUB_REPOSITORY",
        ),
        StatusCode::OK => report.well(NAME, format!("issue_registry: {name} can be read")),
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => report.wrong(
            NAME,
            format!("issue_registry: {name} is not there, or this token may not read it ({status})"),
            "is GITHUB_REPOSITORY right (owner/repo)? The token needs to read its issues and to comment",
        ),
        status => report.open(NAME, format!("issue_registry: {name} was answered with {status}")),
    }
    Ok(())
}
