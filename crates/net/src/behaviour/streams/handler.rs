use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    io,
    task::{Context, Poll},
};

use libp2p::{
    InboundUpgrade, Stream,
    core::{UpgradeInfo, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamProtocol, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

use super::{In, Kind, Open, never};
use crate::{PullError, limits::HANDLER_QUEUE_MAX};

/// One connection's share of [`super::Streams`].
#[derive(Default)]
pub(crate) struct Handler {
    wanted: VecDeque<Open>,
    opening: usize,
    came: VecDeque<(Kind, Stream)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = In;
    type ToBehaviour = (Kind, Stream);
    type InboundProtocol = Ours;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Open;

    fn listen_protocol(&self) -> SubstreamProtocol<Ours> {
        SubstreamProtocol::new(Ours, ())
    }

    fn on_behaviour_event(&mut self, told: In) {
        let In::Open(open) = told else { return };
        if self.wanted.len() + self.opening >= HANDLER_QUEUE_MAX {
            let _ = open.reply.send(Err(PullError::Busy));
        } else {
            self.wanted.push_back(open);
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, Open, (Kind, Stream)>> {
        if let Some(stream) = self.came.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(stream));
        }
        while let Some(open) = self.wanted.pop_front() {
            // Whoever asked may have lost patience.
            if !open.reply.is_closed() {
                self.opening += 1;
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                    protocol: SubstreamProtocol::new(ReadyUpgrade::new(open.kind.protocol()), open),
                });
            }
        }
        Poll::Pending
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Ours, ReadyUpgrade<StreamProtocol>, (), Open>) {
        match event {
            // Over the limit the stream is dropped, which the peer sees as a reset.
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. })
                if self.came.len() < HANDLER_QUEUE_MAX =>
            {
                self.came.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info: open }) => {
                self.opening -= 1;
                let _ = open.reply.send(Ok(protocol));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: open, error }) => {
                self.opening -= 1;
                let _ = open.reply.send(Err(match error {
                    StreamUpgradeError::Timeout => PullError::Io(io::ErrorKind::TimedOut.into()),
                    StreamUpgradeError::Apply(error) => never(error),
                    StreamUpgradeError::NegotiationFailed => PullError::Unsupported,
                    StreamUpgradeError::Io(cause) => PullError::Io(cause),
                }));
            }
            _ => {}
        }
    }
}

/// Accepts a stream of any [`Kind`], as it is.
pub(crate) struct Ours;

impl UpgradeInfo for Ours {
    type Info = StreamProtocol;
    type InfoIter = std::array::IntoIter<StreamProtocol, 2>;

    fn protocol_info(&self) -> Self::InfoIter {
        Kind::ALL.map(Kind::protocol).into_iter()
    }
}

impl InboundUpgrade<Stream> for Ours {
    type Output = (Kind, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        let kind = Kind::ALL.into_iter().find(|kind| kind.protocol() == protocol);
        ready(Ok((kind.expect("only these two are offered"), stream)))
    }
}
