//! A random number generator for tests, seeded so that a failing test can be repeated.

/// A generator: xoshiro256++ by Blackman and Vigna, seeded through splitmix64 as they advise. Not
/// for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Creates a generator. The same seed returns the same bytes, on every machine.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mixed = seed;
        let mut next = || {
            mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = mixed;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let word = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let mut mixed = [a, b ^ a, c ^ a, d ^ b];
        mixed[0] ^= mixed[3];
        mixed[2] ^= b << 17;
        mixed[3] = mixed[3].rotate_left(45);
        mixed[1] = b ^ c ^ a;
        self.state = mixed;
        word
    }

    /// Fills `slice` with the next bytes.
    pub fn fill(&mut self, slice: &mut [u8]) {
        for word in slice.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            word.copy_from_slice(&bytes[..word.len()]);
        }
    }

    /// Returns the next `length` bytes.
    #[must_use]
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        bytes
    }

    /// Returns a number below `bound`, which must not be 0. The bias of the remainder is far below
    /// what a test can detect.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // The first words of the reference implementation for the state 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        let words: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
        assert_eq!(words, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_seed_others() {
        assert_eq!(Random::new(1).bytes(20), Random::new(1).bytes(20));
        assert_ne!(Random::new(1).bytes(20), Random::new(2).bytes(20));
        assert!((0..100).all(|seed| Random::new(seed).below(7) < 7));
    }
}
