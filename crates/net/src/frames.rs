//! Frames on a stream: a length of four bytes, big-endian, and that many bytes.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits::FRAME_BYTES_MAX;

/// Why no frame came, or none went.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("frame of {bytes} bytes exceeds the limit of {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("nothing moved for {0:?}")]
    Stalled(Duration),
    #[error("the stream failed")]
    Io(#[source] io::Error),
}

/// Returns the next frame, or `None` at an end between two frames. Memory is taken after the
/// length was checked.
///
/// # Errors
/// [`FrameError::Stalled`] if `limit` passes before the whole frame is there.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), limit: Duration) -> Result<Option<Bytes>, FrameError> {
    let whole = async {
        let mut length = [0; 4];
        let mut have = 0;
        while have < length.len() {
            match stream.read(&mut length[have..]).await.map_err(FrameError::Io)? {
                0 if have == 0 => return Ok(None),
                0 => return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
                count => have += count,
            }
        }
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes, max: FRAME_BYTES_MAX });
        }
        let mut frame = vec![0; bytes];
        stream.read_exact(&mut frame).await.map_err(FrameError::Io)?;
        Ok(Some(Bytes::from(frame)))
    };
    timeout(limit, whole).await.unwrap_or(Err(FrameError::Stalled(limit)))
}

pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: &[u8],
    limit: Duration,
) -> Result<(), FrameError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes: frame.len(), max: FRAME_BYTES_MAX });
    }
    // In one piece: the multiplexer sends each write as a packet of its own.
    let packet = [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
    let whole = async {
        stream.write_all(&packet).await?;
        stream.flush().await
    };
    match timeout(limit, whole).await {
        Ok(written) => written.map_err(FrameError::Io),
        Err(_) => Err(FrameError::Stalled(limit)),
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let mut pipe = Cursor::new(Vec::new());
        for frame in [&b"one"[..], b"", &[7; FRAME_BYTES_MAX]] {
            write(&mut pipe, frame, LIMIT).await.unwrap();
        }
        pipe.set_position(0);
        assert_eq!(read(&mut pipe, LIMIT).await.unwrap().unwrap(), "one");
        assert_eq!(read(&mut pipe, LIMIT).await.unwrap().unwrap(), "");
        assert_eq!(read(&mut pipe, LIMIT).await.unwrap().unwrap().len(), FRAME_BYTES_MAX);
        assert!(read(&mut pipe, LIMIT).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_over_the_limit_is_refused_each_way() {
        let mut hostile = Cursor::new(u32::MAX.to_be_bytes().to_vec());
        assert!(matches!(read(&mut hostile, LIMIT).await, Err(FrameError::TooLarge { .. })));
        let mut pipe = Cursor::new(Vec::new());
        let over = vec![0; FRAME_BYTES_MAX + 1];
        assert!(matches!(write(&mut pipe, &over, LIMIT).await, Err(FrameError::TooLarge { .. })));
        assert!(pipe.into_inner().is_empty());
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_an_error() {
        for cut in [&[0, 0][..], &[0, 0, 0, 5, b'h', b'i']] {
            assert!(matches!(read(&mut Cursor::new(cut), LIMIT).await, Err(FrameError::Io(_))));
        }
    }
}
