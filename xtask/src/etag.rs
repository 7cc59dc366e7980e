use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::run::{self, Outcome};

/// The recordings of real exchanges that come with PyGithub, by name, version and digest.
const REQUIREMENT: &str =
    "PyGithub==2.10.0 --hash=sha256:90ff24ef1cd1bd57124c2a3869cafee9d7b066909129ecdaba2c2d1903bc118d\n";
const ARCHIVE: &str = "pygithub-2.10.0.tar.gz";
const RECORDINGS: &str = "pygithub-2.10.0/tests/ReplayData";

/// Recomputes the ETag of every recorded answer that can be checked, and lists the misses.
///
/// Fetches the recordings with pip once and keeps them in `target/`. Where that is not possible, it
/// says why and is no failure: nothing was found to be wrong.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("etag-vectors takes no arguments".to_owned());
    }
    let folder = run::root().join("target/etag-vectors");
    fs::create_dir_all(&folder).map_err(|cause| format!("could not make {}: {cause}", folder.display()))?;
    if !folder.join(ARCHIVE).is_file()
        && let Some(why) = fetch(&folder)?
    {
        run::print(&format!("etag-vectors: skipped, as the recordings could not be fetched: {why}"));
        return Ok(());
    }
    run::check(Command::new("tar").args(["-xzf", ARCHIVE, RECORDINGS]).current_dir(&folder))?;
    let recordings = folder.join(RECORDINGS).display().to_string();
    run::check(&mut run::cargo(&["run", "--quiet", "-p", "github", "--example", "etag_vectors", "--", &recordings]))
}

/// Downloads the archive. Returns why it could not be had, if so; another archive than the one that was
/// meant is an error.
fn fetch(folder: &Path) -> Result<Option<String>, String> {
    let path = folder.join("requirements.txt");
    fs::write(&path, REQUIREMENT).map_err(|cause| format!("could not write {}: {cause}", path.display()))?;
    let mut pip = Command::new("pip");
    pip.args(["--disable-pip-version-check", "--retries", "1", "--timeout", "15"]);
    pip.args(["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes"]);
    pip.args(["--requirement", "requirements.txt", "--dest", "."]).current_dir(folder);
    match pip.output() {
        Ok(Output { status, .. }) if status.success() => Ok(None),
        Ok(Output { stderr, .. }) => reason(&String::from_utf8_lossy(&stderr)).map(Some),
        Err(cause) => Ok(Some(format!("pip cannot be run: {cause}"))),
    }
}

/// Why pip failed, on one line.
fn reason(stderr: &str) -> Result<String, String> {
    if stderr.contains("DO NOT MATCH THE HASHES") {
        return Err(format!("the archive is not the one that was meant:\n{stderr}"));
    }
    if stderr.contains("connection broken") {
        return Ok("pip does not reach a package index".to_owned());
    }
    let line = stderr.lines().rfind(|line| line.starts_with("ERROR:"));
    Ok(line.unwrap_or("pip failed and did not say why").trim_start_matches("ERROR:").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_network_is_a_reason_and_another_archive_an_error() {
        let offline = "WARNING: Retrying after connection broken by 'x'\nERROR: No matching distribution found\n";
        assert_eq!(reason(offline), Ok("pip does not reach a package index".to_owned()));
        assert_eq!(reason("ERROR: a\nERROR: b\n"), Ok("b".to_owned()));
        assert!(reason("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.").is_err());
        assert!(reason("").is_ok());
    }
}
