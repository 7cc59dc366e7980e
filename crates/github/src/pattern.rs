use std::fmt;

use crate::{Ask, Target};

/// A set of requests that an operator names: a repository (`owner/repo`, `owner/*`) with all that
/// belongs to it, or a path such as `/orgs/acme/**`.
///
/// `*` stands for one segment, `**` at the end for any number of them. Case does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<String>,
    is_open: bool,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a pattern is owner/repo or a path that begins with /")]
    Form,
    #[error("a * stands for a whole segment, and ** only at the end")]
    Star,
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.trim().to_ascii_lowercase();
        let path = match text.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None if text.split('/').count() == 2 => format!("repos/{text}/**"),
            None => return Err(PatternError::Form),
        };
        let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        let is_open = segments.last().is_some_and(|last| last == "**");
        if is_open {
            segments.pop();
        }
        if segments.iter().any(String::is_empty) || segments.is_empty() && !is_open {
            return Err(PatternError::Form);
        }
        if segments.iter().any(|segment| segment.contains('*') && segment != "*") {
            return Err(PatternError::Star);
        }
        Ok(Self { text, segments, is_open })
    }

    pub fn covers(&self, ask: &Ask) -> bool {
        // A repository may be asked for by its id; its family is known by name, if at all.
        let family = ask.family.as_str().split_once('/').map_or("", |(_, path)| path);
        self.covers_path(&ask.target) || self.is_open && self.matches(family.split('/'))
    }

    pub fn covers_path(&self, target: &Target) -> bool {
        self.matches(target.segments())
    }

    /// In lower case, without a `**` at the end.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(String::as_str)
    }

    /// Whether it ends in `**`.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    fn matches<'a>(&self, path: impl Iterator<Item = &'a str>) -> bool {
        let mut path = path.filter(|segment| !segment.is_empty());
        for expected in &self.segments {
            match path.next() {
                Some(segment) if expected == "*" || segment.eq_ignore_ascii_case(expected) => {}
                _ => return false,
            }
        }
        self.is_open || path.next().is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_names() {
        for (pattern, path, covered) in [
            ("acme/secret", "/repos/Acme/Secret", true),
            ("acme/secret", "/repos/acme/secret/issues/7", true),
            ("acme/secret", "/repos/acme/secrets", false),
            ("acme/*", "/repos/acme/anything/pulls", true),
            ("acme/*", "/orgs/acme/repos", false),
            ("/orgs/acme/**", "/orgs/acme", true),
            ("/orgs/acme/**", "/orgs/acme/repos", true),
            ("/orgs/*/repos", "/orgs/acme/repos", true),
            ("/orgs/*/repos", "/orgs/acme/repos/x", false),
            ("/**", "/user", true),
        ] {
            let target = Target::parse(path, None).unwrap();
            assert_eq!(Pattern::parse(pattern).unwrap().covers_path(&target), covered, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", PatternError::Form),
            ("acme", PatternError::Form),
            ("a/b/c", PatternError::Form),
            ("/", PatternError::Form),
            ("//x", PatternError::Form),
            ("/repos/a*/b", PatternError::Star),
            ("/a/**/b", PatternError::Star),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }
}
