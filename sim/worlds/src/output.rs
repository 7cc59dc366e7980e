//! Data on stdout, all else on stderr.

use std::io::{IsTerminal, Write};

pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A line that the next one overwrites; nothing where nobody looks.
pub fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr().lock(), "\r\x1b[2K{line}");
    }
}

/// Ends the line of progress.
pub fn progress_done() {
    progress("");
}
