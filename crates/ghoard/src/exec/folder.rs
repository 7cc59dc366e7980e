use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use tempfile::TempDir;

use crate::setup::yaml_text;

/// The settings of gh that are carried over. What is not known may be a secret, as `hosts:` once was.
///
/// `version` must be among them: without it gh takes the folder for one of an older gh, and migrates
/// the user's `hosts.yml` a second time.
const CARRIED: &[&str] = &[
    "version",
    "git_protocol",
    "editor",
    "prompt",
    "prefer_editor_prompt",
    "pager",
    "browser",
    "color_labels",
    "accessible_colors",
    "accessible_prompter",
    "spinner",
    "aliases",
];

/// A larger configuration is not carried over.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A private configuration folder for gh: its own `config.yml`, and links to all the user's other files.
pub(super) struct GhFolder(TempDir);

impl GhFolder {
    /// Makes the folder, readable by this user only; without a socket, gh goes direct.
    ///
    /// `hosts.yml` is only ever linked, so no credential is read or copied, and a new login goes to the
    /// user's own file.
    pub(super) fn create(socket: Option<&Path>, user: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("ghoard-gh-").permissions(Permissions::from_mode(0o700));
        let folder = builder.tempdir()?;
        let mut config = String::new();
        if let Some(socket) = socket {
            let socket = socket.to_str().ok_or_else(|| io::Error::other("the socket's path is not UTF-8"))?;
            config = format!("http_unix_socket: {}\n", yaml_text(socket));
        }
        if let Some(user) = user.filter(|user| user.is_dir()) {
            config += &carried(&user.join("config.yml"))?;
            let user = fs::canonicalize(user)?;
            for entry in fs::read_dir(&user)? {
                let name = entry?.file_name();
                if name != "config.yml" && name != "hosts.yml" {
                    symlink(user.join(&name), folder.path().join(&name))?;
                }
            }
            symlink(user.join("hosts.yml"), folder.path().join("hosts.yml"))?;
        }
        fs::write(folder.path().join("config.yml"), config)?;
        fs::set_permissions(folder.path().join("config.yml"), Permissions::from_mode(0o600))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the folder; of what is linked, only the links.
    pub(super) fn remove(self) {
        // What cannot be removed holds no secret.
        let _ = self.0.close();
    }
}

fn carried(config: &Path) -> io::Result<String> {
    let file = match File::open(config) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Ok(String::new());
    }
    Ok(std::str::from_utf8(&bytes).map(carried_lines).unwrap_or_default())
}

/// Returns the lines of the carried keys, each with the lines below it that belong to it.
fn carried_lines(config: &str) -> String {
    let mut carry = false;
    let mut lines = String::new();
    for line in config.lines() {
        if !line.starts_with([' ', '\t', '#']) && !line.trim().is_empty() {
            let key = line.split_once(':').map(|(key, _)| key.trim_end().trim_matches(['"', '\'']));
            carry = key.is_some_and(|key| CARRIED.contains(&key));
        }
        if carry {
            lines += line;
            lines.push('\n');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_settings_are_carried_and_everything_else_stays_behind() {
        let config = "# What protocol\ngit_protocol: ssh\nhosts:\n    github.com:\n        oauth_token: ghp_x\n\
            aliases:\n    co: pr checkout\n\n    up: |\n      x\nhttp_unix_socket: /old\nversion: \"1\"\nnew_key: s\n";
        assert_eq!(
            carried_lines(config),
            "git_protocol: ssh\naliases:\n    co: pr checkout\n\n    up: |\n      x\nversion: \"1\"\n"
        );
    }

    #[test]
    fn the_folder_is_private_and_links_all_other_files() {
        let user = tempfile::tempdir().unwrap();
        fs::write(user.path().join("hosts.yml"), "secret").unwrap();
        fs::write(user.path().join("other"), "x").unwrap();
        fs::write(user.path().join("config.yml"), "editor: vi\n").unwrap();
        let folder = GhFolder::create(Some(Path::new("/run/g.sock")), Some(user.path())).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path.join("config.yml")).unwrap(), "http_unix_socket: /run/g.sock\neditor: vi\n");
        for name in ["hosts.yml", "other"] {
            assert_eq!(fs::read_link(path.join(name)).unwrap(), fs::canonicalize(user.path()).unwrap().join(name));
        }
        folder.remove();
        assert!(!path.exists());
        assert_eq!(fs::read_to_string(user.path().join("hosts.yml")).unwrap(), "secret");
    }

    #[test]
    fn a_user_without_configuration_gets_ours_alone() {
        let folder = GhFolder::create(Some(Path::new("/s")), Some(Path::new("/nonexistent"))).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
