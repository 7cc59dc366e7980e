//! `ghoard savings`: what each repository has cost and saved.

use http::Method;
use serde_json::Value;

use crate::{
    admin_client::{self, AdminError},
    config::Config,
    output,
};

pub(crate) async fn savings(as_json: bool, config: &Config) -> Result<(), AdminError> {
    let answer = admin_client::ask(config, Method::GET, "/savings", None, None).await?;
    if as_json {
        output::data(&answer.to_string());
        return Ok(());
    }
    let rows = answer["savings"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        output::note("nothing has been asked yet");
        return Ok(());
    }
    output::data(&format!("{:>9} {:>9} {:>9} {:>9}  what", "saved", "hits", "proofs", "charged"));
    for row in rows {
        let [saved, hits, proofs, charged] =
            ["saved", "hits", "proofs", "charged"].map(|name| row[name].as_u64().unwrap_or_default());
        output::data(&format!("{saved:>9} {hits:>9} {proofs:>9} {charged:>9}  {}", name(&row["family"])));
    }
    Ok(())
}

/// `owner/repo` for a repository of github.com; another site is named before it.
fn name(family: &Value) -> String {
    let Some(family) = family.as_str() else { return "others".to_owned() };
    let (host, path) = family.split_once('/').unwrap_or_default();
    let at = if host == github::API_HOST { String::new() } else { format!("{host} ") };
    match path.strip_prefix("repos/") {
        Some(name) => format!("{at}{name}"),
        None => format!("{at}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_name_for_people() {
        for (family, shown) in [
            (Value::from("api.github.com/repos/acme/secret"), "acme/secret"),
            ("api.github.com/user".into(), "/user"),
            ("ghes.example/repos/o/r".into(), "ghes.example o/r"),
            (Value::Null, "others"),
        ] {
            assert_eq!(name(&family), shown);
        }
    }
}
