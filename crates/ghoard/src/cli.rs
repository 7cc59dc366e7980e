use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{Kind, SETTINGS},
    demo::{SECONDS_MAX, SECONDS_MIN},
};

/// What was asked for on the command line.
pub(crate) struct Invocation {
    pub(crate) command: Command,
    /// `--config`.
    pub(crate) config_file: Option<PathBuf>,
    /// The settings given as flags, by name.
    pub(crate) flags: BTreeMap<&'static str, String>,
}

/// A cache for the GitHub API, shared with the machines you trust.
#[derive(Debug, Parser)]
#[command(name = "ghoard", version, arg_required_else_help = true)]
struct Cli {
    /// Configuration file [default: $XDG_CONFIG_HOME/ghoard/config.toml, if it exists; variable: GHOARD_CONFIG]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Settings")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon
    Run,
    /// Show a morning of a small fleet, and what of it reaches GitHub; without GitHub and without any set-up
    Demo {
        /// Print the result as JSON, and nothing else
        #[arg(long)]
        json: bool,
        /// How long it takes
        #[arg(long, value_name = "N", default_value_t = 20,
            value_parser = clap::value_parser!(u64).range(SECONDS_MIN..=SECONDS_MAX))]
        seconds: u64,
    },
    /// Make other programs use the cache
    #[command(subcommand)]
    Setup(Setup),
    /// Run a command whose gh uses the cache, or goes direct when the daemon is down
    Exec {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Run gh through the cache, or direct when the daemon is down
    #[command(disable_help_flag = true)]
    Gh {
        /// Passed on untouched
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Tell what the running daemon would do with a request, and why
    Why(Why),
    /// Make the running daemon drop what it keeps of a repository, path or pattern
    Invalidate {
        /// owner/repo, owner/*, a path such as /orgs/acme/**, or a URL
        #[arg(value_name = "PATTERN")]
        pattern: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the other members as the running daemon sees them: role, path, round trip, index, version
    Peers {
        /// Print JSON: the whole page of /api/mcp/peers
        #[arg(long)]
        json: bool,
    },
    /// Show what the running daemon and the whole fleet have asked and saved
    Stats {
        /// Print JSON: the whole page of /api/mcp/cache/stats
        #[arg(long)]
        json: bool,
    },
    /// Show what each repository has cost and saved since the daemon's start
    Savings {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check between two machines that an entry written on one is read on the other
    Smoke(Smoke),
    /// Check this machine, GitHub and the way to the other members, and say what to do where something is wrong
    Doctor(Doctor),
    /// Examine the way to another machine, step by step; or with --serve, await such a probe
    Probe(Probe),
    /// Print every setting, its value and where it comes from
    Config {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Secrets that make machines members
    #[command(subcommand)]
    Secret(SecretCommand),
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Setup {
    /// Make every gh of this user use the cache (it then needs the daemon; `ghoard gh` does not)
    Gh {
        /// Put gh's configuration back as it was
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// GET, POST, …
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,
    /// A URL, or a path of the main origin
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// A header of the request, such as 'Accept: application/json'; the token is that of GH_TOKEN or GITHUB_TOKEN
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// Wait for the entry
    #[arg(long, required_unless_present = "write", conflicts_with = "write")]
    pub(crate) read: bool,
    /// Write the entry
    #[arg(long, required_unless_present = "read")]
    pub(crate) write: bool,
    /// Write a made-up entry, without asking GitHub
    #[arg(long)]
    pub(crate) synthetic: bool,
    /// Repository that the entry is about
    #[arg(long, default_value = "octocat/Hello-World")]
    pub(crate) target: String,
    /// How long the reader waits
    #[arg(long, default_value_t = 60)]
    pub(crate) wait_seconds: u64,
    /// Say what happens
    #[arg(long)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Doctor {
    /// That GitHub makes its ETags as ghoard computes them; needs a token
    #[arg(long)]
    pub(crate) etag: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Probe {
    /// Where the other machine is [default: remote_multiaddr, P2P_REMOTE_MULTIADDR]
    #[arg(value_name = "MULTIADDR", conflicts_with = "serve")]
    pub(crate) multiaddr: Option<String>,
    /// Await probes, and print the address to give to the other machine
    #[arg(long)]
    pub(crate) serve: bool,
    /// Port to await them on [default: listen_port]
    #[arg(long, value_name = "N", requires = "serve")]
    pub(crate) port: Option<u16>,
    /// Address of this machine to print
    #[arg(long, value_name = "IP", requires = "serve")]
    pub(crate) advertise_ip: Option<std::net::IpAddr>,
    /// End when one probe was answered
    #[arg(long, requires = "serve")]
    pub(crate) exit_after_one: bool,
    /// Print the report as JSON
    #[arg(long, conflicts_with = "serve")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Print a new random secret
    New,
}

/// Reads the command line. Prints help, version or what is wrong itself, and then ends the process.
pub(crate) fn parse() -> Invocation {
    try_parse(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

fn try_parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    Ok(Invocation { command: cli.command, config_file: cli.config, flags: flags(&matches) })
}

/// The commands, with one flag for each setting of the table.
pub(crate) fn command() -> clap::Command {
    SETTINGS.iter().fold(Cli::command(), |command, setting| {
        let variables = setting.variables().collect::<Vec<_>>().join(", ");
        let help = format!("{} [default: {}; variables: {variables}]", setting.help, setting.default);
        let flag = Arg::new(setting.name)
            .long(setting.flag())
            .help(help)
            .help_heading("Settings")
            .hide_short_help(true)
            .global(true)
            .action(ArgAction::Set);
        command.arg(match setting.kind {
            Kind::Switch => {
                flag.value_name("true|false").num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            Kind::Number => flag.value_name("NUMBER").allow_hyphen_values(true),
            Kind::Text | Kind::Secret => flag.value_name("VALUE"),
            Kind::List => flag.value_name("A,B"),
        })
    })
}

fn flags(matches: &ArgMatches) -> BTreeMap<&'static str, String> {
    let given = |name| matches.get_one::<String>(name).cloned();
    SETTINGS.iter().filter_map(|setting| Some((setting.name, given(setting.name)?))).collect()
}

#[cfg(test)]
mod tests;
