//! Just enough of zip and tar for what clients unpack: stored entries, no directories, no dates.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, Crc, write::GzEncoder};

/// A zip archive of `files`, uncompressed, in this order.
///
/// Source: APPNOTE.TXT 6.3.10, §4.3.7, §4.3.12 and §4.3.16.
pub(super) fn zip(files: &[(String, Vec<u8>)]) -> Bytes {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(content);
        let (at, size) = (word(out.len()), word(content.len()));
        let mut common = Vec::new();
        // Version 2.0, UTF-8 names, stored, 1980-01-01 00:00.
        for half in [20_u16, 0x0800, 0, 0, 0x21] {
            common.extend(half.to_le_bytes());
        }
        for full in [crc.sum(), size, size] {
            common.extend(full.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());

        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(content);

        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, size, count) = (word(out.len()), word(directory.len()), files.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out.into()
}

/// A gzipped ustar archive of `files`.
pub(super) fn tar_gz(files: &[(String, Vec<u8>)]) -> Bytes {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    let mut write = |bytes: &[u8]| out.write_all(bytes).expect("a Vec takes every write");
    for (name, content) in files {
        let mut head = [0_u8; 512];
        let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
        put(0, &name.as_bytes()[..name.len().min(100)]);
        put(100, b"0000644\0");
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        let sum: u32 = head.iter().map(|&byte| u32::from(byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        write(&head);
        write(content);
        write(&vec![0; content.len().next_multiple_of(512) - content.len()]);
    }
    write(&[0; 1_024]);
    out.finish().expect("a Vec takes every write").into()
}

fn word(length: usize) -> u32 {
    u32::try_from(length).expect("archives here are far below 4 GiB")
}
