//! Checks against the real world of what ghoard takes for granted.

mod etag;

use crate::{
    cli::Doctor,
    config::{Config, World},
    output,
    run::RunError,
};

/// Runs the checks that were asked for, or lists what can be checked. Returns whether all is well.
pub(crate) async fn doctor(doctor: &Doctor, config: &Config, world: &World<'_>) -> Result<bool, DoctorError> {
    if !doctor.etag {
        output::data("doctor can check:");
        output::data("  --etag  that GitHub makes its ETags as ghoard computes them (needs a token)");
        return Ok(true);
    }
    let findings = etag::check(config, world).await?;
    if doctor.json {
        output::data(&findings.json().to_string());
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
