use crate::run::{self, Outcome};

/// The limits of `--daemons`: somebody has to be left, and all run on one machine.
const DAEMONS: std::ops::RangeInclusive<u64> = 2..=50;

/// Kills one daemon after the other under load, with the real gh, and prints a table of what came of it.
///
/// The work is done by a test that the ordinary run leaves out. `--release` builds what is shipped.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (mut seconds, mut daemons, mut is_release) = (120, 12, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
            text.parse::<u64>().map_err(|cause| format!("{argument} {text}: {cause}"))
        };
        match argument.as_str() {
            "--seconds" => seconds = number()?,
            "--daemons" => daemons = number()?,
            "--release" => is_release = true,
            other => return Err(format!("soak knows --seconds N, --daemons N and --release, not {other:?}")),
        }
    }
    if !DAEMONS.contains(&daemons) {
        return Err(format!("--daemons is {} to {}", DAEMONS.start(), DAEMONS.end()));
    }
    let mut cargo = vec!["test", "--quiet", "--package", "ghoard", "--test", "it"];
    if is_release {
        cargo.push("--release");
    }
    cargo.extend([
        "--",
        "--exact",
        "soak::daemons_are_killed_under_load_and_no_call_to_a_living_one_is_lost",
        "--nocapture",
    ]);
    let mut command = run::cargo(&cargo);
    command.env("GHOARD_SOAK_SECS", seconds.to_string()).env("GHOARD_SOAK_DAEMONS", daemons.to_string());
    run::check(&mut command)
}
