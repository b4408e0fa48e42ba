//! Bins that hold the same weight, and the number of them that the data can bear.
//!
//! The upper edge of bin m of M is the confidence at which the weight reaches `m/M` of the whole; bins are closed on
//! the right, as equal-width ones are. Ties are never split, so a bin may hold more than its share and the next ones
//! less, or nothing; the order of rows does not matter.

use std::ops::Range;

use crate::bins::Total;
use crate::distinct::{Distinct, Tie};
use crate::metrics::Norm;

/// The bins that hold something, rising. `count` is not filled in: weights are all that is known of ties.
#[must_use]
pub fn equal_mass(rows: &Distinct, bins: usize) -> Vec<Total> {
    let (total, mut reached) = (rows.total(), 0.0);
    let mut filled: Vec<(f64, Total)> = Vec::new();
    for tie in rows.ties() {
        // Where a tie begins decides where it belongs. The product first: it is exact for whole weights.
        let bin = (reached * bins as f64 / total).floor();
        let confidence = tie.weight * tie.confidence;
        let add = Total { count: 0, weight: tie.weight, hits: tie.hits, confidence };
        match filled.last_mut() {
            Some((last, sum)) if *last == bin => *sum = [*sum, add].into_iter().sum(),
            _ => filled.push((bin, add)),
        }
        reached += tie.weight;
    }
    filled.into_iter().map(|(_, total)| total).collect()
}

/// The monotonic sweep (Roelofs et al. 2022): equal-mass bins, as many as leave their accuracies rising; the
/// calibration error on them and their number.
#[must_use]
pub fn sweep(rows: &Distinct, norm: Norm) -> (f64, usize) {
    // More bins than distinct values split nothing further.
    let count = Reached::new(rows).first_fall(rows.len()).map_or(rows.len(), |count| count - 1);
    let best = equal_mass(rows, count);
    (norm.of(&best, rows.total()), best.len())
}

/// What the rows before each tie weigh: sums over a bin are differences, so a number of bins costs no pass over rows.
struct Reached {
    weight: Vec<f64>,
    hits: Vec<f64>,
    /// Apart from the hits, so that bins of one kind have exactly nothing of the other.
    misses: Vec<f64>,
    /// From the first tie with a hit to the last with a miss; accuracies before are 0 and after it 1, and never fall.
    mixed: Range<usize>,
}

impl Reached {
    fn new(rows: &Distinct) -> Self {
        let sums = |of: &dyn Fn(Tie) -> f64| -> Vec<f64> {
            let running = rows.ties().scan(0.0, |sum, tie| {
                *sum += of(tie);
                Some(*sum)
            });
            std::iter::once(0.0).chain(running).collect()
        };
        let first_hit = rows.ties().position(|tie| tie.hits > 0.0).unwrap_or(rows.len());
        let last_miss = rows.ties().rposition(|tie| tie.hits < tie.weight).map_or(0, |at| at + 1);
        Self {
            weight: sums(&|tie| tie.weight),
            hits: sums(&|tie| tie.hits),
            misses: sums(&|tie| tie.weight - tie.hits),
            mixed: first_hit..last_miss,
        }
    }

    /// The smallest number of bins whose accuracies fall somewhere, up to `most`.
    fn first_fall(&self, most: usize) -> Option<usize> {
        (2..=most).find(|&bins| self.mixed.len() > 1 && self.falls(bins))
    }

    fn falls(&self, bins: usize) -> bool {
        let begins = &self.weight[..self.weight.len() - 1];
        let total = self.weight[begins.len()];
        let bin = |before: f64| (before * bins as f64 / total).floor();
        let first = bin(begins[self.mixed.start]);
        let mut start = begins.partition_point(|&before| bin(before) < first);
        let (mut hits_before, mut misses_before) = (0.0, 1.0);
        while start < self.mixed.end {
            let here = bin(begins[start]);
            let end = start + begins[start..].partition_point(|&before| bin(before) <= here);
            let (hits, misses) = (self.hits[end] - self.hits[start], self.misses[end] - self.misses[start]);
            if hits_before * misses > hits * misses_before {
                return true;
            }
            (hits_before, misses_before, start) = (hits, misses, end);
        }
        false
    }
}
