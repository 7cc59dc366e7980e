//! PyGithub's recordings: what is between two empty lines is one exchange, a line for each part, and
//! headers are written as Python writes a dict or a list of pairs.

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) request: Headers,
    pub(crate) status: String,
    pub(crate) response: Headers,
    /// In the plain form; a recorded JSON body is one line.
    pub(crate) body: String,
}

/// In the order recorded, names in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Lines of one exchange: protocol, method, host, port, target, request headers, request body, status,
/// response headers, response body, and the empty line.
const LINES: usize = 11;

/// Returns the exchanges of one file, up to the first line that begins none: a download's raw bytes.
pub(crate) fn exchanges(text: &str) -> Vec<Exchange> {
    let lines: Vec<&str> = text.split('\n').collect();
    lines
        .chunks(LINES)
        .map_while(|lines| match lines {
            ["http" | "https", method, host, _, target, request, _, status, response, body, ..] => Some(Exchange {
                method: (*method).to_owned(),
                host: (*host).to_owned(),
                target: (*target).to_owned(),
                request: headers(request),
                status: (*status).to_owned(),
                response: headers(response),
                body: (*body).to_owned(),
            }),
            _ => None,
        })
        .collect()
}

/// Reads Python's `{'a': 'b'}` or `[('a', 'b')]`: both are names and values in turn.
fn headers(python: &str) -> Headers {
    let mut texts = texts(python).into_iter();
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        headers.push((name.to_ascii_lowercase(), value));
    }
    Headers(headers)
}

/// The string literals of a Python expression, in order; `None` stands for an empty one.
fn texts(python: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = python;
    while let Some(at) = rest.find(['\'', '"', 'N']) {
        let quote = rest[at..].chars().next().unwrap_or_default();
        rest = &rest[at + 1..];
        if quote == 'N' {
            found.push(String::new());
            continue;
        }
        let mut text = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                c if c == quote => {
                    end = at + 1;
                    break;
                }
                c => text.push(c),
            }
        }
        found.push(text);
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_line_by_line() {
        let one = "https\nGET\napi.github.com\nNone\n/user\n{'Accept': 'a/b', 'X': None, 'User-Agent': \"it's\"}\n\
                   None\n200\n[('ETag', 'W/\"0a\"'), ('Server', 'N\\'s')]\n{\"a\": 1}\n\n";
        let all = exchanges(&format!("{one}{one}raw bytes\n"));
        assert_eq!(all.len(), 2);
        let Exchange { method, host, target, request, status, response, body } = &all[1];
        assert_eq!([method, host, target, status, body], ["GET", "api.github.com", "/user", "200", "{\"a\": 1}"]);
        assert_eq!(
            ["accept", "x", "user-agent", "y"].map(|name| request.get(name)),
            [Some("a/b"), Some(""), Some("it's"), None]
        );
        assert_eq!(["etag", "server"].map(|name| response.get(name)), [Some("W/\"0a\""), Some("N's")]);
    }
}
