//! A row of many options: vectors run over options, in fixed lanes, so that every vector width adds in one order.
//!
//! It gives the very numbers of [`Row`](crate::options::Row), and leaves to that whatever it finds odd.
#![allow(clippy::inline_always)] // into loops that are compiled for each instruction set
#![allow(clippy::needless_bitwise_bool)] // without a branch

use crate::exp::exp_of;
use crate::float::Float;
use crate::options::{LANES, add, tree};

/// Options at a time: their exponentials stay in the first-level cache.
const CHUNK: usize = 64;

/// Confidence of the top option of a row of logits, and whether it is `label`; none where something is odd.
#[inline(always)]
pub(crate) fn softmax<W: Float>(values: &[W], label: usize) -> Option<(f64, bool)> {
    let max = max(values);
    let mut lanes = [0.0; LANES];
    let mut exponentials = [0.0; CHUNK];
    let (chunks, rest) = values.as_chunks::<CHUNK>();
    for chunk in chunks {
        for i in 0..CHUNK {
            exponentials[i] = exp_of::<W>(chunk[i].to_f64() - max);
        }
        add(&mut lanes, &exponentials);
    }
    let exponentials = &mut exponentials[..rest.len()];
    for (exponential, value) in exponentials.iter_mut().zip(rest) {
        *exponential = exp_of::<W>(value.to_f64() - max);
    }
    add(&mut lanes, exponentials);
    // NaN, an infinite logit and a row of nothing all make a sum that is no number.
    let sum = tree(lanes);
    let value = values[label].to_f64();
    let sound = sum >= 1.0 && value != f64::NEG_INFINITY;
    sound.then(|| (1.0 / sum, value == max && is_first(values, label)))
}

/// Confidence of the top option of a row of probabilities, and whether it is `label`; none where something is odd.
#[inline(always)]
pub(crate) fn probabilities<W: Float>(values: &[W], label: usize, tolerance: f64) -> Option<(f64, bool)> {
    let max = max(values);
    let mut lanes = [0.0; LANES];
    let mut least = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let p = chunk[lane].to_f64();
            lanes[lane] += p;
            least[lane] = if p < least[lane] { p } else { least[lane] };
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        let p = value.to_f64();
        lanes[lane] += p;
        least[lane] = if p < least[lane] { p } else { least[lane] };
    }
    // NaN makes a sum that is no number.
    let sound = (tree(lanes) - 1.0).abs() <= tolerance && max <= 1.0 && least == [0.0; LANES];
    sound.then(|| (max, values[label].to_f64() == max && is_first(values, label)))
}

/// The largest that is a number.
#[inline(always)]
pub(crate) fn max<W: Float>(values: &[W]) -> f64 {
    /// As many as two vectors of the widest kind hold, for one to go on while the other waits.
    const LANES: usize = 32;
    let mut lanes = [W::nearest(f64::NEG_INFINITY); LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    for &value in rest {
        lanes[0] = if value > lanes[0] { value } else { lanes[0] };
    }
    lanes.into_iter().map(W::to_f64).fold(f64::NEG_INFINITY, |max, value| if value > max { value } else { max })
}

/// Whether no value before that of `label` equals it.
#[inline(always)]
fn is_first<W: Float>(values: &[W], label: usize) -> bool {
    let (chunks, rest) = values[..label].as_chunks::<64>();
    let differ = |part: &[W]| part.iter().fold(true, |differ, value| differ & (*value != values[label]));
    chunks.iter().all(|chunk| differ(chunk)) && differ(rest)
}
