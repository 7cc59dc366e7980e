use bytes::Bytes;

/// Lays compact JSON out as GitHub does for curl and browsers: two spaces, a line per item.
///
/// Works on the bytes: order, escapes and numbers stay as they are. What is not JSON comes back
/// with its characters unchanged, apart from white space outside strings.
pub fn pretty(json: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                out.push(byte);
                copy_string(&mut bytes, &mut out);
            }
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                new_line(&mut out, if matches!(bytes.peek(), Some(b'}' | b']')) { 0 } else { depth });
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(byte),
        }
    }
    out.push(b'\n');
    out.into()
}

fn copy_string(bytes: &mut impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    while let Some(byte) = bytes.next() {
        out.push(byte);
        match byte {
            b'"' => return,
            b'\\' => out.extend(bytes.next()),
            _ => {}
        }
    }
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn json_is_laid_out_and_strings_stay_as_they_are() {
        let compact = br#"{"a":[1,"x, {\"y\"}"],"b":{},"c":null}"#;
        let laid_out = String::from_utf8(pretty(compact).to_vec()).unwrap();
        expect![[r#"
            {
              "a": [
                1,
                "x, {\"y\"}"
              ],
              "b": {

              },
              "c": null
            }
        "#]]
        .assert_eq(&laid_out);
    }
}
