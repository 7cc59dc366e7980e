//! The edit as bytes to bytes. The line above ours tells how to undo it.

use std::path::Path;

const KEY: &str = "http_unix_socket";
const MARK: &str = "# ghoard setup gh: ";
const ADDED: &str = "added";
const ADDED_AFTER_OPEN_LINE: &str = "added, and a line break before";
const CREATED: &str = "created";
const WAS: &str = "was ";

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CannotEdit {
    #[error("it is not plain lines of `key: value`; add `{KEY}` by hand")]
    NotPlain,
    #[error("the path of the socket is not UTF-8")]
    Path,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    Nothing,
    Remove,
    Write(Vec<u8>),
}

/// Returns `config` with our line in it, or a new file with nothing else.
pub(super) fn with_socket(config: Option<&[u8]>, socket: &Path) -> Result<Vec<u8>, CannotEdit> {
    let ours = format!("{KEY}: {}", yaml_text(socket.to_str().ok_or(CannotEdit::Path)?));
    let Some(config) = config else { return Ok(format!("{MARK}{CREATED}\n{ours}\n").into_bytes()) };
    let text = std::str::from_utf8(config).map_err(|_| CannotEdit::NotPlain)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.iter().any(|line| ["{", "[", "---", "..."].iter().any(|start| line.starts_with(start))) {
        return Err(CannotEdit::NotPlain);
    }
    let Some(at) = lines.iter().position(|line| is_key(line)) else {
        let open = !text.is_empty() && !text.ends_with('\n');
        let (line_break, mark) = if open { ("\n", ADDED_AFTER_OPEN_LINE) } else { ("", ADDED) };
        return Ok(format!("{text}{line_break}{MARK}{mark}\n{ours}\n").into_bytes());
    };
    let (line, end) = split_end(lines[at]);
    let value = line.split_once(':').map_or("", |(_, value)| value.trim());
    if line == ours {
        return Ok(config.to_vec());
    }
    if value.starts_with(['|', '>', '&', '!']) || lines.get(at + 1).is_some_and(|next| next.starts_with([' ', '\t'])) {
        return Err(CannotEdit::NotPlain);
    }
    let marked = at > 0 && lines[at - 1].starts_with(MARK);
    let mark = if marked { String::new() } else { format!("{MARK}{WAS}{line}\n") };
    Ok(format!("{}{mark}{ours}{end}{}", lines[..at].concat(), lines[at + 1..].concat()).into_bytes())
}

/// Returns what was there before [`with_socket`], with all later changes.
pub(super) fn without_socket(config: &[u8]) -> Undone {
    let Ok(text) = std::str::from_utf8(config) else { return Undone::Nothing };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(at) = lines.windows(2).position(|pair| pair[0].starts_with(MARK) && is_key(pair[1])) else {
        return Undone::Nothing;
    };
    let (mark, _) = split_end(&lines[at][MARK.len()..]);
    let (before, after) = (lines[..at].concat(), lines[at + 2..].concat());
    if let Some(line) = mark.strip_prefix(WAS) {
        let (_, end) = split_end(lines[at + 1]);
        return Undone::Write(format!("{before}{line}{end}{after}").into_bytes());
    }
    if mark == CREATED && before.is_empty() && after.is_empty() {
        return Undone::Remove;
    }
    // Lines that somebody added below need the line break that we made.
    let ours_is_last = mark == ADDED_AFTER_OPEN_LINE && after.is_empty();
    let before = if ours_is_last { before.strip_suffix('\n').unwrap_or(&before) } else { &before };
    Undone::Write(format!("{before}{after}").into_bytes())
}

/// Writes `text` as a value of YAML, in quotes only where it needs them.
pub(crate) fn yaml_text(text: &str) -> String {
    let plain =
        text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn is_key(line: &str) -> bool {
    line.split_once(':').is_some_and(|(key, _)| key.trim_end().trim_matches(['"', '\'']) == KEY)
}

fn split_end(line: &str) -> (&str, &str) {
    let text = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    line.split_at(text.len())
}

#[cfg(test)]
mod tests;
