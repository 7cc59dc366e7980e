//! The only place that prints: data on stdout, everything else on stderr.

use std::{error::Error, io::Write};

/// Prints one line of data.
///
/// A reader that has gone, as in `ghoard config | head`, is no error.
pub(crate) fn data(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes what only a terminal understands.
pub(crate) fn screen(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Says something to the person at the terminal.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

pub(crate) fn hint(hint: &str) {
    note(&format!("hint: {hint}"));
}

pub(crate) fn warning(warning: &str) {
    note(&format!("warning: {warning}"));
}

/// Prints what failed, with its causes, and what to try.
pub(crate) fn error(error: &dyn Error, hint_: Option<&str>) {
    let mut line = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    note(&line);
    if let Some(text) = hint_ {
        hint(text);
    }
}
