use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::home::Home;

const BEFORE: &str =
    "# gh's own comment\ngit_protocol: ssh\nhttp_unix_socket:   /old # why\naliases:\n    co: pr checkout";

fn gh(home: &Home, arguments: &str) -> Option<String> {
    let output = home.command("gh").args(arguments.split_whitespace()).output();
    match output {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI needs gh: {error}");
            None
        }
    }
}

#[test]
fn gh_reads_what_setup_wrote_and_undo_gives_back_every_byte() {
    let home = Home::new();
    let config = home.write(".config/gh/config.yml", BEFORE);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    for _ in 0..2 {
        let output = home.ghoard("setup gh --door-socket /run/g.sock").output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty());
    }
    if let Some(socket) = gh(&home, "config get http_unix_socket") {
        assert_eq!(socket, "/run/g.sock");
        assert_eq!(gh(&home, "config get git_protocol").unwrap(), "ssh");
    }
    assert!(home.ghoard("setup gh --undo").status().unwrap().success());
    assert_eq!(fs::read_to_string(&config).unwrap(), BEFORE);
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(home.path(".config/gh")).unwrap().count(), 1);
}

#[test]
fn a_file_that_setup_made_is_removed() {
    let home = Home::new();
    let expected = "err: ~/gh/config.yml: gh now goes through /run/g.sock\n\
        err: hint: while the daemon is down, gh then fails; `ghoard gh` goes direct. Undo: `ghoard setup gh --undo`\n\
        exit: 0\n";
    let mut setup = home.ghoard("setup gh --door-socket /run/g.sock");
    assert_eq!(home.transcript(setup.env("GH_CONFIG_DIR", home.path("gh"))), expected);
    let mut undo = home.ghoard("setup gh --undo");
    undo.env("GH_CONFIG_DIR", home.path("gh"));
    let removed = "err: ~/gh/config.yml: removed, as `ghoard setup gh` had made it\nexit: 0\n";
    assert_eq!(home.transcript(&mut undo), removed);
    assert!(!home.path("gh/config.yml").exists());
    assert_eq!(home.transcript(&mut undo), "err: ~/gh/config.yml: nothing of ghoard's to undo\nexit: 0\n");
}

#[test]
fn a_link_stays_a_link() {
    let home = Home::new();
    let real = home.write("dotfiles/gh.yml", "editor: vi\n");
    let link = home.path("xdg/gh/config.yml");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("../../dotfiles/gh.yml", &link).unwrap();
    let run = |arguments: &str| {
        let status = home.ghoard(arguments).env("XDG_CONFIG_HOME", home.path("xdg")).status().unwrap();
        assert!(status.success());
    };
    run("setup gh");
    assert!(fs::read_to_string(&real).unwrap().contains("\nhttp_unix_socket: "));
    run("setup gh --undo");
    assert_eq!(fs::read_to_string(&real).unwrap(), "editor: vi\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn what_cannot_be_edited_is_left_alone() {
    let home = Home::new();
    let config = home.write(".config/gh/config.yml", "{git_protocol: ssh}\n");
    let expected = "err: error: ~/.config/gh/config.yml is not changed: it is not plain lines of `key: value`; \
        add `http_unix_socket` by hand\nexit: 2\n";
    assert_eq!(home.transcript(&mut home.ghoard("setup gh")), expected);
    assert_eq!(fs::read_to_string(config).unwrap(), "{git_protocol: ssh}\n");
}
