//! Peers that are no members: they encrypt and multiplex like one, and then do as they please.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{Boxed, DialOpts, PortUse},
        upgrade::Version,
    },
    identity::Keypair,
    noise, quic, tcp, websocket, yamux,
};
use net::Carrier;

pub struct Stranger {
    pub muxer: StreamMuxerBox,
    /// A QUIC connection ends with it.
    _transport: Boxed<(PeerId, StreamMuxerBox)>,
}

impl Stranger {
    pub async fn dial(seed: u8, address: &net::Address) -> Self {
        let pair = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
        let encrypt = || noise::Config::new(&pair).unwrap();
        let mut transport = match address.carrier() {
            Carrier::Tcp => tcp::tokio::Transport::default()
                .upgrade(Version::V1Lazy)
                .authenticate(encrypt())
                .multiplex(yamux::Config::default())
                .timeout(Duration::from_secs(20))
                .boxed(),
            Carrier::WebSocket => websocket::Config::new(tcp::tokio::Transport::default())
                .upgrade(Version::V1Lazy)
                .authenticate(encrypt())
                .multiplex(yamux::Config::default())
                .boxed(),
            Carrier::Quic => quic::tokio::Transport::new(quic::Config::new(&pair))
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
                .boxed(),
        };
        let address: Multiaddr = address.to_string().parse().unwrap();
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dial = transport.dial(address, options).unwrap();
        // QUIC moves while its transport is polled.
        let moves = async { poll_fn(|cx| Pin::new(&mut transport).poll(cx).map(|_| ())).await };
        let (_, muxer): (PeerId, _) = tokio::select! {
            dialled = dial => dialled.unwrap(),
            () = moves => unreachable!("it does not listen"),
        };
        Self { muxer, _transport: transport }
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

    /// Says `words` on a stream of its own, and returns when it was cut, having heard no more than the
    /// gate's own first message. A QUIC connection tells its end to nobody but its streams.
    pub async fn speak_until_cut(&mut self, words: &[u8]) {
        let mut stream = self.open().await;
        let mut heard = Vec::new();
        let talk = async {
            let _ = stream.write_all(words).await;
            let _ = stream.flush().await;
            let _ = stream.read_to_end(&mut heard).await;
        };
        self.during(talk).await;
        assert!(heard.is_empty(), "{} bytes of an answer", heard.len());
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
        if !matches!(Pin::new(&mut *stream).poll_write(cx, &[0xa5; 256]), Poll::Ready(Ok(_))) {
            return;
        }
    }
}
