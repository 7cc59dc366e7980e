use crate::run::{self, Outcome};

/// What the bench itself reads; `--help` behind its name tells more.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub(super) arguments: Vec<String>,
}

/// Builds the store's bench in release mode, and runs one of its commands.
pub(crate) fn run(command: &str, arguments: &Arguments) -> Outcome {
    let mut cargo = run::cargo(&["run", "--quiet", "--release", "--package", "bench-store", "--", command]);
    run::check(cargo.args(&arguments.arguments))
}
