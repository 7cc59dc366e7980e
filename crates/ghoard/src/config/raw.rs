use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    error::{ConfigError, Source},
    nearest::nearest,
    settings::{self, Kind, SETTINGS, Setting},
};

/// What was typed: for each setting the strongest value, and where it came from.
#[derive(Debug, Default)]
pub(crate) struct RawConfig {
    typed: BTreeMap<&'static str, Typed>,
    /// Variables that start with `GHOARD_` and set nothing, most likely by a typing error.
    pub(crate) unknown_variables: Vec<String>,
    /// Of this program's own.
    pub(crate) empty_variables: Vec<String>,
}

/// One value as text, and its source.
#[derive(Clone)]
pub(crate) struct Typed {
    pub(crate) value: String,
    pub(crate) source: Source,
}

impl std::fmt::Debug for Typed {
    // A value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from {}", self.source)
    }
}

/// Everything outside the command line that a configuration depends on.
pub(crate) struct World<'a> {
    pub(crate) env: &'a BTreeMap<String, OsString>,
    pub(crate) read_file: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl World<'_> {
    /// A variable that is set, not empty, and text.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// The folder in `variable`, or `below` in the home folder.
    pub(crate) fn folder(&self, variable: &str, below: &str) -> Option<PathBuf> {
        let home = || self.variable("HOME").map(|home| Path::new(home).join(below));
        // An XDG folder that is not absolute is to be ignored, says its specification.
        self.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home)
    }
}

const OTHER_VARIABLES: &[&str] = &["GHOARD_CONFIG", "GHOARD_BYPASS"];

impl RawConfig {
    /// Reads flags (by setting name), variables and the file, each stronger than the next.
    ///
    /// An empty variable counts as not set, as CI systems set variables of absent secrets.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read or has a key that is no setting.
    pub(crate) fn read(
        flags: &BTreeMap<&'static str, String>,
        file: Option<&Path>,
        world: &World<'_>,
    ) -> Result<Self, ConfigError> {
        let mut raw = Self::default();
        raw.read_file(file, world)?;
        for setting in SETTINGS {
            if let Some(typed) = from_variables(setting, world)? {
                raw.typed.insert(setting.name, typed);
            }
            if let Some(value) = flags.get(setting.name) {
                let source = Source::Flag(setting.flag());
                raw.typed.insert(setting.name, Typed { value: value.clone(), source });
            }
        }
        let known = |name: &str| {
            OTHER_VARIABLES.contains(&name) || SETTINGS.iter().any(|setting| setting.own_variable() == name)
        };
        raw.unknown_variables =
            world.env.keys().filter(|name| name.starts_with("GHOARD_") && !known(name)).cloned().collect();
        let is_empty = |name: &&String| world.env.get(*name).is_some_and(|value| value.is_empty());
        let own = world.env.keys().filter(|name| name.starts_with("GHOARD_") && known(name));
        raw.empty_variables = own.filter(is_empty).cloned().collect();
        Ok(raw)
    }

    pub(crate) fn get(&self, name: &'static str) -> Option<&Typed> {
        self.typed.get(name)
    }

    fn read_file(&mut self, named: Option<&Path>, world: &World<'_>) -> Result<(), ConfigError> {
        let named = named.map(Path::to_path_buf).or_else(|| world.variable("GHOARD_CONFIG").map(PathBuf::from));
        let default = || world.folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("ghoard/config.toml"));
        let must_exist = named.is_some();
        let Some(path) = named.or_else(default) else { return Ok(()) };
        match (world.read_file)(&path) {
            Ok(text) => self.parse_file(&path, &text),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && !must_exist => Ok(()),
            Err(cause) => Err(ConfigError::Read { path, cause }),
        }
    }

    fn parse_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_of =
            |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            // Only the message: the parser's full text quotes the line, which may hold a secret.
            let line = line_of(error.span().map_or(0, |span| span.start));
            ConfigError::Syntax { path: path.to_owned(), line, message: error.message().to_owned() }
        })?;
        for (key, value) in table.get_ref() {
            let line = line_of(key.span().start);
            let Some(setting) = settings::find(key.get_ref()) else {
                let key = key.get_ref().to_string();
                let nearest = nearest(&key, SETTINGS.iter().map(|setting| setting.name));
                return Err(ConfigError::UnknownKey { path: path.to_owned(), line, key, nearest });
            };
            let source = Source::File { path: path.to_owned(), line };
            let Some(value) = as_text(value.get_ref(), setting.kind) else {
                let expected = match setting.kind {
                    Kind::List => "a list of texts, or one text with commas",
                    Kind::Switch => "true or false",
                    Kind::Number => "a whole number",
                    Kind::Text | Kind::Secret => "a text in quotes",
                };
                let expected = expected.to_owned();
                return Err(ConfigError::BadValue { name: setting.name, source_: source, value: None, expected });
            };
            self.typed.insert(setting.name, Typed { value, source });
        }
        Ok(())
    }
}

fn from_variables(setting: &'static Setting, world: &World<'_>) -> Result<Option<Typed>, ConfigError> {
    let set = |name: &String| world.env.get(name).is_some_and(|value| !value.is_empty());
    let Some(name) = setting.variables().find(set) else { return Ok(None) };
    let source = Source::Variable(name.clone());
    match world.variable(&name) {
        Some(value) => Ok(Some(Typed { value: value.to_owned(), source })),
        None => {
            let expected = "text in UTF-8".to_owned();
            Err(ConfigError::BadValue { name: setting.name, source_: source, value: None, expected })
        }
    }
}

fn as_text(value: &DeValue<'_>, kind: Kind) -> Option<String> {
    match (value, kind) {
        (DeValue::String(text), _) => Some(text.to_string()),
        (DeValue::Boolean(value), Kind::Switch) => Some(value.to_string()),
        (DeValue::Integer(number), Kind::Number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        (DeValue::Array(items), Kind::List) => {
            let items: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}
