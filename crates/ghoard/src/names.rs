//! Names of machines and services: addresses as the operating system knows them, text records by DNS.

use std::{net::IpAddr, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use hickory_resolver::{TokioResolver, proto::rr::RData};
use net::Address;
use node::{Resolve, System};
use task::Tasks;
use tokio::sync::OnceCell;

/// Asks the operating system for addresses, and the name servers of `/etc/resolv.conf` for text.
#[derive(Default)]
pub(crate) struct Names(Arc<OnceCell<TokioResolver>>);

/// What can be dialled for an address, in words why there is nothing.
pub(crate) async fn places(address: &Address) -> Result<Vec<Address>, String> {
    let found = node::resolve(Arc::new(Names::default()), address.clone()).await?;
    let found: Vec<Address> = found.into_iter().filter(Address::is_dialable_now).collect();
    if found.is_empty() { Err(format!("{address} names no place")) } else { Ok(found) }
}

/// What to try where [`places`] finds nothing.
pub(crate) fn cure(address: &Address) -> &'static str {
    if address.dns_name().is_some() {
        "is the name right, and does this machine's DNS know it? `getent ahosts NAME` tells"
    } else {
        "is the address right? One looks like /ip4/192.0.2.7/tcp/9100/p2p/12D3KooW…"
    }
}

impl Resolve for Names {
    fn addresses(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        System(Tasks::tokio()).addresses(name)
    }

    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
        let resolver = self.0.clone();
        async move {
            let build = async { TokioResolver::builder_tokio()?.build() };
            let resolver = resolver.get_or_try_init(|| build).await.map_err(|error| error.to_string())?;
            let answer = resolver.txt_lookup(name).await.map_err(|error| error.to_string())?;
            let text = |data: &RData| match data {
                // A text over 255 bytes comes in pieces.
                RData::TXT(txt) => String::from_utf8(txt.txt_data.concat()).ok(),
                _ => None,
            };
            Ok(answer.answers().iter().filter_map(|record| text(&record.data)).collect())
        }
        .boxed()
    }
}
