//! The vector kernel for `f32` confidences in up to 126 bins of equal width.
//!
//! Phase one turns a block of rows into bin numbers and fixed-point words, in 32-bit lanes without a branch; phase
//! two adds the words into private histograms, several of them so that equal neighbours do not wait for each other.
//! What is inlined into [`Insert::with_simd`] is compiled for each instruction set: hence every `inline(always)`.
//! It gives the very state of the plain loop; whatever it finds odd in a block it hands to that loop.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use crate::bins::Cell;
use crate::confidence::insert_plain;
use crate::edges::Lookup;
use crate::error::Result;
use crate::simd;
use crate::sum::FIXED_BITS;

/// Rows of a block.
pub(crate) const ROWS: usize = 128;
/// Private histograms.
const COPIES: usize = 8;
/// Words of a histogram: more than a byte can index, and no power of two, whose strides would alias.
const WORDS: usize = 264;
/// Bits of a fixed-point word, and where a histogram word keeps its count.
const WORD_BITS: i32 = 31;
pub(crate) const COUNT_SHIFT: u32 = 48;
/// Rows of which no histogram word's count overflows: many more than come in one call.
const MOST_ROWS: usize = COPIES << 16;
/// Below this value a confidence has digits under 2^-31.
const FINE: f32 = 1.0 / 256.0;
const ONE_BITS: u32 = 0x3f80_0000;
/// Adding it to a float in [0, 2^22] rounds to an integer and leaves the integer in the low bits.
const MAGIC: f32 = 8_388_608.0;

/// The kernel for one number of bins.
pub(crate) struct TwoPhase {
    bins: f32,
    /// 1/M in two parts whose products with an integer up to M are exact, or nearly.
    inverse: [f32; 2],
}

/// What phase one learns of a block.
pub(crate) struct Seen {
    least: u32,
    most: u32,
    correct: u8,
}

impl Seen {
    /// Whether some confidences have digits under 2^-31.
    #[inline(always)]
    pub(crate) fn is_fine(&self) -> bool {
        self.least < FINE.to_bits()
    }
}

impl TwoPhase {
    /// The kernel, unless the number of bins is beyond it.
    pub(crate) fn new(bins: usize) -> Option<Self> {
        if bins > 126 {
            return None;
        }
        let high = f32::from_bits((1.0 / bins as f32).to_bits() & !0x7ff);
        let low = (1.0 / bins as f64 - f64::from(high)) as f32;
        let kernel = Self { bins: bins as f32, inverse: [high, low] };
        // The contract is m/M rounded; the shortcut must give just that for every edge.
        (0..=bins).all(|m| kernel.edge(m as f32) == (m as f64 / bins as f64) as f32).then_some(kernel)
    }

    #[inline(always)]
    fn edge(&self, m: f32) -> f32 {
        m * self.inverse[0] + m * self.inverse[1]
    }

    /// Put rows into the cells.
    pub(crate) fn insert(&self, cells: &mut [Cell], lookup: &Lookup, confidence: &[f32], correct: &[u8]) -> Result<()> {
        simd::dispatch(Insert { kernel: self, cells, lookup, confidence, correct })
    }

    #[inline(always)]
    pub(crate) fn phase_one(
        &self,
        p: &[f32; ROWS],
        hit: &[u8; ROWS],
        ids: &mut [u8; ROWS],
        words: &mut [u32; ROWS],
    ) -> Seen {
        let mut seen = Seen { least: u32::MAX, most: 0, correct: 0 };
        for i in 0..ROWS {
            let bits = p[i].to_bits();
            seen.least = seen.least.min(bits);
            seen.most = seen.most.max(bits);
            seen.correct |= hit[i];
            let nearest = p[i] * self.bins + MAGIC;
            let m = nearest - MAGIC;
            // Slot 0 holds p = 0 alone, slot m the bin that ends at edge m.
            let slot = (nearest.to_bits() & 0x7f) + u32::from(p[i] > self.edge(m));
            ids[i] = (2 * slot) as u8 | hit[i];
            let (mantissa, shift) = fixed_parts(bits);
            words[i] = if shift < 32 { mantissa >> shift } else { 0 };
        }
        seen
    }
}

/// A call, which pulp compiles for every instruction set and runs for the best that the machine has.
struct Insert<'a> {
    kernel: &'a TwoPhase,
    cells: &'a mut [Cell],
    lookup: &'a Lookup,
    confidence: &'a [f32],
    correct: &'a [u8],
}

impl WithSimd for Insert<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Result<()> {
        let Self { kernel, cells, lookup, confidence, correct } = self;
        debug_assert!(confidence.len() < MOST_ROWS);
        let mut histogram = Histogram::new();
        let (blocks, tail) = confidence.as_chunks::<ROWS>();
        let (hits, tail_hits) = correct.as_chunks::<ROWS>();
        let mut ids = [0_u8; ROWS];
        let mut words = [0_u32; ROWS];
        for (i, (block, hit)) in blocks.iter().zip(hits).enumerate() {
            let seen = kernel.phase_one(block, hit, &mut ids, &mut words);
            if seen.most > ONE_BITS || seen.correct > 1 {
                insert_plain(cells, lookup, block, hit).map_err(|error| error.map_row(|row| i * ROWS + row))?;
                continue;
            }
            histogram.phase_two(&ids, &words);
            if seen.is_fine() {
                histogram.add_fine(block);
            }
        }
        histogram.flush(cells);
        insert_plain(cells, lookup, tail, tail_hits).map_err(|error| error.map_row(|row| blocks.len() * ROWS + row))
    }
}

/// A float in [0, 1] as a number of 32 bits, in units of 2^-31, that is still to be shifted right.
#[inline(always)]
fn fixed_parts(bits: u32) -> (u32, u32) {
    ((bits | 0x80_0000) << 8, 127_u32.wrapping_sub(bits >> 23))
}

/// The digits of a confidence below those of its word, in units of 2^-62: none from [`FINE`] on.
#[inline(always)]
pub(crate) fn fine(p: f32) -> u64 {
    const MASK: u64 = (1 << (FIXED_BITS - WORD_BITS)) - 1;
    let (mantissa, shift) = fixed_parts(p.to_bits());
    (u64::from(mantissa) << WORD_BITS >> shift.min(63)) & MASK
}

/// Bring a histogram word into the cell of its id.
#[inline(always)]
pub(crate) fn flush_word(cells: &mut [Cell], id: usize, word: u64) {
    let cell = &mut cells[(id / 2).saturating_sub(1)];
    let count = word >> COUNT_SHIFT;
    cell.count += count;
    cell.hits += count * (id as u64 & 1);
    cell.confidence += u128::from(word & ((1 << COUNT_SHIFT) - 1)) << (FIXED_BITS - WORD_BITS);
}

struct Histogram {
    words: [[u64; WORDS]; COPIES],
    /// Digits between 2^-31 and 2^-62, which only values of the first bin have.
    fine: u64,
}

impl Histogram {
    #[allow(clippy::large_stack_arrays)] // 17 KB, which stay in the first-level cache
    fn new() -> Self {
        Self { words: [[0; WORDS]; COPIES], fine: 0 }
    }

    #[inline(always)]
    fn phase_two(&mut self, ids: &[u8; ROWS], words: &[u32; ROWS]) {
        for (ids, words) in ids.as_chunks::<COPIES>().0.iter().zip(words.as_chunks::<COPIES>().0) {
            for copy in 0..COPIES {
                self.words[copy][ids[copy] as usize] += u64::from(words[copy]) + (1 << COUNT_SHIFT);
            }
        }
    }

    #[inline(always)]
    fn add_fine(&mut self, block: &[f32; ROWS]) {
        self.fine += block.iter().map(|&p| fine(p)).sum::<u64>();
    }

    #[inline(never)]
    fn flush(&self, cells: &mut [Cell]) {
        for histogram in &self.words {
            for (id, &word) in histogram.iter().enumerate().take(2 * cells.len() + 2) {
                flush_word(cells, id, word);
            }
        }
        cells[0].confidence += u128::from(self.fine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_bins_up_to_the_limit_has_the_kernel() {
        assert!((1..=126).all(|bins| TwoPhase::new(bins).is_some()) && TwoPhase::new(127).is_none());
    }
}
