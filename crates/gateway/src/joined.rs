use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;

/// A connection that writes what is short in one piece.
///
/// To hand the kernel two pieces takes longer than to copy them into one, up to some KB.
///
/// And one that is not told to end when its client has ended it: to close it says the same.
pub(crate) struct Joined<C> {
    connection: C,
    /// The client has sent its last byte.
    has_ended: bool,
}

impl<C> Joined<C> {
    pub(crate) fn new(connection: C) -> Self {
        Self { connection, has_ended: false }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Joined<C> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (filled, had_room) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = Pin::new(&mut this.connection).poll_read(cx, buffer);
        this.has_ended |= matches!(read, Poll::Ready(Ok(()))) && had_room && buffer.filled().len() == filled;
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Joined<C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().connection).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = Pin::new(&mut self.get_mut().connection);
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        if bytes > limits::JOINED_BYTES_MAX {
            return connection.poll_write_vectored(cx, pieces);
        }
        let (mut joined, mut end) = ([0; limits::JOINED_BYTES_MAX], 0);
        for piece in pieces {
            joined[end..end + piece.len()].copy_from_slice(piece);
            end += piece.len();
        }
        connection.poll_write(cx, &joined[..end])
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Where nothing is left unread, closing does not turn into a reset.
        if this.has_ended { Poll::Ready(Ok(())) } else { Pin::new(&mut this.connection).poll_shutdown(cx) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn pieces_arrive_whole_and_in_order() {
        for bytes in [10, limits::JOINED_BYTES_MAX - 3, limits::JOINED_BYTES_MAX] {
            let (near, mut far) = tokio::io::duplex(64 << 10);
            let (head, body) = (b"abc".as_slice(), vec![b'x'; bytes]);
            let mut near = Joined::new(near);
            let mut written = 0;
            while written < 3 + bytes {
                let rest = [IoSlice::new(&head[written.min(3)..]), IoSlice::new(&body[written.saturating_sub(3)..])];
                written += near.write_vectored(&rest).await.unwrap();
            }
            drop(near);
            let mut seen = Vec::new();
            far.read_to_end(&mut seen).await.unwrap();
            assert!(seen == [head, &body].concat(), "{bytes}");
        }
    }

    #[tokio::test]
    async fn only_who_may_still_send_is_told_that_it_ends() {
        for has_ended in [false, true] {
            let (near, mut far) = tokio::io::duplex(64);
            let mut near = Joined::new(near);
            if has_ended {
                far.shutdown().await.unwrap();
                assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
            }
            near.shutdown().await.unwrap();
            let told = futures::poll!(std::pin::pin!(far.read(&mut [0; 8]))).is_ready();
            assert_eq!(told, !has_ended);
        }
    }
}
