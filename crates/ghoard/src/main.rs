//! The binary: it reads what the operator wants, and hands it on. It decides nothing.

mod admin;
mod admin_client;
mod admin_socket;
mod checks;
mod cli;
mod config;
mod demo;
mod doctor;
mod exec;
mod fleet_view;
mod http_mode;
mod invalidate;
mod listen;
mod logging;
mod machine;
mod names;
mod output;
mod probe;
mod proof;
mod question;
mod reach;
mod run;
mod savings;
mod setup;
mod smoke;
mod upstream;
mod why;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use cli::{Command, Invocation, SecretCommand, Setup};
use config::{Config, ConfigError, RawConfig, World};
use exec::Exec;

/// Something was wrong, and the answer is not known; 1 is for a plain no.
const BROKEN: u8 = 2;

fn main() -> ExitCode {
    let invocation = cli::parse();
    let env: BTreeMap<String, OsString> =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let world = World { env: &env, read_file: &read_file };
    let config = read_config(&invocation, &world);
    ExitCode::from(match invocation.command {
        Command::Exec { command } => exec(command, config, &world),
        Command::Gh { arguments } => {
            exec([OsString::from("gh")].into_iter().chain(arguments).collect(), config, &world)
        }
        command => match config {
            Ok(config) => with_config(&command, &config, &world),
            Err(error) => {
                output::error(&error, error.hint().as_deref());
                BROKEN
            }
        },
    })
}

fn with_config(command: &Command, config: &Config, world: &World<'_>) -> u8 {
    match command {
        Command::Config { json } => {
            config::show::print(config, *json);
            0
        }
        Command::Setup(Setup::Gh { undo }) => setup_gh(*undo, config, world),
        Command::Secret(SecretCommand::New) => {
            output::data(crypto::Secret::generate(rand::random()).reveal());
            0
        }
        Command::Run => in_runtime(config, "info", async || {
            run::run(config, world).await.map_err(|error| said(&error, error.hint().as_deref())).map(|()| 0)
        }),
        Command::Smoke(smoke) => in_runtime(config, if smoke.verbose { "info" } else { "warn" }, async || {
            let done = smoke::smoke(smoke, config, world).await;
            done.map_err(|error| said(&error, error.hint().as_deref())).map(|done| u8::from(!done))
        }),
        Command::Doctor(doctor) => in_runtime(config, "warn", async || {
            let done = doctor::doctor(doctor, config, world).await;
            done.map_err(|error| said(&error, error.hint().as_deref())).map(|well| u8::from(!well))
        }),
        Command::Probe(probe) => in_runtime(config, "warn", async || {
            let done = probe::probe(probe, config, world).await;
            done.map_err(|error| said(&error, error.hint().as_deref())).map(|well| u8::from(!well))
        }),
        Command::Why(why) => in_runtime(config, "warn", async || {
            why::why(why, config).await.map_err(|error| said(&error, error.hint().as_deref())).map(|()| 0)
        }),
        Command::Invalidate { pattern, json } => in_runtime(config, "warn", async || {
            let done = invalidate::invalidate(pattern, *json, config).await;
            done.map_err(|error| said(&error, error.hint().as_deref())).map(|matched| u8::from(!matched))
        }),
        Command::Savings { json } => in_runtime(config, "warn", async || {
            savings::savings(*json, config).await.map_err(|error| said(&error, error.hint().as_deref())).map(|()| 0)
        }),
        Command::Peers { json } => in_runtime(config, "warn", async || {
            fleet_view::peers(*json, config).await.map_err(|error| said(&error, error.hint().as_deref())).map(|()| 0)
        }),
        Command::Stats { json } => in_runtime(config, "warn", async || {
            fleet_view::stats(*json, config).await.map_err(|error| said(&error, error.hint().as_deref())).map(|()| 0)
        }),
        Command::Demo { json, seconds } => in_runtime(config, "error", async || {
            demo::demo(demo::Demo { json: *json, seconds: *seconds })
                .await
                .map_err(|error| said(&*error, None))
                .map(|()| 0)
        }),
        Command::Exec { .. } | Command::Gh { .. } => unreachable!("they do not need a configuration"),
    }
}

/// Runs a command that needs the network. `log` counts unless the operator has set another.
fn in_runtime(config: &Config, log: &str, command: impl AsyncFnOnce() -> Result<u8, u8>) -> u8 {
    let log = if config.is_typed("log") { &config.log } else { log };
    if let Err(error) = logging::start(log, config.log_format) {
        return said(&error, None);
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command()).unwrap_or_else(|code| code);
            // A blocked disk must not keep the process from ending.
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            code
        }
        Err(error) => said(&error, None),
    }
}

fn said(error: &dyn std::error::Error, hint: Option<&str>) -> u8 {
    output::error(error, hint);
    BROKEN
}

fn read_config(invocation: &Invocation, world: &World<'_>) -> Result<Config, ConfigError> {
    let raw = RawConfig::read(&invocation.flags, invocation.config_file.as_deref(), world)?;
    for name in &raw.unknown_variables {
        output::warning(&format!("{name} is no setting of ghoard"));
    }
    for name in &raw.empty_variables {
        output::warning(&format!("{name} is empty, which counts as not set"));
    }
    Config::resolve(&raw, world)
}

fn setup_gh(undo: bool, config: &Config, world: &World<'_>) -> u8 {
    let folder = setup::gh_config_dir(world).ok_or(setup::SetupError::NoFolder);
    let done =
        folder.and_then(|folder| if undo { setup::undo(&folder) } else { setup::setup(&folder, &config.door_socket) });
    match done {
        Ok(done) => {
            setup::report(&done, undo, &config.door_socket);
            0
        }
        Err(error) => {
            output::error(&error, None);
            BROKEN
        }
    }
}

/// A wrong configuration must not keep a command from running: it goes direct.
fn exec(command: Vec<OsString>, config: Result<Config, ConfigError>, world: &World<'_>) -> u8 {
    let bypass = world.variable("GHOARD_BYPASS").is_some_and(|value| value != "0");
    let (socket, bypass) = match config {
        Ok(config) => (config.door_socket, bypass),
        Err(error) => {
            if !bypass {
                output::warning(&format!("going direct: {error}"));
            }
            (Default::default(), true)
        }
    };
    let exec = Exec { command, socket, gh_config_dir: setup::gh_config_dir(world), bypass };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&error, None);
            return BROKEN;
        }
    };
    match runtime.block_on(exec::run(exec)) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error, None);
            error.exit_code()
        }
    }
}

/// Reads a configuration or secret; neither is ever near this limit.
fn read_file(path: &Path) -> io::Result<String> {
    const BYTES_MAX: u64 = 1 << 20;
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX { Err(io::Error::other("larger than 1 MiB")) } else { Ok(text) }
}
