use rand::{RngExt as _, rngs::StdRng};

/// Inputs do not grow over this.
const BYTES_MAX: usize = 4096;

/// Makes new inputs of old ones.
pub(crate) struct Mutator<'a> {
    random: StdRng,
    words: &'a [&'a str],
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(random: StdRng, words: &'a [&'a str]) -> Self {
        Self { random, words }
    }

    pub(crate) fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.step(&mut input, corpus);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn step(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() - at + 1).min(32);
        match self.below(8) {
            0 => input.insert(at, self.byte()),
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            4 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 => {
                if let Some(byte) = input.get(at).copied() {
                    // Another spelling of the same byte, to clients of URLs.
                    input.splice(at..=at, format!("%{byte:02x}").into_bytes());
                }
            }
            _ => {
                let word = self.words[self.below(self.words.len())];
                input.splice(at..at, word.bytes());
            }
        }
    }

    /// Often one that means something.
    fn byte(&mut self) -> u8 {
        const SHARP: &[u8] = b"/%.?&=\\\"'<>;,:#@!{}[]()$*+-_~ \t\r\n\0\x7f\xc3\xff0aZ";
        if self.below(2) == 0 { SHARP[self.below(SHARP.len())] } else { self.random.random() }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }
}
