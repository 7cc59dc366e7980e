//! Random numbers for plans: a stream of its own for each entity and purpose.

/// SplitMix64. What one stream draws never moves another, so taking an item out of a world leaves
/// the rest of it as it was.
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `purpose` in the world of `seed`: "node 3 starts", "link 1 2".
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut stream = Self(mixed);
        stream.next();
        stream
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `from..to`; `from` where the range is empty.
    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % to.saturating_sub(from).max(1)
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.range(0, of.len() as u64) as usize]
    }

    /// Happens so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 100) < percent
    }

    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_stream_and_each_stream_is_the_same_for_ever() {
        assert_eq!(Stream::new(7, "a").next(), Stream::new(7, "a").next());
        assert_ne!(Stream::new(7, "a").next(), Stream::new(7, "b").next());
        assert_ne!(Stream::new(7, "a").next(), Stream::new(8, "a").next());
        assert!((3..5).contains(&Stream::new(1, "x").range(3, 5)));
        assert_eq!(Stream::new(1, "x").range(3, 3), 3);
    }
}
