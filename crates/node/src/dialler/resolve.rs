//! Names in place of addresses: of one machine, of a service with many, and lists in `dnsaddr` records.

use std::{
    collections::BTreeSet,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use net::Address;
use task::Tasks;
use tracing::debug;
use wire::Peer;

use crate::limits;

/// What answers questions of names.
pub trait Resolve: Send + Sync {
    /// Every IPv4 and IPv6 address of a name. An error is told to the operator.
    fn addresses(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>>;

    /// Every text record of a name.
    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>>;
}

/// Names as the operating system knows them, so that `/etc/hosts` and the search list count; text records it
/// does not tell.
pub struct System(pub Tasks);

impl Resolve for System {
    fn addresses(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        let lookup = self.0.block(move || (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
        async {
            match lookup.await {
                Some(Ok(found)) => Ok(found.into_iter().map(|found| found.ip()).collect()),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("this machine goes down".to_owned()),
            }
        }
        .boxed()
    }

    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
        async move { Err(format!("the text records of {name} cannot be read here")) }.boxed()
    }
}

/// The addresses that can be dialled for `address`: itself, or what its name stands for.
///
/// # Errors
/// What is wrong with its name, if nothing came of it.
pub fn resolve(resolver: Arc<dyn Resolve>, address: Address) -> BoxFuture<'static, Result<Vec<Address>, String>> {
    async move {
        let wanted = address.peer();
        let mut found = BTreeSet::new();
        let mut asked = BTreeSet::new();
        let mut open = vec![(address, 0)];
        let mut trouble = None;
        while let Some((address, depth)) = open.pop() {
            let Some(name) = address.dns_name() else {
                found.insert(address);
                continue;
            };
            if found.len() >= limits::DNS_ADDRESSES_MAX || !asked.insert(address.clone()) {
                continue;
            }
            if !address.is_dnsaddr() {
                match ask(resolver.addresses(name)).await {
                    Ok(ips) => found.extend(ips.into_iter().filter_map(|ip| address.resolved_as(ip))),
                    Err(why) => trouble = Some(why),
                }
            } else if depth < limits::DNSADDR_DEPTH_MAX {
                match ask(resolver.texts(format!("_dnsaddr.{name}"))).await {
                    Ok(texts) => open.extend(listed(&texts, wanted.as_ref()).map(|address| (address, depth + 1))),
                    Err(why) => trouble = Some(why),
                }
            }
        }
        let found: Vec<Address> = found.into_iter().take(limits::DNS_ADDRESSES_MAX).collect();
        match trouble {
            Some(why) if found.is_empty() => Err(why),
            _ => Ok(found),
        }
    }
    .boxed()
}

/// The addresses of a service, whose name stands for all of its machines.
pub async fn service(resolver: &dyn Resolve, name: &str, port: u16) -> Result<Vec<Address>, String> {
    let ips = ask(resolver.addresses(name.to_owned())).await?;
    let address = |ip: &IpAddr| {
        let kind = if ip.is_ipv4() { "ip4" } else { "ip6" };
        format!("/{kind}/{ip}/tcp/{port}").parse().ok()
    };
    Ok(ips.iter().filter_map(address).take(limits::DNS_ADDRESSES_MAX).collect())
}

async fn ask<T>(question: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let answer = tokio::time::timeout(limits::RESOLVE_TIMEOUT, question).await;
    answer.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// What `dnsaddr=…` records list, of the wanted peer if one is.
fn listed(texts: &[String], wanted: Option<&Peer>) -> impl Iterator<Item = Address> {
    let addresses = texts.iter().take(limits::DNS_ADDRESSES_MAX).filter_map(|text| {
        let address = text.strip_prefix("dnsaddr=")?.parse::<Address>();
        address.inspect_err(|error| debug!(%error, "a dnsaddr record is left out")).ok()
    });
    addresses.filter(move |address| wanted.is_none() || address.peer().as_ref() == wanted)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use net::Identity;

    use super::*;

    #[derive(Default)]
    struct Fake {
        addresses: BTreeMap<&'static str, Vec<&'static str>>,
        texts: BTreeMap<String, Vec<String>>,
    }

    impl Resolve for Fake {
        fn addresses(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
            let found = self.addresses.get(name.as_str()).map(|all| all.iter().map(|ip| ip.parse().unwrap()).collect());
            async move { found.ok_or_else(|| format!("{name} is not known")) }.boxed()
        }

        fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
            let found = self.texts.get(&name).cloned();
            async move { found.ok_or_else(|| format!("{name} has no text")) }.boxed()
        }
    }

    async fn told(fake: Fake, address: &str) -> Result<Vec<String>, String> {
        let found = resolve(Arc::new(fake), address.parse().unwrap()).await;
        found.map(|found| found.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_name_stands_for_all_of_its_addresses() {
        let fake = || Fake {
            addresses: [("many.example", vec!["10.0.0.1", "10.0.0.2", "2001:db8::1"])].into(),
            ..Fake::default()
        };
        let all = told(fake(), "/dns/many.example/tcp/9100").await.unwrap();
        assert_eq!(all, ["/ip4/10.0.0.1/tcp/9100", "/ip4/10.0.0.2/tcp/9100", "/ip6/2001:db8::1/tcp/9100"]);
        let v4 = told(fake(), "/dns4/many.example/tcp/9100").await.unwrap();
        assert_eq!(v4, ["/ip4/10.0.0.1/tcp/9100", "/ip4/10.0.0.2/tcp/9100"]);
        assert_eq!(told(fake(), "/ip4/10.9.9.9/tcp/1").await.unwrap(), ["/ip4/10.9.9.9/tcp/1"]);
        assert_eq!(told(fake(), "/dns4/none.example/tcp/1").await, Err("none.example is not known".into()));
        let service = service(&fake(), "many.example", 9100).await.unwrap();
        assert_eq!(service.iter().map(ToString::to_string).collect::<Vec<_>>(), all);
    }

    #[tokio::test]
    async fn a_dnsaddr_lists_addresses_and_names_of_the_peer_that_is_wanted() {
        let (one, other) = (Identity::from_seed([1; 32]).peer(), Identity::from_seed([2; 32]).peer());
        let list = |texts: &[String]| Fake {
            addresses: [("a.example", vec!["10.0.0.3"])].into(),
            texts: [
                ("_dnsaddr.example.org".to_owned(), texts.to_vec()),
                ("_dnsaddr.deeper.example".to_owned(), vec![format!("dnsaddr=/ip4/10.0.0.4/tcp/1/p2p/{one}")]),
            ]
            .into(),
        };
        let texts = [
            format!("dnsaddr=/ip4/10.0.0.1/tcp/9100/p2p/{one}"),
            format!("dnsaddr=/ip4/10.0.0.2/tcp/9100/p2p/{other}"),
            format!("dnsaddr=/dns4/a.example/tcp/9100/p2p/{one}"),
            format!("dnsaddr=/dnsaddr/deeper.example/p2p/{one}"),
            format!("dnsaddr=/dnsaddr/example.org/p2p/{one}"),
            "dnsaddr=nonsense".to_owned(),
            "something else".to_owned(),
        ];
        let found = told(list(&texts), &format!("/dnsaddr/example.org/p2p/{one}")).await.unwrap();
        let expected = ["/ip4/10.0.0.1/tcp/9100", "/ip4/10.0.0.3/tcp/9100", "/ip4/10.0.0.4/tcp/1"];
        assert_eq!(found, expected.map(|place| format!("{place}/p2p/{one}")));
        let all = told(list(&texts), "/dnsaddr/example.org").await.unwrap();
        assert_eq!(all.len(), 4);
        assert!(told(Fake::default(), "/dnsaddr/nowhere").await.unwrap_err().contains("_dnsaddr.nowhere"));
    }

    #[tokio::test]
    async fn names_that_lead_to_one_another_end() {
        let texts = |n: usize| vec![format!("dnsaddr=/dnsaddr/n{}.example", n + 1)];
        let all = (0..100).map(|n| (format!("_dnsaddr.n{n}.example"), texts(n))).collect();
        assert_eq!(told(Fake { texts: all, ..Fake::default() }, "/dnsaddr/n0.example").await, Ok(vec![]));
        let many = (0..1000).map(|n| format!("dnsaddr=/ip4/10.0.{}.{}/tcp/1", n / 256, n % 256)).collect();
        let fake = Fake { texts: [("_dnsaddr.many".to_owned(), many)].into(), ..Fake::default() };
        assert_eq!(told(fake, "/dnsaddr/many").await.unwrap().len(), limits::DNS_ADDRESSES_MAX);
    }
}
