use serde_json::json;

use super::{Config, SETTINGS};
use crate::output;

/// Prints every setting, its value and where it comes from: `ghoard config`.
pub(crate) fn print(config: &Config, as_json: bool) {
    output::data(&if as_json { json(config) } else { table(config) });
}

fn table(config: &Config) -> String {
    let nothing =
        |value: &Option<String>| value.clone().filter(|value| !value.is_empty()).unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> =
        config.shown().iter().map(|shown| (shown.name, nothing(&shown.value), shown.source.to_string())).collect();
    let width = |length: fn(&(&str, String, String)) -> usize| rows.iter().map(length).max().unwrap_or_default();
    // One long list of peers shall not push every source out of the window.
    let (names, values) = (width(|row| row.0.len()), width(|row| row.1.chars().count()).min(48));
    let line = |(name, value, source): &(&str, String, String)| format!("{name:names$}  {value:values$}  {source}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn json(config: &Config) -> String {
    let settings: Vec<_> = config
        .shown()
        .iter()
        .zip(SETTINGS)
        .map(|(shown, setting)| {
            json!({
                "name": shown.name,
                "value": shown.value,
                "source": shown.source.to_string(),
                "flag": format!("--{}", setting.flag()),
                "variables": setting.variables().collect::<Vec<_>>(),
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "settings": settings })).expect("text keys only")
}
