//! The one entry point for everything that is done to the source: `cargo xtask <command>`.

mod arrows;
mod bench;
mod cache_tests;
mod ci;
mod clients;
mod etag;
mod figures;
mod nat_lab;
mod readme;
mod run;
mod sim;
mod size;
mod soak;
mod source;
mod test;
mod tidy;

use std::process::ExitCode;

use run::Outcome;

struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
}

static COMMANDS: &[Command] = &[
    Command { name: "test", help: "run every test of the workspace; arguments go to the runner", run: test::run },
    Command { name: "ci", help: "do what CI does: fmt, clippy, tests, doc, tidy", run: ci::run },
    Command {
        name: "clients",
        help: "install the clients that tests walk with (fetches them with npm and pip)",
        run: clients::run,
    },
    Command { name: "sim", help: "run ghoard in simulated worlds; `sim --help` tells more", run: sim::run },
    Command {
        name: "soak",
        help: "kill real daemons under the load of the real gh (--seconds N --daemons N)",
        run: soak::run,
    },
    Command {
        name: "bench",
        help: "measure ghoard beside what people would use instead; `bench --help` tells more",
        run: bench::run,
    },
    Command {
        name: "nat-lab",
        help: "connect real daemons through real NAT in network namespaces (--small, --discovery, --delay MS --loss PERCENT …)",
        run: nat_lab::run,
    },
    Command { name: "sim-ci", help: "run the simulator's self-test and its fixed seeds", run: sim::ci },
    Command { name: "sim-apart", help: "check that nothing of the simulator is shipped", run: sim::apart },
    Command {
        name: "etag-vectors",
        help: "recompute the ETags of recorded exchanges (fetches them with pip)",
        run: etag::run,
    },
    Command {
        name: "cache-tests",
        help: "run the npm package http-cache-tests against `rules = http`",
        run: cache_tests::run,
    },
    Command { name: "tidy", help: "check what the compiler does not", run: tidy::run },
    Command {
        name: "figures",
        help: "print build time, time from machine to machine, sizes (minutes)",
        run: figures::run,
    },
    Command { name: "size", help: "print the lines of each crate", run: size::run },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else { return usage("no command") };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return usage(&format!("unknown command {name:?}"));
    };
    match (command.run)(&arguments.collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            run::say(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(error: &str) -> ExitCode {
    run::say(&format!("error: {error}\nhint: cargo xtask <command>, with one of"));
    for command in COMMANDS {
        run::say(&format!("  {:12}  {}", command.name, command.help));
    }
    ExitCode::from(2)
}
