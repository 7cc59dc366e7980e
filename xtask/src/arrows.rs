//! Who may know whom. The same table, in words, is in docs/ARCHITECTURE.md.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run;

/// Each crate, and the crates of this workspace that it may name. Development dependencies are free.
#[rustfmt::skip]
static ALLOWED: &[(&str, &[&str])] = &[
    ("canary",    &[]),
    ("wire",      &["canary"]),
    ("task",      &[]),
    ("http-rules", &[]),
    ("crypto",    &["wire"]),
    ("github",    &["wire"]),
    ("store",     &["wire"]),
    ("discovery", &["wire", "task", "crypto"]),
    ("fleet",     &["canary", "wire", "crypto"]),
    ("net",       &["canary", "wire", "crypto", "task"]),
    ("gateway",   &["canary", "wire", "github", "task"]),
    ("http-cache", &["http-rules", "task", "gateway"]),
    ("node",      &["canary", "wire", "task", "crypto", "github", "store", "discovery", "fleet", "net", "gateway"]),
    ("fakehub",   &["wire", "github", "task"]),
    ("ghoard",    &["wire", "task", "crypto", "github", "store", "discovery", "fleet", "net", "gateway", "http-cache", "node", "fakehub"]),
    ("bench",     &["wire", "task", "crypto", "github", "store", "discovery", "fleet", "net", "gateway", "node", "fakehub"]),
    ("bench-siege", &["wire", "task", "crypto", "net"]),
    ("bench-store", &["wire", "store"]),
    ("xtask",     &[]),
];

/// Outside crates that one crate must not name, and why.
#[rustfmt::skip]
static BANNED: &[(&[&str], &[&str], &str)] = &[
    (&["wire", "crypto", "github", "http-rules", "fleet"], &["tokio", "futures", "hyper", "reqwest"], "is pure"),
    (&["wire", "task", "crypto", "github", "store", "discovery", "fleet", "gateway", "http-rules", "http-cache", "node", "ghoard", "fakehub", "bench", "bench-store", "xtask"], &["libp2p", "libp2p-stream"],
        "does not know libp2p; net does"),
];

/// Returns every arrow of the workspace that the table does not have.
pub(crate) fn wrong() -> Result<Vec<String>, String> {
    let metadata = run::output(&mut run::cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata = serde_json::from_slice(&metadata).map_err(|cause| format!("cargo metadata: {cause}"))?;
    Ok(judge(&packages(&metadata)))
}

struct Package {
    name: String,
    published: bool,
    /// Without those for development.
    dependencies: Vec<String>,
}

fn judge(packages: &[Package]) -> Vec<String> {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        if package.published {
            wrong.push(format!("{name}: needs `publish.workspace = true`"));
        }
        let Some(arrows) = allowed.get(name) else {
            wrong.push(format!("{name}: is not in the table of xtask/src/arrows.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let internal = packages.iter().any(|package| package.name == *dependency);
            if internal && !arrows.contains(&dependency.as_str()) {
                wrong.push(format!("{name}: may not depend on {dependency}"));
            }
            for (crates, banned, why) in BANNED {
                if crates.contains(&name) && banned.contains(&dependency.as_str()) {
                    wrong.push(format!("{name}: may not depend on {dependency}, as it {why}"));
                }
            }
        }
    }
    wrong
}

fn packages(metadata: &Value) -> Vec<Package> {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    array(&metadata["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            // Cargo writes an empty list for `publish = false`, and null for anywhere.
            published: package["publish"].as_array().is_none_or(|to| !to.is_empty()),
            dependencies: array(&package["dependencies"])
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(name: &str, publish: &Value, dependencies: &[(&str, &str)]) -> Vec<String> {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
        let others = ["wire", "net"].map(|name| json!({"name": name, "publish": [], "dependencies": []}));
        let one = json!({"name": name, "publish": publish, "dependencies": dependencies});
        judge(&packages(&json!({"packages": [&others[0], &others[1], &one]})))
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_wrong() {
        assert_eq!(wrong("store", &json!([]), &[("wire", ""), ("redb", ""), ("net", "dev")]), [""; 0]);
        assert_eq!(wrong("store", &json!([]), &[("net", "")]), ["store: may not depend on net"]);
        assert_eq!(wrong("fleet", &json!([]), &[("tokio", "")]), ["fleet: may not depend on tokio, as it is pure"]);
        assert_eq!(wrong("store", &json!(null), &[]), ["store: needs `publish.workspace = true`"]);
        assert_eq!(wrong("new", &json!([]), &[]), ["new: is not in the table of xtask/src/arrows.rs"]);
    }

    #[test]
    fn the_table_has_no_circle() {
        let mut settled = Vec::new();
        while settled.len() < ALLOWED.len() {
            let before = settled.len();
            for (name, arrows) in ALLOWED {
                if !settled.contains(name) && arrows.iter().all(|arrow| settled.contains(arrow)) {
                    settled.push(*name);
                }
            }
            assert!(settled.len() > before, "a circle among those that are not in {settled:?}");
        }
    }
}
