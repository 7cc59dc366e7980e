use super::*;

fn parsed(line: &str) -> Result<Invocation, clap::Error> {
    try_parse(line.split_whitespace().map(OsString::from))
}

fn passed(line: &str) -> Vec<OsString> {
    match parsed(line).unwrap().command {
        Command::Gh { arguments } => arguments,
        Command::Exec { command } => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_commands_fit_together() {
    command().debug_assert();
}

#[test]
fn gh_s_arguments_are_not_ours() {
    for arguments in [
        "",
        "--help",
        "-h",
        "--version",
        "help",
        "api /repos/a/b --help --log debug -- x",
        "-R a/b pr list --json number",
        "api user -- --log",
    ] {
        assert_eq!(passed(&format!("ghoard gh {arguments}")), arguments.split_whitespace().collect::<Vec<_>>());
    }
}

#[test]
fn exec_s_command_begins_with_its_name() {
    assert_eq!(passed("ghoard exec -- ls -la --help"), ["ls", "-la", "--help"]);
    assert_eq!(passed("ghoard exec --log debug ls --log x -- y"), ["ls", "--log", "x", "--", "y"]);
    assert!(parsed("ghoard exec").is_err());
}

#[test]
fn a_setting_is_a_flag_before_and_after_the_command() {
    let flags = |line: &str| parsed(line).unwrap().flags;
    assert_eq!(
        flags("ghoard run --listen-port 1 --enable-p2p"),
        [("enable_p2p", "true".into()), ("listen_port", "1".into())].into()
    );
    assert_eq!(flags("ghoard --enable-p2p=false config"), [("enable_p2p", "false".into())].into());
    assert!(flags("ghoard run").is_empty());
}

#[test]
fn smoke_reads_or_writes() {
    assert!(parsed("ghoard smoke").is_err());
    assert!(parsed("ghoard smoke --read --write").is_err());
    let Command::Smoke(smoke) = parsed("ghoard smoke --write --synthetic --listen-port 9101").unwrap().command else {
        panic!("not smoke");
    };
    assert!(smoke.write && smoke.synthetic && !smoke.read);
    assert_eq!((smoke.target.as_str(), smoke.wait_seconds), ("octocat/Hello-World", 60));
}
