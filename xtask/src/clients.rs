use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::run::{self, Outcome};

/// A client that tests walk with, installed by its own package manager.
struct Client {
    name: &'static str,
    /// What names its packages and versions, below `crates/ghoard/tests/clients/<name>`.
    files: &'static [&'static str],
    /// To be run one after the other in the folder where it is installed.
    install: &'static [&'static [&'static str]],
}

static CLIENTS: [Client; 2] = [
    Client {
        name: "octokit",
        files: &["package.json", "package-lock.json"],
        install: &[&["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]],
    },
    Client {
        name: "pygithub",
        files: &["requirements.txt"],
        install: &[
            &["python3", "-m", "venv", "--clear", "--without-pip", "venv"],
            &[
                "python3",
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--python=venv/bin/python",
                "install",
                "--quiet",
                "--retries=1",
                "--timeout=15",
                "--no-deps",
                "--only-binary=:all:",
                "--requirement=requirements.txt",
            ],
        ],
    },
];

/// Is there once a client is whole, and holds what it was made of. Tests look for it.
const INSTALLED: &str = "installed";

/// Is there if a registry could not be reached, and says so. Tests are then skipped, even in CI.
const UNREACHABLE: &str = "unreachable";

/// Installs the clients that tests walk with into `target/tools`, once.
///
/// Where a registry cannot be reached it says so and is no failure: nothing was found to be wrong.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("clients takes no arguments".to_owned());
    }
    let failures: Vec<String> = CLIENTS.iter().filter_map(|client| install(client).err()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn install(client: &Client) -> Outcome {
    let name = client.name;
    let (from, to) = (run::root().join("crates/ghoard/tests/clients").join(name), folder(name));
    let made_of = client.files.iter().map(|file| read(&from.join(file))).collect::<Result<String, _>>()?;
    if fs::read_to_string(to.join(INSTALLED)).is_ok_and(|installed| installed == made_of) {
        return Ok(());
    }
    run::say(&format!("installing {name} into {}", to.display()));
    if to.exists() {
        fs::remove_dir_all(&to).map_err(|cause| format!("could not empty {}: {cause}", to.display()))?;
    }
    fs::create_dir_all(&to).map_err(|cause| format!("could not make {}: {cause}", to.display()))?;
    for file in client.files {
        fs::copy(from.join(file), to.join(file)).map_err(|cause| format!("could not copy {file}: {cause}"))?;
    }
    for words in client.install {
        let output = Command::new(words[0]).args(&words[1..]).current_dir(&to).output();
        match output {
            Ok(Output { status, .. }) if status.success() => {}
            Ok(Output { stdout, stderr, .. }) => {
                let said = String::from_utf8_lossy(&stderr) + String::from_utf8_lossy(&stdout);
                if !is_unreachable(&said) {
                    return Err(format!("could not install {name}: `{}` said\n{said}", words.join(" ")));
                }
                let why = format!("{} does not reach a package registry", words[0]);
                run::say(&format!("{name} is not installed: {why}; tests with it are skipped"));
                return write(&to.join(UNREACHABLE), &why);
            }
            Err(cause) => return Err(format!("could not install {name}: {} cannot be run: {cause}", words[0])),
        }
    }
    write(&to.join(INSTALLED), &made_of)
}

fn folder(name: &str) -> PathBuf {
    run::root().join("target/tools").join(name)
}

/// Whether a package manager failed because of the network, by its words: pip's, then npm's.
fn is_unreachable(said: &str) -> bool {
    let words =
        ["connection broken", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH"];
    words.iter().any(|word| said.contains(word))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|cause| format!("could not read {}: {cause}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|cause| format!("could not write {}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_network_is_told_from_a_package_that_is_not_there() {
        assert!(is_unreachable("WARNING: Retrying after connection broken by 'x'\nERROR: No matching distribution"));
        assert!(is_unreachable("npm error code ENOTFOUND"));
        assert!(!is_unreachable("ERROR: No matching distribution found for PyGithub==0"));
        assert!(!is_unreachable("npm error code ETARGET"));
    }

    #[test]
    fn the_versions_of_clients_are_in_the_tree() {
        for client in &CLIENTS {
            for file in client.files {
                assert!(run::root().join("crates/ghoard/tests/clients").join(client.name).join(file).is_file());
            }
        }
    }
}
