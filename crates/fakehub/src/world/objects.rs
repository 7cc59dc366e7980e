use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Repo;
use crate::seed::Seed;

/// Former states of the files, so that an id goes on naming what it always named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    trees: BTreeMap<String, BTreeMap<String, String>>,
    blobs: BTreeMap<String, String>,
}

impl Repo {
    /// Writes a file, or removes it with `None`.
    pub(crate) fn set_file(&mut self, path: &str, text: Option<String>) {
        self.objects.trees.insert(tree_sha(&self.files), self.files.clone());
        let former = match text {
            Some(text) => self.files.insert(path.to_owned(), text),
            None => self.files.remove(path),
        };
        if let Some(former) = former {
            self.objects.blobs.insert(blob_sha(&former), former);
        }
    }

    /// The body of a tree, by its id or that of a commit.
    pub(crate) fn tree(&self, sha: &str) -> Option<Value> {
        let commit = self.commits.iter().find(|commit| commit["sha"] == sha);
        let sha = commit.and_then(|commit| commit["commit"]["tree"]["sha"].as_str()).unwrap_or(sha);
        let files = if tree_sha(&self.files) == sha { &self.files } else { self.objects.trees.get(sha)? };
        let entry = |(path, text): (&String, &String)| {
            let blob = blob_sha(text);
            let url = format!("{}/git/blobs/{blob}", self.api());
            json!({ "path": path, "mode": "100644", "type": "blob", "sha": blob, "size": text.len(), "url": url })
        };
        let entries: Vec<Value> = files.iter().map(entry).collect();
        let url = format!("{}/git/trees/{sha}", self.api());
        Some(json!({ "sha": sha, "url": url, "tree": entries, "truncated": false }))
    }

    pub(crate) fn blob(&self, sha: &str) -> Option<Value> {
        let text = self.files.values().find(|text| blob_sha(text) == sha).or_else(|| self.objects.blobs.get(sha))?;
        Some(json!({
            "sha": sha,
            "node_id": format!("B_{sha}"),
            "size": text.len(),
            "url": format!("{}/git/blobs/{sha}", self.api()),
            "content": data_encoding::BASE64.encode(text.as_bytes()),
            "encoding": "base64",
        }))
    }
}

/// Names its content, as git's do, by a hash that is not git's.
pub(crate) fn blob_sha(text: &str) -> String {
    Seed::new(1).fork(text).hex(40)
}

pub(crate) fn tree_sha(files: &BTreeMap<String, String>) -> String {
    let names: Vec<String> = files.iter().map(|(path, text)| format!("{path} {}", blob_sha(text))).collect();
    Seed::new(2).fork(&names.join("\n")).hex(40)
}
