//! Rows of option probabilities by their distinct values: what the sums over all pairs of rows start from.
//!
//! Rows stand in lexicographic order and equal ones are one entry, so no sum depends on the order in which they came,
//! and a row of weight w is w rows, to the bit.

use crate::distinct::Distinct;
use crate::error::{Error, Result};
use crate::state::check_lengths;

/// Rows that the width of a kernel is judged by.
const PICKED: usize = 1000;

/// Distinct pairs of probabilities and label.
#[derive(Clone, Debug, PartialEq)]
pub struct DistinctOptions {
    /// Options in a row.
    pub classes: usize,
    /// Probability of option k in entry i at `k * len + i`: neighbours in memory are what loops run over.
    pub columns: Vec<f64>,
    /// The right option of each entry.
    pub labels: Vec<usize>,
    /// Weight of its rows; their number where there are no weights.
    pub weights: Vec<f64>,
}

impl DistinctOptions {
    /// Sort checked rows, given row by row, and put equal ones together.
    ///
    /// # Errors
    /// Lengths that differ, a label that names no option, a weight at fault, and no rows at all.
    pub fn new(probs: &[f64], classes: usize, labels: &[i64], weights: Option<&[f64]>) -> Result<Self> {
        let rows = probs.len() / classes.max(1);
        check_lengths(rows, "labels", labels.len(), weights)?;
        let named = |label: i64| usize::try_from(label).ok().filter(|&label| label < classes);
        if let Some(row) = labels.iter().position(|&label| named(label).is_none()) {
            return Err(Error::Label { row, label: labels[row], classes });
        }
        let at = |row: usize| &probs[row * classes..(row + 1) * classes];
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let compare = |a: &usize, b: &usize| {
            let by_value = at(*a).partial_cmp(at(*b)).unwrap_or(std::cmp::Ordering::Equal);
            // Weights are part of the order, so that their sums do not depend on the order of the rows.
            by_value.then(labels[*a].cmp(&labels[*b])).then(weight(*a).total_cmp(&weight(*b)))
        };
        let mut order: Vec<usize> = (0..rows).filter(|&row| weight(row) > 0.0).collect();
        order.sort_unstable_by(compare);
        let mut entries: Vec<(usize, f64)> = Vec::new();
        for row in order {
            match entries.last_mut() {
                Some((last, sum)) if at(*last) == at(row) && labels[*last] == labels[row] => *sum += weight(row),
                _ => entries.push((row, weight(row))),
            }
        }
        if entries.is_empty() {
            return Err(Error::Empty);
        }
        Ok(Self {
            classes,
            columns: (0..classes).flat_map(|k| entries.iter().map(move |&(row, _)| at(row)[k])).collect(),
            labels: entries.iter().map(|&(row, _)| labels[row] as usize).collect(),
            weights: entries.iter().map(|&(_, weight)| weight).collect(),
        })
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there are none; never so after [`DistinctOptions::new`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Weight of all rows.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Probability of option k in every entry.
    pub(crate) fn column(&self, k: usize) -> &[f64] {
        &self.columns[k * self.len()..(k + 1) * self.len()]
    }

    /// Median Euclidean distance between rows (the heuristic of Gretton et al. 2012), of up to a thousand that are
    /// spread evenly over the sorted ones; 1 where it is 0.
    #[must_use]
    pub fn median_distance(&self) -> f64 {
        median_distance(&self.weights, |i, j| {
            let square = |k| (self.column(k)[i] - self.column(k)[j]).powi(2);
            (0..self.classes).map(square).sum::<f64>().sqrt()
        })
    }

    /// Entries that stand for all rows, and for how many each: all of them up to a thousand, else a thousand that are
    /// spread evenly over the sorted rows.
    #[must_use]
    pub fn representatives(&self) -> Vec<(usize, f64)> {
        if self.len() <= PICKED {
            return self.weights.iter().copied().enumerate().collect();
        }
        spread(&self.weights).into_iter().map(|entry| (entry, 1.0)).collect()
    }
}

impl Distinct {
    /// Median distance between confidences, as [`DistinctOptions::median_distance`] defines it.
    #[must_use]
    pub fn median_distance(&self) -> f64 {
        median_distance(&self.weight, |i, j| (self.confidence[i] - self.confidence[j]).abs())
    }
}

fn spread(weights: &[f64]) -> Vec<usize> {
    let picks = weights.len().min(PICKED);
    let step = weights.iter().sum::<f64>() / picks as f64;
    let (mut picked, mut reached) = (Vec::with_capacity(picks), 0.0);
    for (i, weight) in weights.iter().enumerate() {
        reached += weight;
        while picked.len() < picks && (picked.len() as f64 + 0.5) * step < reached {
            picked.push(i);
        }
    }
    picked
}

fn median_distance(weights: &[f64], distance: impl Fn(usize, usize) -> f64) -> f64 {
    let picked = spread(weights);
    let pairs = picked.iter().enumerate().flat_map(|(a, &i)| picked[..a].iter().map(move |&j| (i, j)));
    let mut distances: Vec<f64> = pairs.map(|(i, j)| distance(i, j)).collect();
    if distances.is_empty() {
        return 1.0;
    }
    let middle = distances.len() / 2;
    let median = *distances.select_nth_unstable_by(middle, f64::total_cmp).1;
    if median > 0.0 { median } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_one_entry() {
        let probs = [0.7, 0.3, 0.2, 0.8, 0.7, 0.3, 0.7, 0.3];
        let rows = DistinctOptions::new(&probs, 2, &[0, 1, 0, 1], None).unwrap();
        assert_eq!(rows.weights, [1.0, 2.0, 1.0]);
        assert_eq!(rows.labels, [1, 0, 1]);
        assert_eq!(rows.column(0), [0.2, 0.7, 0.7]);
        let weighted = DistinctOptions::new(&probs[..6], 2, &[0, 1, 0], Some(&[1.0, 0.0, 2.0])).unwrap();
        assert_eq!(weighted.weights, [3.0]);
        assert!(DistinctOptions::new(&probs, 2, &[0, 1, 0, 2], None).is_err());
    }

    #[test]
    fn the_median_distance_of_confidences() {
        let rows = Distinct::new(&[0.1, 0.2, 0.5], &[0, 0, 1], None, 1).unwrap();
        assert!((rows.median_distance() - 0.3).abs() < 1e-15);
        let constant = Distinct::new(&[0.5, 0.5], &[0, 1], None, 1).unwrap();
        assert_eq!(constant.median_distance(), 1.0);
    }
}
