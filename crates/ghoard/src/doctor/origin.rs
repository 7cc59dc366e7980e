//! GitHub: whether it answers, whether it takes the token, and whether its clock is ours.

use std::time::{Duration, SystemTime};

use gateway::Origin;
use github::{Site, Target};
use http::{HeaderValue, Request, StatusCode, header};

use crate::{
    checks::Report,
    config::{Config, World},
    machine::full_text,
    run::RunError,
    upstream,
};

/// Beyond this a member's records lose much of their time, and beyond a minute others refuse them.
const SKEW_MAX: Duration = Duration::from_secs(10);

/// Asks for the limits, which costs nothing.
///
/// # Errors
/// [`RunError`] if there is no TLS to ask with; an origin that does not answer is a finding.
pub(super) async fn clock(config: &Config, world: &World<'_>, report: &mut Report) -> Result<(), RunError> {
    const NAME: &str = "github";
    let origin = upstream::origin(config, world)?;
    let target = Target::parse("/rate_limit", None).expect("a plain path");
    let request = Request::get(Site::main(&config.origin).api_uri(&target));
    let answer = match origin.send(signed(request, config)).await {
        Ok(answer) => answer,
        Err(error) => {
            report.wrong(
                NAME,
                format!("{} does not answer: {}", config.origin, full_text(&error)),
                "is the network up? A proxy goes into HTTPS_PROXY, its certificate into extra_ca",
            );
            return Ok(());
        }
    };
    match answer.status() {
        StatusCode::UNAUTHORIZED => {
            report.wrong(NAME, format!("{} refuses the token", config.origin), "make a new one, or unset GH_TOKEN");
        }
        status => report.well(NAME, format!("{} answers ({status})", config.origin)),
    }
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    match date.and_then(|date| httpdate::parse_http_date(date).ok()) {
        Some(theirs) => judge(SystemTime::now(), theirs, report),
        None => report.open("clock", "the origin does not tell its time"),
    }
    Ok(())
}

/// A request of this program, with the token of the settings.
pub(super) fn signed(request: http::request::Builder, config: &Config) -> Request<gateway::Body> {
    let request = request.header(header::USER_AGENT, concat!("ghoard/", env!("CARGO_PKG_VERSION")));
    let mut request = request.body(gateway::empty()).expect("the parts are ours");
    let token = config.github_token.as_ref().map(|(token, _)| format!("Bearer {}", token.reveal()));
    if let Some(mut value) = token.and_then(|token| HeaderValue::try_from(token).ok()) {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    request
}

fn judge(ours: SystemTime, theirs: SystemTime, report: &mut Report) {
    const NAME: &str = "clock";
    let (skew, word) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let what = format!("this machine's clock is {} s {word} GitHub's", skew.as_secs());
    if skew > SKEW_MAX {
        report.wrong(
            NAME,
            format!("{what}: what it keeps is taken for older or newer than it is, and others refuse it"),
            "let chrony or systemd-timesyncd set it: timedatectl set-ntp true",
        );
    } else {
        report.well(NAME, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_are_wrong_in_both_directions() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let minutes = Duration::from_secs(600);
        for (theirs, is_well) in [(now, true), (now + minutes, false), (now - minutes, false)] {
            let mut report = Report::default();
            judge(now, theirs, &mut report);
            assert_eq!(report.is_well(), is_well);
        }
    }
}
