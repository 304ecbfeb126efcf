//! The chance of a simulated plan: numbers that follow from its seed.

/// Draws numbers. The same seed gives the same numbers, on every machine and in every release.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for one use of a seed. Two uses of one seed draw different numbers.
    #[must_use]
    pub fn new(seed: u64, of: &str) -> Self {
        let mixed = of.bytes().fold(seed, |state, byte| splitmix(state ^ u64::from(byte)).1);
        Self { state: mixed }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        let (state, number) = splitmix(self.state);
        self.state = state;
        number
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// One step of SplitMix64: the next state, and the number that belongs to it.
fn splitmix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_gives_the_same_numbers_for_the_same_use_and_others_for_another() {
        let some = |seed, of| {
            let mut dice = Dice::new(seed, of);
            [dice.draw(), dice.draw(), dice.below(3)]
        };
        assert_eq!(some(7, "files"), some(7, "files"));
        assert_ne!(some(7, "files"), some(7, "search"));
        assert_ne!(some(7, "files"), some(8, "files"));
    }
}
