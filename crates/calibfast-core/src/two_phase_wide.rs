//! The vector kernel for `f64` confidences, and for `f32` in more bins than [`two_phase`](crate::two_phase) has room for.
//!
//! The same two phases in 64-bit lanes: a confidence needs two histogram words, and a bin number two bytes.
#![allow(clippy::inline_always)]

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use crate::bins::Cell;
use crate::confidence::insert_plain;
use crate::edges::Lookup;
use crate::error::Result;
use crate::float::Float;
use crate::simd;
use crate::sum::{self, FIXED_BITS};

/// Rows of a block.
pub(crate) const ROWS: usize = 64;
/// Private histograms, side by side: one bin of all of them is a line of the cache.
pub(crate) const COPIES: usize = 4;
/// Most bins: their histograms stay in the second-level cache.
pub(crate) const MAX_BINS: usize = 2048;
/// Bits of the lower word of a confidence, and where a histogram word keeps its count.
const LOW_BITS: i32 = FIXED_BITS / 2;
const COUNT_SHIFT: u32 = 48;
/// Rows of which no histogram word's count overflows: many more than come in one call.
const MOST_ROWS: usize = COPIES << 16;
/// Adding it to a float in [0, 2^51] rounds to an integer and leaves the integer in the low bits.
const MAGIC: f64 = 4_503_599_627_370_496.0;

/// The higher half of a confidence and 1 row; the lower half and its hit.
pub(crate) type Words = [u64; 2];

/// The kernel for one number of bins.
pub(crate) struct TwoPhaseWide<T> {
    bins: f64,
    /// 1/M in two parts whose products with an integer up to M are exact, or nearly.
    inverse: [f64; 2],
    float: PhantomData<T>,
}

impl<T: Float> TwoPhaseWide<T> {
    /// The kernel, unless type or number of bins are beyond it.
    pub(crate) fn new(lookup: &Lookup) -> Option<Self> {
        let bins = lookup.equal_width.filter(|&bins| bins <= MAX_BINS && size_of::<T>() >= size_of::<f32>())?;
        let high = f64::from_bits((1.0 / bins as f64).to_bits() & !0xfff);
        // What is left of 1 after M times the higher part is exact.
        let low = (1.0 - high * bins as f64) / bins as f64;
        let kernel = Self { bins: bins as f64, inverse: [high, low], float: PhantomData };
        lookup.edges.iter().enumerate().all(|(m, &edge)| kernel.edge(m as f64) == edge).then_some(kernel)
    }

    #[inline(always)]
    fn edge(&self, m: f64) -> f64 {
        T::round(m * self.inverse[0] + m * self.inverse[1])
    }

    /// Put rows into the cells.
    pub(crate) fn insert(&self, cells: &mut [Cell], lookup: &Lookup, confidence: &[T], correct: &[u8]) -> Result<()> {
        simd::dispatch(Insert { kernel: self, cells, lookup, confidence, correct })
    }

    /// Bins and words of a block; whether all its rows are sound.
    #[inline(always)]
    pub(crate) fn phase_one<P: Float>(
        &self,
        p: &[P; ROWS],
        hit: &[u8; ROWS],
        slots: &mut [u16; ROWS],
        words: &mut [Words; ROWS],
    ) -> bool {
        let (mut bad, mut correct) = (0, 0);
        for i in 0..ROWS {
            let p = p[i].to_f64();
            let bits = p.to_bits();
            // The sign bit of one of the two stands where p is negative, above 1 or no number.
            bad |= bits | 1.0_f64.to_bits().wrapping_sub(bits);
            correct |= hit[i];
            let nearest = p * self.bins + MAGIC;
            // Slot 0 holds p = 0 alone, slot m the bin that ends at edge m.
            slots[i] = nearest.to_bits() as u16 + u16::from(p > self.edge(nearest - MAGIC));
            words[i] = self::words(p, hit[i]);
        }
        bad >> 63 == 0 && correct <= 1
    }
}

/// A call, which pulp compiles for every instruction set and runs for the best that the machine has.
struct Insert<'a, T> {
    kernel: &'a TwoPhaseWide<T>,
    cells: &'a mut [Cell],
    lookup: &'a Lookup,
    confidence: &'a [T],
    correct: &'a [u8],
}

impl<T: Float> WithSimd for Insert<'_, T> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Result<()> {
        let Self { kernel, cells, lookup, confidence, correct } = self;
        debug_assert!(confidence.len() < MOST_ROWS);
        let mut histogram = vec![[[0; 2]; COPIES]; cells.len() + 1];
        let (blocks, tail) = confidence.as_chunks::<ROWS>();
        let (hits, tail_hits) = correct.as_chunks::<ROWS>();
        let mut slots = [0; ROWS];
        let mut words = [[0; 2]; ROWS];
        for (i, (block, hit)) in blocks.iter().zip(hits).enumerate() {
            if !kernel.phase_one(block, hit, &mut slots, &mut words) {
                insert_plain(cells, lookup, block, hit).map_err(|error| error.map_row(|row| i * ROWS + row))?;
                continue;
            }
            phase_two(&mut histogram, &slots, &words);
        }
        flush(&mut histogram, cells);
        insert_plain(cells, lookup, tail, tail_hits).map_err(|error| error.map_row(|row| blocks.len() * ROWS + row))
    }
}

/// A row as it is added.
#[inline(always)]
pub(crate) fn words(p: f64, hit: u8) -> Words {
    const LOW: u64 = (1 << LOW_BITS) - 1;
    let fixed = sum::to_fixed(p);
    [fixed >> LOW_BITS | 1 << COUNT_SHIFT, fixed & LOW | u64::from(hit) << COUNT_SHIFT]
}

#[inline(always)]
pub(crate) fn phase_two(histogram: &mut [[Words; COPIES]], slots: &[u16; ROWS], words: &[Words; ROWS]) {
    for (slots, words) in slots.as_chunks::<COPIES>().0.iter().zip(words.as_chunks::<COPIES>().0) {
        for copy in 0..COPIES {
            let entry = &mut histogram[usize::from(slots[copy])][copy];
            entry[0] += words[copy][0];
            entry[1] += words[copy][1];
        }
    }
}

#[inline(never)]
pub(crate) fn flush<const COPIES: usize>(histogram: &mut [[Words; COPIES]], cells: &mut [Cell]) {
    const SUM: u64 = (1 << COUNT_SHIFT) - 1;
    for (slot, copies) in histogram.iter_mut().enumerate() {
        let cell = &mut cells[slot.saturating_sub(1)];
        for [high, low] in std::mem::replace(copies, [[0; 2]; COPIES]) {
            cell.count += high >> COUNT_SHIFT;
            cell.hits += low >> COUNT_SHIFT;
            cell.confidence += (u128::from(high & SUM) << LOW_BITS) + u128::from(low & SUM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::Edges;

    #[test]
    fn every_number_of_bins_up_to_the_limit_has_the_kernel() {
        for bins in 1..=MAX_BINS {
            let edges = Edges::equal_width(bins).unwrap();
            assert!(TwoPhaseWide::<f64>::new(&edges.lookup::<f64>()).is_some(), "{bins}");
            assert!(TwoPhaseWide::<f32>::new(&edges.lookup::<f32>()).is_some(), "{bins}");
        }
    }
}
