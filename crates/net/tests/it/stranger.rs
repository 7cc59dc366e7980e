//! Peers that are no members: they encrypt and multiplex like one, and then do as they please.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use futures::AsyncWrite;
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{DialOpts, PortUse},
        upgrade::Version,
    },
    identity::Keypair,
    noise, tcp, yamux,
};

pub struct Stranger {
    pub muxer: StreamMuxerBox,
}

impl Stranger {
    pub async fn dial(seed: u8, address: &net::Address) -> Self {
        let pair = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
        let mut transport = tcp::tokio::Transport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&pair).unwrap())
            .multiplex(yamux::Config::default())
            .timeout(Duration::from_secs(20))
            .boxed();
        let address: Multiaddr = address.to_string().parse().unwrap();
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (_, muxer): (PeerId, _) = transport.dial(address, options).unwrap().await.unwrap();
        Self { muxer }
    }

    /// Opens a stream to the node.
    pub async fn open(&mut self) -> SubstreamBox {
        poll_fn(|cx| {
            let opened = self.muxer.poll_outbound_unpin(cx);
            let _ = self.muxer.poll_unpin(cx);
            opened
        })
        .await
        .unwrap()
    }

    /// The next stream that the node opens.
    pub async fn accept(&mut self) -> SubstreamBox {
        poll_fn(|cx| self.muxer.poll_inbound_unpin(cx)).await.unwrap()
    }

    /// Runs `work` while the connection moves.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        poll_fn(|cx| {
            let _ = self.muxer.poll_unpin(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Returns when the node has cut the connection.
    pub async fn until_cut(&mut self) {
        poll_fn(|cx| match self.muxer.poll_unpin(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }

    /// Opens `count` streams and writes junk into each of them for as long as it may. In small
    /// pieces: what waits on this side counts as memory of the same process.
    pub async fn flood(mut self, count: usize) {
        let mut streams = Vec::new();
        poll_fn(|cx| {
            while streams.len() < count {
                match self.muxer.poll_outbound_unpin(cx) {
                    Poll::Ready(Ok(stream)) => streams.push(stream),
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            for stream in &mut streams {
                write_junk(stream, cx);
            }
            match self.muxer.poll_unpin(cx) {
                Poll::Ready(Err(_)) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

fn write_junk(stream: &mut SubstreamBox, cx: &mut Context<'_>) {
    for _ in 0..1024 {
        if !matches!(std::pin::Pin::new(&mut *stream).poll_write(cx, &[0xa5; 256]), Poll::Ready(Ok(_))) {
            return;
        }
    }
}
