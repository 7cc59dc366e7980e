use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A home folder of its own, and nothing of this machine's environment but `PATH`.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("tmp")).unwrap();
        home
    }

    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.0.path()).env("TMPDIR", self.path("tmp"));
        command.current_dir(self.0.path());
        command
    }

    pub(crate) fn ghoard(&self, arguments: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_ghoard"));
        command.args(arguments.split_whitespace());
        command
    }

    /// Names what is left in the folder for temporary files.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Shows what a command did, with `~` for this home.
    pub(crate) fn transcript(&self, command: &mut Command) -> String {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let mut lines = String::new();
        for (name, bytes) in [("out", stdout), ("err", stderr)] {
            for line in String::from_utf8(bytes).unwrap().lines() {
                lines += &format!("{name}: {}\n", line.trim_end());
            }
        }
        lines += &format!("exit: {}\n", status.code().map_or("none".to_owned(), |code| code.to_string()));
        lines.replace(self.0.path().to_str().unwrap(), "~")
    }
}
