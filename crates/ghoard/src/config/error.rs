use std::{fmt, io, path::PathBuf};

use super::settings::Setting;

/// Where a value was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag(String),
    Variable(String),
    File {
        path: PathBuf,
        line: usize,
    },
    /// Nobody typed it; the text tells what it follows from, if from anything.
    Default(Option<&'static str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default(None) => f.write_str("default"),
            Self::Default(Some(from)) => write!(f, "default, {from}"),
        }
    }
}

/// Why a configuration has no meaning. Each is one line; [`ConfigError::hint`] says what to try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{}:{line}: not TOML: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, message: String },
    #[error("{}:{line}: unknown key {key:?}", path.display())]
    UnknownKey { path: PathBuf, line: usize, key: String, nearest: Option<&'static str> },
    /// `value` is absent where it is secret.
    #[error("{name} from {source_}: {}expected {expected}", value.as_ref().map(|value| format!("{value:?} is not allowed, ")).unwrap_or_default())]
    BadValue { name: &'static str, source_: Source, value: Option<String>, expected: String },
    #[error("{name} has no default here, as neither XDG_CACHE_HOME nor HOME is set")]
    NoHome { name: &'static str },
    #[error(
        "{name} from {source_}: the path {} has {bytes} bytes, and a unix socket's path at most {}",
        path.display(), super::SOCKET_PATH_BYTES_MAX
    )]
    SocketPath { name: &'static str, source_: Source, path: PathBuf, bytes: usize },
}

impl ConfigError {
    /// Says what to try, where more can be said than the error does.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(key), .. } => Some(format!("did you mean {key:?}?")),
            Self::UnknownKey { .. } => Some("`ghoard config` lists every key".to_owned()),
            Self::NoHome { name } => {
                let setting = super::settings::find(name).map(Setting::own_variable).unwrap_or_default();
                Some(format!("set {setting} to a folder that this user can write"))
            }
            Self::SocketPath { name, .. } => {
                let setting = super::settings::find(name).map(Setting::own_variable).unwrap_or_default();
                Some(format!("set {setting} to a shorter path"))
            }
            Self::Read { .. } => Some("is the path right, and may this user read it?".to_owned()),
            _ => None,
        }
    }
}
