use crate::{page::Query, seed::Seed, world::iso};

/// How long a signed URL is good, in seconds. GitHub's say a minute to an hour.
const GOOD_SECS: u64 = 300;

/// Which machine outside the API keeps a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// Logs and artifacts of Actions.
    Results,
    /// Assets of releases.
    Assets,
    /// Archives of sources.
    Codeload,
    /// Single files.
    Raw,
}

impl Store {
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Results => "productionresultssa7.blob.core.windows.net",
            Self::Assets => "release-assets.githubusercontent.com",
            Self::Codeload => "codeload.github.com",
            Self::Raw => "raw.githubusercontent.com",
        }
    }

    /// The store that answers for `host`, older names included.
    pub(crate) fn of(host: &str) -> Option<Self> {
        match host {
            "codeload.github.com" => Some(Self::Codeload),
            "raw.githubusercontent.com" => Some(Self::Raw),
            "release-assets.githubusercontent.com" | "objects.githubusercontent.com" => Some(Self::Assets),
            _ if host.ends_with(".blob.core.windows.net") || host.ends_with(".actions.githubusercontent.com") => {
                Some(Self::Results)
            }
            _ => None,
        }
    }

    /// Whether a credential besides the signature is an error, as at the blob stores.
    pub(crate) fn refuses_credentials(self) -> bool {
        matches!(self, Self::Results | Self::Assets)
    }
}

/// The address of `path` in `store`, good until five minutes after `now`.
///
/// `base` is `None` for GitHub's own host names, or where a hub on loopback answers for all of them.
pub(crate) fn signed_url(seed: &Seed, base: Option<&str>, store: Store, path: &str, now: u64) -> String {
    let until = iso(now + GOOD_SECS);
    let sig = signature(seed, store, path, &until);
    let until = until.replace(':', "%3A");
    format!("{}?sp=r&sv=2021-08-06&sr=b&se={until}&sig={sig}", plain_url(base, store, path))
}

pub(crate) fn plain_url(base: Option<&str>, store: Store, path: &str) -> String {
    match base {
        Some(base) => format!("{base}{}{}{path}", super::PREFIX, store.host()),
        None => format!("https://{}{path}", store.host()),
    }
}

/// Whether `query` carries a signature of this path that is still good.
///
/// # Errors
/// What the store says about it.
pub(super) fn check(seed: &Seed, store: Store, path: &str, query: &Query, now: u64) -> Result<(), &'static str> {
    let until = query.get("se").unwrap_or_default().replace("%3A", ":").replace("%3a", ":");
    let sig = query.get("sig").ok_or("Public access is not permitted on this storage account.")?;
    if sig != signature(seed, store, path, &until) {
        return Err("Signature did not match.");
    }
    // Times written by `iso` are ordered as texts are.
    if until <= iso(now) { Err("Signature not valid in the specified time frame.") } else { Ok(()) }
}

/// Good enough against a mistake, which is all that is asked of it.
fn signature(seed: &Seed, store: Store, path: &str, until: &str) -> String {
    seed.fork(&format!("signature {store:?} {path} {until}")).hex(40)
}
