//! Names of machines and services: addresses as the operating system knows them, text records by DNS.

use std::{
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use hickory_resolver::{TokioResolver, proto::rr::RData};
use node::Resolve;
use task::Tasks;
use tokio::sync::OnceCell;

/// Asks `getaddrinfo` for addresses, so that `/etc/hosts` and the search list count, and the name servers of
/// `/etc/resolv.conf` for text.
#[derive(Default)]
pub(crate) struct Names(Arc<OnceCell<TokioResolver>>);

impl Resolve for Names {
    fn addresses(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        let lookup = Tasks::tokio().block(move || (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
        async {
            match lookup.await {
                Some(Ok(found)) => Ok(found.into_iter().map(|found| found.ip()).collect()),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("the daemon stops".to_owned()),
            }
        }
        .boxed()
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
