//! Confidences and their correctness into bins.

use crate::bins::{Cell, Cells, WeightedCell};
use crate::edges::Lookup;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::patterns::Counted;
use crate::sum;
use crate::two_phase::TwoPhase;
use crate::two_phase_wide::TwoPhaseWide;
use crate::windows::{Products, Windows};

/// Put rows into bins: `correct` holds 0 or 1; `weights`, where the cells are weighted, one value a row.
pub(crate) fn insert<T: Float>(
    cells: &mut Cells,
    lookup: &Lookup,
    confidence: &[T],
    correct: &[u8],
    weights: &[f64],
) -> Result<()> {
    match cells {
        Cells::Plain(cells) => {
            if let Some(values) = T::as_f32(confidence)
                && let Some(kernel) = lookup.equal_width.and_then(TwoPhase::new)
            {
                return kernel.insert(cells, lookup, values, correct);
            }
            if let Some(kernel) = TwoPhaseWide::new(lookup) {
                return kernel.insert(cells, lookup, confidence, correct);
            }
            insert_plain(cells, lookup, confidence, correct)
        }
        Cells::Weighted(cells) => insert_weighted(cells, lookup, confidence, correct, weights),
    }
}

/// The plain loop, which every other kernel must equal.
pub(crate) fn insert_plain<T: Float>(
    cells: &mut [Cell],
    lookup: &Lookup,
    confidence: &[T],
    correct: &[u8],
) -> Result<()> {
    for (row, (p, &hit)) in confidence.iter().zip(correct).enumerate() {
        let p = check(row, p.to_f64(), hit)?;
        cells[lookup.bin(p)].insert(p, hit == 1);
    }
    Ok(())
}

/// The bins of counted rows.
pub(crate) fn bins_of_counted(lookup: &Lookup, counted: &[Counted]) -> Cells {
    let mut cells = vec![Cell::default(); lookup.bins()];
    for &Counted { confidence, hit, rows } in counted {
        let cell = &mut cells[lookup.bin(confidence)];
        cell.count += rows;
        cell.hits += rows * u64::from(hit);
        cell.confidence += u128::from(sum::to_fixed(confidence)) * u128::from(rows);
    }
    Cells::Plain(cells)
}

/// What rows with weights of one window add to one bin.
#[derive(Clone, Copy, Default)]
struct Weighed {
    rows: u64,
    weight: u128,
    hits: u128,
    confidence: Products,
}

fn insert_weighted<T: Float>(
    cells: &mut [WeightedCell],
    lookup: &Lookup,
    confidence: &[T],
    correct: &[u8],
    weights: &[f64],
) -> Result<()> {
    let rows = confidence.iter().zip(correct).zip(weights).enumerate();
    let rows = rows.map(|(row, ((p, &hit), &weight))| check(row, p.to_f64(), hit).map(|p| (p, hit, weight)));
    let windows = Windows::of(weights);
    let size = cells.len() * windows.count;
    if size > weights.len() / 4 {
        // Too few rows to pay for the windows.
        for row in rows {
            let (p, hit, weight) = row?;
            cells[lookup.bin(p)].insert(p, hit == 1, weight);
        }
        return Ok(());
    }
    let mut sums = vec![Weighed::default(); size];
    for row in rows {
        let (p, hit, weight) = row?;
        let (window, weight) = windows.place(weight);
        let sum = &mut sums[lookup.bin(p) * windows.count + window];
        sum.rows += 1;
        sum.weight += u128::from(weight);
        sum.hits += u128::from(weight * u64::from(hit));
        sum.confidence.add(weight, sum::to_fixed(p));
    }
    for (cell, sums) in cells.iter_mut().zip(sums.chunks(windows.count)) {
        for (window, sum) in sums.iter().enumerate() {
            let exponent = windows.exponent(window);
            cell.count += sum.rows;
            cell.weight.add(sum.weight, exponent);
            cell.hits.add(sum.hits, exponent);
            sum.confidence.add_to(&mut cell.confidence, exponent - sum::FIXED_BITS);
        }
    }
    Ok(())
}

#[inline]
fn check(row: usize, p: f64, hit: u8) -> Result<f64> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::Confidence { row, value: p });
    }
    if hit > 1 {
        return Err(Error::Correct { row, value: hit.into() });
    }
    Ok(p)
}
