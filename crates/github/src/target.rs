/// The path and query of a request in one canonical form.
///
/// Percent-escapes of unreserved characters are decoded and the others written in upper case, so
/// that no two spellings of one resource become two keys, and none can hide another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    path: String,
    query: Option<String>,
}

/// Why a request target is refused. Guessing what was meant would let a client reach one resource
/// under the key of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the path does not start with /")]
    NotAbsolute,
    #[error("the path has a . or .. segment; send the path it resolves to")]
    DotSegment,
    #[error("the path has an empty segment; send it with single slashes")]
    EmptySegment,
    #[error("the path is escaped twice; escape it once")]
    DoubleEscape,
    #[error("a % is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("the path has an escaped slash, backslash or control character")]
    HiddenSeparator,
}

impl Target {
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, TargetError> {
        if !path.starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        let path = normalise(path, true)?;
        if is_escaped_twice(&path) {
            return Err(TargetError::DoubleEscape);
        }
        let mut segments = path[1..].split('/').peekable();
        while let Some(segment) = segments.next() {
            // An escaped slash is a slash to whoever decodes first and resolves then.
            if segment.split("%2F").any(|part| matches!(part, "." | "..")) {
                return Err(TargetError::DotSegment);
            }
            if segment.is_empty() && segments.peek().is_some() {
                return Err(TargetError::EmptySegment);
            }
        }
        let query = query.map(|query| normalise(query, false)).transpose()?;
        Ok(Self { path, query })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|segment| !segment.is_empty())
    }

    /// Path and query, as they are sent to the origin.
    pub fn text(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

fn normalise(text: &str, is_path: bool) -> Result<String, TargetError> {
    let mut normal = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            match byte {
                // Some parsers take the first for a slash, and drop the others.
                b'\\' | 0..0x20 | 0x7f if is_path => return Err(TargetError::HiddenSeparator),
                byte if may_stand_plain(byte, is_path) => normal.push(char::from(byte)),
                byte => normal.push_str(&format!("%{byte:02X}")),
            }
            continue;
        }
        let (high, low) = (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit));
        let (Some(high), Some(low)) = (high, low) else { return Err(TargetError::BadEscape) };
        match high << 4 | low {
            b'\\' | 0..0x20 | 0x7f if is_path => return Err(TargetError::HiddenSeparator),
            // A ref such as `feature/x` is one segment when its slash is escaped: keep it so.
            escaped if is_unreserved(escaped) => normal.push(char::from(escaped)),
            escaped => normal.push_str(&format!("%{escaped:02X}")),
        }
    }
    Ok(normal)
}

/// Whether a `%` is escaped where what follows would make an escape of it again. To be asked of the
/// normal form: the digits may have been escaped, too.
fn is_escaped_twice(normal: &str) -> bool {
    let mut after = normal.split("%25").skip(1);
    after.any(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether every URL parser leaves `byte` as it is. The rest is escaped here, so that what is in the
/// key is what is sent.
fn may_stand_plain(byte: u8, is_path: bool) -> bool {
    let others: &[u8] = if is_path { b"/:@!$&'()*+,;=" } else { b"/:@!$&()*+,;=?" };
    is_unreserved(byte) || others.contains(&byte)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_resource_has_one_spelling() {
        for (path, normal) in [
            ("/repos/a/b", "/repos/a/b"),
            ("/repos/%61/b", "/repos/a/b"),
            ("/repos/a/b/git/ref/heads%2fx", "/repos/a/b/git/ref/heads%2Fx"),
            ("/search/", "/search/"),
            ("/a%25", "/a%25"),
            ("/a/\u{e9}{x}", "/a/%C3%A9%7Bx%7D"),
        ] {
            assert_eq!(Target::parse(path, None).unwrap().path(), normal);
        }
    }

    #[test]
    fn what_could_mean_another_resource_is_refused() {
        for (path, error) in [
            ("repos", TargetError::NotAbsolute),
            ("/repos/a/../b", TargetError::DotSegment),
            ("/repos/a/%2e%2E/b", TargetError::DotSegment),
            ("/repos/./b", TargetError::DotSegment),
            ("/repos/..%2fb", TargetError::DotSegment),
            ("/repos/a%2F%2e%2Fb", TargetError::DotSegment),
            ("/repos//b", TargetError::EmptySegment),
            ("/repos/%252e%252e/b", TargetError::DoubleEscape),
            ("/repos/%25%32e%25%32e/b", TargetError::DoubleEscape),
            ("/repos/%252%65/b", TargetError::DoubleEscape),
            ("/repos/a%5cb", TargetError::HiddenSeparator),
            ("/repos/a\\..\\..\\user", TargetError::HiddenSeparator),
            ("/repos/a%00b", TargetError::HiddenSeparator),
            ("/repos/a\tb", TargetError::HiddenSeparator),
            ("/repos/%zz", TargetError::BadEscape),
            ("/repos/%4", TargetError::BadEscape),
        ] {
            assert_eq!(Target::parse(path, None), Err(error), "{path}");
        }
    }
}
