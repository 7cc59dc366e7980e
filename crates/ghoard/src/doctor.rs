//! Checks of this machine, of GitHub and of the way to the others; what is wrong comes with its cure.

mod etag;
mod finding;
mod fleet;
mod host;
mod origin;
mod port;

use crate::{
    checks::Report,
    cli::Doctor,
    config::{Config, World},
    run::RunError,
};

/// Runs the checks. Returns whether all is well.
pub(crate) async fn doctor(doctor: &Doctor, config: &Config, world: &World<'_>) -> Result<bool, DoctorError> {
    if doctor.etag {
        return check_etags(doctor, config, world).await;
    }
    let mut report = Report::default();
    host::secret(config, world, &mut report);
    host::cache_dir(config, &mut report);
    origin::clock(config, world, &mut report).await?;
    let daemon = fleet::daemon(config, &mut report).await;
    port::port(config, &daemon, &mut report);
    finding::finding(config, world, &daemon, &mut report).await?;
    fleet::bootstrap(config, &daemon, &mut report).await;
    fleet::peers(config, &daemon, &mut report);
    report.open("etags", "not looked at, as that takes a few requests: ghoard doctor --etag");
    report.print(doctor.json);
    Ok(report.is_well())
}

async fn check_etags(doctor: &Doctor, config: &Config, world: &World<'_>) -> Result<bool, DoctorError> {
    let findings = etag::check(config, world).await?;
    if doctor.json {
        crate::output::data(&findings.json().to_string());
    } else {
        findings.print();
    }
    match findings.verdict() {
        Some(holds) => Ok(holds),
        None => Err(DoctorError::NothingChecked),
    }
}

/// Why there is no yes or no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoctorError {
    #[error("the rule for ETags needs a token to be checked, and none is set")]
    NoToken,
    #[error("nothing could be checked")]
    NothingChecked,
    #[error(transparent)]
    Run(#[from] RunError),
}

impl DoctorError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoToken => {
                Some("set GH_TOKEN, for one run: GH_TOKEN=$(gh auth token) ghoard doctor --etag".to_owned())
            }
            Self::NothingChecked => {
                Some("is the token valid, and the origin reachable? the report says more".to_owned())
            }
            Self::Run(error) => error.hint(),
        }
    }
}
