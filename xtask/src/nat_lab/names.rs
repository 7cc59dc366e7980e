//! A name server for a network of the lab: it knows a handful of names and nobody else.

use std::net::{Ipv4Addr, UdpSocket};

/// What makes this program one.
pub(crate) const COMMAND: &str = "--serve-names";

const HEADER_BYTES: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_TXT: u16 = 16;
/// An answer, with no error.
const FLAGS: [u8; 2] = [0x84, 0];
/// The name that the question is about, which begins after the header.
const SAME_NAME: [u8; 2] = [0xc0, HEADER_BYTES as u8];

/// Serves until it is ended: the address to listen on, then `NAME=ADDRESS` or `NAME=TEXT`.
pub(crate) fn serve(arguments: &[String]) -> Result<(), String> {
    let (address, records) = arguments.split_first().ok_or("no address to serve names on")?;
    let records: Vec<_> = records.iter().filter_map(|record| record.split_once('=')).collect();
    let socket = UdpSocket::bind((address.as_str(), 53)).map_err(|cause| format!("{address}:53: {cause}"))?;
    let mut packet = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut packet).map_err(|cause| cause.to_string())?;
        if let Some(answer) = answer(&packet[..length], &records) {
            // Who asked will ask again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// `None` for what is no question.
fn answer(question: &[u8], records: &[(&str, &str)]) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (HEADER_BYTES, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(std::str::from_utf8(question.get(at..at + length)?).ok()?.to_ascii_lowercase());
        at += length;
    }
    let asked = question.get(at..at + 4)?;
    let kind = u16::from_be_bytes([asked[0], asked[1]]);
    let name = labels.join(".");
    let found: Vec<_> =
        records.iter().filter(|(known, _)| *known == name).filter_map(|(_, value)| data(kind, value)).collect();

    let mut answer = question[..2].to_vec();
    answer.extend(FLAGS);
    for count in [1, found.len() as u16, 0, 0] {
        answer.extend(count.to_be_bytes());
    }
    answer.extend(&question[HEADER_BYTES..at + 4]);
    for data in found {
        answer.extend(SAME_NAME);
        answer.extend(asked);
        answer.extend(0_u32.to_be_bytes());
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// The record's data, if it is of this type.
fn data(kind: u16, value: &str) -> Option<Vec<u8>> {
    match (kind, value.parse::<Ipv4Addr>()) {
        (TYPE_A, Ok(ip)) => Some(ip.octets().to_vec()),
        (TYPE_TXT, Err(_)) => {
            let length = u8::try_from(value.len()).ok()?;
            Some([&[length], value.as_bytes()].concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_answered_with_what_is_known_of_it_by_type() {
        let question =
            |kind| [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1][..], b"a", &[3], b"lab", &[0, 0, kind, 0, 1]].concat();
        let records = [("a.lab", "10.0.0.1"), ("a.lab", "hello"), ("b.lab", "10.0.0.2")];
        let said = |kind| answer(&question(kind), &records).unwrap();
        assert_eq!(said(1)[..8], [7, 7, 0x84, 0, 0, 1, 0, 1]);
        assert!(said(1).ends_with(&[0, 4, 10, 0, 0, 1]));
        assert!(said(16).ends_with(b"\x00\x06\x05hello"));
        assert_eq!(said(28)[6..8], [0, 0], "no such record");
        assert_eq!(answer(&question(1)[..14], &records), None);
    }
}
