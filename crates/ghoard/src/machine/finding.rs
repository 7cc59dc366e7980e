//! What a machine finds others by, opened from the settings; and what of it could not be opened.

use std::{collections::BTreeMap, sync::Arc};

use discovery::{Directory, FileDirectory};
use github::Credential;
use http::HeaderValue;
use net::Address;
use node::{FindingKind, RegistryConfig};

use super::full_text;
use crate::{
    config::{Config, MeshSecret},
    output,
};

const ADDRESS_CURE: &str = "an address looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…";

/// The ways of finding others that need opening.
pub(crate) struct Finding {
    pub(crate) bootstrap: Vec<Address>,
    pub(crate) directories: Vec<Arc<dyn Directory>>,
    pub(crate) registry: Option<RegistryConfig>,
    pub(crate) public: Vec<Address>,
    /// In the order in which they were met.
    pub(crate) troubles: Vec<Trouble>,
    has_other: bool,
}

/// What was configured, and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: FindingKind,
    pub(crate) what: String,
    pub(crate) cure: &'static str,
    /// Another place serves instead.
    pub(crate) is_mended: bool,
}

impl Finding {
    /// Opens each. Makes the peer directory's folder, and may ask gh for a token, which reads no network.
    pub(crate) fn open(config: &Config, is_seal_off: bool) -> Self {
        let mut troubles = Vec::new();
        let bootstrap = addresses("bootstrap_peers", FindingKind::Static, &config.bootstrap_peers, &mut troubles);
        let directories = directories(config, &mut troubles);
        let registry = registry(config, is_seal_off, &mut troubles);
        let public = public_nodes(config, &mut troubles);
        let has_other = config.mdns || config.dns_name.is_some() || registry.is_some();
        Self { bootstrap, directories, registry, public, troubles, has_other }
    }

    /// Tells the operator what is not there.
    pub(super) fn warn(&self) {
        for Trouble { what, cure, is_mended, .. } in &self.troubles {
            output::warning(what);
            if !is_mended {
                output::hint(cure);
            }
        }
        if self.bootstrap.len() < 2 && self.directories.is_empty() && !self.has_other {
            output::warning(
                "fewer than two bootstrap peers and no peer directory: a single machine down isolates this one",
            );
            output::hint("name two or more in CACHE_BOOTSTRAP_PEERS");
        }
    }

    /// By kind, for the status.
    pub(super) fn not_started(&self) -> BTreeMap<FindingKind, String> {
        let mut all = BTreeMap::<_, String>::new();
        for Trouble { kind, what, .. } in self.troubles.iter().filter(|trouble| !trouble.is_mended) {
            all.entry(*kind).and_modify(|text| *text = format!("{text}; {what}")).or_insert_with(|| what.clone());
        }
        all
    }
}

/// An address of a setting; what is none is said, and left out.
pub(super) fn address(setting: &str, text: &str) -> Option<Address> {
    match parsed(setting, text) {
        Ok(address) => Some(address),
        Err(what) => {
            output::warning(&what);
            output::hint(ADDRESS_CURE);
            None
        }
    }
}

fn parsed(setting: &str, text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("{setting}: {text} is left out: {}", full_text(&error)))
}

fn addresses(setting: &str, kind: FindingKind, texts: &[String], troubles: &mut Vec<Trouble>) -> Vec<Address> {
    let one = |text: &String| match parsed(setting, text) {
        Ok(address) => Some(address),
        Err(what) => {
            troubles.push(Trouble { kind, what, cure: ADDRESS_CURE, is_mended: false });
            None
        }
    };
    texts.iter().filter_map(one).collect()
}

/// Public nodes, each of which must say who answers there: any other might call itself one.
fn public_nodes(config: &Config, troubles: &mut Vec<Trouble>) -> Vec<Address> {
    const SETTING: &str = "public_bootstrap_peers";
    let kind = FindingKind::PublicBootstrap;
    let (named, nameless): (Vec<_>, Vec<_>) = addresses(SETTING, kind, &config.public_bootstrap_peers, troubles)
        .into_iter()
        .partition(|node| node.peer().is_some());
    troubles.extend(nameless.iter().map(|node| Trouble {
        kind,
        what: format!("{SETTING}: {node} is left out: it does not end in /p2p/<peer id>"),
        cure: ADDRESS_CURE,
        is_mended: false,
    }));
    named.into_iter().take(net::limits::INFRASTRUCTURE_MAX).collect()
}

/// The registry in an issue, if there is a token for it.
fn registry(config: &Config, is_seal_off: bool, troubles: &mut Vec<Trouble>) -> Option<RegistryConfig> {
    let repository = config.issue_registry.clone()?;
    let mut trouble = |why: &str, cure| {
        let what = format!("no peer registry in {repository}: {why}");
        troubles.push(Trouble { kind: FindingKind::Issue, what, cure, is_mended: false });
    };
    if is_seal_off {
        trouble(
            "sealing is off, and strangers may read issues",
            "unset `seal`, or find peers by CACHE_BOOTSTRAP_PEERS",
        );
        return None;
    }
    let token = match config.github_token.clone() {
        Some((token, _)) => Some(token),
        None => MeshSecret::ask_gh().into_token(),
    };
    let header = token.and_then(|token| HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok());
    let Some(header) = header else {
        trouble("there is no token to read its issues with", "set GITHUB_TOKEN, or log in with `gh auth login`");
        return None;
    };
    Some(RegistryConfig { repository, credential: Credential::from_authorization(&header) })
}

fn directories(config: &Config, troubles: &mut Vec<Trouble>) -> Vec<Arc<dyn Directory>> {
    const CURE: &str = "point IPFS_ACCELERATE_P2P_CACHE_DIR at a directory that can be written";
    if config.p2p_registry_dirs.is_empty() {
        return Vec::new();
    }
    let kind = FindingKind::File;
    match FileDirectory::open_first(config.p2p_registry_dirs.clone()) {
        Ok((directory, failed)) => {
            let using = directory.path().display();
            troubles.extend(failed.iter().map(|error| {
                let what = format!("peer directory: {}; using {using}", full_text(error));
                Trouble { kind, what, cure: CURE, is_mended: true }
            }));
            vec![Arc::new(directory)]
        }
        Err(error) => {
            let what = format!("no peer directory: {}", full_text(&error));
            troubles.push(Trouble { kind, what, cure: CURE, is_mended: false });
            Vec::new()
        }
    }
}
