use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::{StreamExt, future::ready, stream};
use http::{Response, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::{Body, Broken};

/// Packed bytes that are unpacked at once.
const PIECE_BYTES: usize = 1 << 10;

/// Returns the response in its plain form, for a client that takes no gzip.
///
/// The origin is always asked for gzip, since one form must do for all who asked together.
pub fn unpack(response: Response<Body>) -> Response<Body> {
    let is_gzip = response.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    if !is_gzip {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_ENCODING);
    head.headers.remove(header::CONTENT_LENGTH);
    let mut decoder = MultiGzDecoder::new(Vec::new());
    let mut is_empty = true;
    // In small pieces: gzip grows at most a thousandfold, so a piece is at most a megabyte when plain.
    let pieces = body.into_data_stream().flat_map(|chunk| {
        let pieces = match chunk {
            Ok(mut chunk) => {
                let count = chunk.len().div_ceil(PIECE_BYTES);
                (0..count).map(|_| Ok(chunk.split_to(PIECE_BYTES.min(chunk.len())))).collect()
            }
            Err(error) => vec![Err(error)],
        };
        stream::iter(pieces)
    });
    let chunks = pieces.map(Some).chain(stream::once(ready(None)));
    let plain = chunks.map(move |chunk| {
        match chunk {
            Some(chunk) => {
                let chunk = chunk?;
                is_empty &= chunk.is_empty();
                decoder.write_all(&chunk).map_err(Broken::new)?;
            }
            // No body at all is no gzip either, and no error.
            None if is_empty => {}
            None => decoder.try_finish().map_err(Broken::new)?,
        }
        Ok(Frame::data(Bytes::from(std::mem::take(decoder.get_mut()))))
    });
    Response::from_parts(head, Body::streamed(StreamBody::new(plain)))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn packed(chunks: Vec<Bytes>) -> Response<Body> {
        let chunks = stream::iter(chunks).map(|chunk| Ok(Frame::data(chunk)));
        let mut response = Response::new(Body::streamed(StreamBody::new(chunks)));
        response.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        response
    }

    #[test]
    fn a_packed_body_streams_out_plain_and_a_cut_one_is_an_error() {
        let plain: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let gzip = wire::Body::from_plain(plain.clone().into()).encoded;
        let chunks: Vec<Bytes> = gzip.chunks(1000).map(Bytes::copy_from_slice).collect();
        let whole = block_on(unpack(packed(chunks.clone())).into_body().collect()).unwrap();
        assert!(whole.to_bytes() == plain);
        let nothing = block_on(unpack(packed(Vec::new())).into_body().collect()).unwrap();
        assert!(nothing.to_bytes().is_empty());
        let cut = packed(chunks[..chunks.len() / 2].to_vec());
        assert!(block_on(unpack(cut).into_body().collect()).is_err());
    }
}
