use serde_json::{Value, json};

use super::{Repo, World, iso, node_id};

impl Repo {
    pub(crate) fn new_release(&self, world: &World, id: u64, login: &str, tag: &str, at: u64) -> Value {
        let (api, html) = (self.api(), self.html());
        json!({
            "id": id,
            "node_id": node_id("RE", id),
            "url": format!("{api}/releases/{id}"),
            "assets_url": format!("{api}/releases/{id}/assets"),
            "upload_url": format!("https://uploads.github.com/repos/{}/releases/{id}/assets{{?name,label}}", self.full_name()),
            "html_url": format!("{html}/releases/tag/{tag}"),
            "tarball_url": format!("{api}/tarball/{tag}"),
            "zipball_url": format!("{api}/zipball/{tag}"),
            "tag_name": tag,
            "target_commitish": "main",
            "name": tag,
            "draft": false,
            "prerelease": false,
            "created_at": iso(at),
            "published_at": iso(at),
            "author": world.simple_user(login),
            "assets": [],
            "body": "",
        })
    }

    pub(crate) fn new_asset(
        &self,
        world: &World,
        id: u64,
        login: &str,
        tag: &str,
        name: &str,
        bytes: usize,
        at: u64,
    ) -> Value {
        json!({
            "id": id,
            "node_id": node_id("RA", id),
            "url": format!("{}/releases/assets/{id}", self.api()),
            "name": name,
            "label": "",
            "uploader": world.simple_user(login),
            "content_type": "application/octet-stream",
            "state": "uploaded",
            "size": bytes,
            "download_count": 0,
            "created_at": iso(at),
            "updated_at": iso(at),
            "browser_download_url": format!("{}/releases/download/{tag}/{name}", self.html()),
        })
    }

    pub(crate) fn asset(&self, id: u64) -> Option<&Value> {
        self.releases
            .iter()
            .filter_map(|release| release["assets"].as_array())
            .flatten()
            .find(|asset| asset["id"] == id)
    }

    /// Counts a download of one asset, or of each; `Last-Modified` knows nothing of it.
    pub(crate) fn count_download(&mut self, id: Option<u64>) {
        let lists = self.releases.iter_mut().filter_map(|release| release["assets"].as_array_mut());
        for asset in lists.flatten().filter(|asset| id.is_none_or(|id| asset["id"] == id)) {
            asset["download_count"] = json!(asset["download_count"].as_u64().unwrap_or(0) + 1);
        }
    }
}
