use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;

use crate::seed::Seed;

/// The largest body that `git/blobs/size-N` makes, in bytes.
const SIZED_BYTES_MAX: usize = 64 << 20;

/// Who may see a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    Public,
    /// Whoever may see this repository, by `owner/name`.
    Repo(String),
}

/// Bodies that tests registered, by path, and sized ones made on demand.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    registered: BTreeMap<String, (Visibility, Bytes)>,
    sized: BTreeMap<(u64, usize), Bytes>,
}

impl Documents {
    pub(crate) fn put(&mut self, path: &str, visibility: Visibility, body: Bytes) {
        self.registered.insert(path.to_owned(), (visibility, body));
    }

    pub(crate) fn get(&self, path: &str) -> Option<&(Visibility, Bytes)> {
        self.registered.get(path)
    }

    /// A blob whose JSON is exactly `bytes` long and hardly compressible; the same each time.
    ///
    /// `None` if nothing can be that short, or if it would be over 64 MiB.
    pub(crate) fn sized(&mut self, seed: &Seed, repo: u64, bytes: usize) -> Option<Bytes> {
        let (head, tail) = (r#"{"content":""#, format!(r#"","encoding":"base64","sha":"size-{bytes}"}}"#));
        let content = bytes.checked_sub(head.len() + tail.len()).filter(|_| bytes <= SIZED_BYTES_MAX)?;
        let make = || {
            let mut noise = seed.fork(&format!("blob {repo} {bytes}"));
            let text = BASE64.encode(&noise.bytes(content / 4 * 3 + 3));
            Bytes::from([head, &text[..content], &tail].concat())
        };
        Some(self.sized.entry((repo, bytes)).or_insert_with(make).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sized_blobs_are_exact_valid_and_noisy() {
        let mut documents = Documents::default();
        for bytes in [100, 1_024, 102_400, (16 << 20) + 1] {
            let body = documents.sized(&Seed::new(7), 1, bytes).unwrap();
            assert_eq!(body.len(), bytes);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            assert_eq!(Some(body), Documents::default().sized(&Seed::new(7), 1, bytes));
        }
        assert_eq!(documents.sized(&Seed::new(7), 1, 10), None);
        assert_eq!(documents.sized(&Seed::new(7), 1, usize::MAX), None);
    }
}
