use crate::run::{self, Outcome};

/// What the bench itself reads; `--help` behind its name tells more.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub(super) arguments: Vec<String>,
}

/// How often a daemon is killed.
#[derive(clap::Args)]
pub(crate) struct Kills {
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Kills what is shipped, which is built first.
    #[arg(long)]
    release: bool,
}

/// Kills the real daemon at random moments under write load, by a test that does it a few times in each run.
pub(crate) fn kill(Kills { kills, release }: &Kills) -> Outcome {
    let mut cargo = run::cargo(&["test", "--quiet", "--package", "ghoard", "--test", "it"]);
    cargo.args(release.then_some("--release")).args([
        "--",
        "--exact",
        "kills::after_a_kill_at_any_moment_every_start_succeeds_and_what_was_committed_is_whole",
        "--nocapture",
    ]);
    run::check(cargo.env("GHOARD_KILLS", kills.to_string()))
}

/// Builds the daemon and fakehub as well, whose start is measured beside the store's.
pub(crate) fn start(arguments: &Arguments) -> Outcome {
    run::check(&mut run::cargo(&["build", "--quiet", "--release", "--package", "ghoard", "--package", "fakehub"]))?;
    let built = |name: &str| run::target().join("release").join(name).display().to_string();
    let binaries = ["--ghoard".to_owned(), built("ghoard"), "--fakehub".to_owned(), built("fakehub")];
    run("start", &Arguments { arguments: [&binaries[..], &arguments.arguments].concat() })
}

/// Builds the store's bench in release mode, and runs one of its commands.
pub(crate) fn run(command: &str, arguments: &Arguments) -> Outcome {
    let mut cargo = run::cargo(&["run", "--quiet", "--release", "--package", "bench-store", "--", command]);
    run::check(cargo.args(&arguments.arguments))
}
