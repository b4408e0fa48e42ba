//! Proper scores and what the constant predictor would score, as exact sums over rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bins::{Cell, Cells, Total};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::log::log;
use crate::options::Row;
use crate::patterns::Counted;
use crate::simd;
use crate::sum::{ExactSum, GRID_BITS, GridSum, to_grid, to_units};
use crate::tops::{RowScores, Tops};
use crate::windows::{Products, Windows};
use pulp::{Simd, WithSimd};

/// Sums of scores. A row's score is computed in double precision in a fixed order and rounded to the nearest multiple of
/// 2^-53; the sums round nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    brier: ExactSum,
    confidence_brier: ExactSum,
    nll: ExactSum,
    /// Rows whose outcome was given probability zero: each makes the NLL infinite.
    impossible: u64,
    /// Rows by their number of options; 0 stands for confidences without options.
    by_options: BTreeMap<usize, Cells>,
}

/// Mean scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanScores {
    /// Mean over rows of `sum_k (p_k - y_k)^2`, or of `(confidence - correct)^2` where confidences are all there is.
    pub brier: f64,
    /// Mean of `(confidence - correct)^2`.
    pub confidence_brier: f64,
    /// Mean of `-ln p(label)`, or of the binary log loss where confidences are all there is.
    pub nll: f64,
}

impl Scores {
    /// Rows of confidence alone.
    pub(crate) fn insert_confidences<T: Float>(&mut self, confidence: &[T], correct: &[u8], weights: Option<&[f64]>) {
        let mut buffer = Vec::new();
        let confidence = T::widen(confidence, &mut buffer);
        let Some(weights) = weights else {
            let sums = simd::dispatch(Confidences { confidence, correct });
            self.brier.add_grid(sums.brier);
            self.confidence_brier.add_grid(sums.brier);
            self.nll.add_grid(sums.nll);
            self.impossible += sums.impossible;
            return;
        };
        let windows = Windows::of(weights);
        let mut sums = vec![[Products::default(); 2]; windows.count];
        for ((p, &hit), &weight) in confidence.iter().zip(correct).zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let (brier, nll) = self.on_grid(p.to_f64(), hit, 1);
            let (window, weight) = windows.place(weight);
            sums[window][0].add(weight, brier);
            sums[window][1].add(weight, nll);
        }
        for (window, [brier, nll]) in sums.into_iter().enumerate() {
            let exponent = windows.exponent(window) - GRID_BITS;
            brier.add_to(&mut self.brier, exponent);
            brier.add_to(&mut self.confidence_brier, exponent);
            nll.add_to(&mut self.nll, exponent);
        }
    }

    /// Rows of confidence alone, many of a kind at once.
    pub(crate) fn insert_counted(&mut self, counted: &[Counted]) {
        let (mut brier, mut nll) = (Products::default(), Products::default());
        for &Counted { confidence, hit, rows } in counted {
            let units = self.on_grid(confidence, hit, rows);
            brier.add(rows, units.0);
            nll.add(rows, units.1);
        }
        brier.add_to(&mut self.brier, -GRID_BITS);
        brier.add_to(&mut self.confidence_brier, -GRID_BITS);
        nll.add_to(&mut self.nll, -GRID_BITS);
    }

    /// Brier score and NLL of a confidence in units of the grid; `rows` that are impossible are noted.
    fn on_grid(&mut self, confidence: f64, hit: u8, rows: u64) -> (u64, u64) {
        let (brier, nll) = of_confidence(confidence, hit);
        let impossible = nll == f64::INFINITY;
        self.impossible += if impossible { rows } else { 0 };
        (to_units(brier), if impossible { 0 } else { to_units(nll) })
    }

    /// What the base rate needs of the rows of confidence alone: they are those in `cells`.
    pub(crate) fn count_confidences(&mut self, cells: &Cells) {
        self.by_options.insert(0, cells.pooled());
    }

    /// One row of options.
    pub(crate) fn insert_options(&mut self, row: &Row, label: usize, nll: f64, weight: Option<f64>) {
        let hit = row.top == label;
        self.insert(row.brier(label), square_gap(row.confidence(), hit.into()), nll, weight);
        self.count(row.present, row.confidence(), hit, weight);
    }

    /// Rows of options; `weights` is empty where there are none.
    pub(crate) fn insert_rows(&mut self, tops: &Tops, scores: &RowScores, weights: &[f64]) {
        let (confidence, hit) = (&tops.confidence, &tops.hit);
        if weights.is_empty() {
            let most = scores.present.iter().max().map_or(0, |&most| most + 1);
            let mut by_options = vec![Cell::default(); most];
            for (row, &options) in scores.present.iter().enumerate() {
                by_options[options].insert(confidence[row], hit[row] == 1);
            }
            for (options, cell) in by_options.into_iter().enumerate().filter(|(_, cell)| cell.count > 0) {
                let cells = self.by_options.entry(options).or_insert_with(|| Cells::new(1, false));
                cells.merge(&Cells::Plain(vec![cell]));
            }
            let sums = simd::dispatch(Rows { confidence, hit, scores });
            self.brier.add_grid(sums.brier);
            self.confidence_brier.add_grid(sums.confidence_brier);
            self.nll.add_grid(sums.nll);
            self.impossible += sums.impossible;
            if sums.large {
                let large = scores.nll.iter().filter(|nll| nll.is_finite() && **nll >= GridSum::LIMIT);
                large.for_each(|&nll| self.nll.add_f64(nll));
            }
            return;
        }
        for (row, &weight) in weights.iter().enumerate() {
            let confidence_brier = square_gap(confidence[row], hit[row]);
            self.insert(scores.brier[row], confidence_brier, scores.nll[row], Some(weight));
            self.count(scores.present[row], confidence[row], hit[row] == 1, Some(weight));
        }
    }

    fn insert(&mut self, brier: f64, confidence_brier: f64, nll: f64, weight: Option<f64>) {
        if weight == Some(0.0) {
            return;
        }
        let finite = if nll.is_finite() { nll } else { 0.0 };
        self.impossible += u64::from(!nll.is_finite());
        for (sum, score) in
            [(&mut self.brier, brier), (&mut self.confidence_brier, confidence_brier), (&mut self.nll, finite)]
        {
            match weight {
                None => sum.add_f64(to_grid(score)),
                Some(weight) => sum.add_product(weight, to_grid(score)),
            }
        }
    }

    fn count(&mut self, options: usize, confidence: f64, hit: bool, weight: Option<f64>) {
        self.by_options
            .entry(options)
            .or_insert_with(|| Cells::new(1, weight.is_some()))
            .insert(0, confidence, hit, weight);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.brier.merge(&other.brier);
        self.confidence_brier.merge(&other.confidence_brier);
        self.nll.merge(&other.nll);
        self.impossible += other.impossible;
        for (&options, cells) in &other.by_options {
            self.by_options.entry(options).and_modify(|mine| mine.merge(cells)).or_insert_with(|| cells.clone());
        }
    }

    /// The means over rows of total weight `weight`.
    #[must_use]
    pub fn means(&self, weight: f64) -> MeanScores {
        MeanScores {
            brier: self.brier.to_f64() / weight,
            confidence_brier: self.confidence_brier.to_f64() / weight,
            nll: if self.impossible > 0 { f64::INFINITY } else { self.nll.to_f64() / weight },
        }
    }

    /// Brier score and NLL of the constant predictor: the same predicted options, each always with the observed
    /// accuracy as its confidence, and the rest shared evenly by a row's other options.
    #[must_use]
    pub fn base_rate(&self) -> (f64, f64) {
        let totals: Vec<(usize, Total)> =
            self.by_options.iter().map(|(&options, cells)| (options, cells.totals()[0])).collect();
        let all: Total = totals.iter().map(|&(_, total)| total).sum();
        let a = all.accuracy();
        let loss = |p: f64, weight: f64| {
            if weight == 0.0 { 0.0 } else { -weight * libm::log(p) }
        };
        let (mut brier, mut nll) = (0.0, 0.0);
        for (options, total) in totals {
            let (hits, misses) = (total.hits, total.weight - total.hits);
            match options {
                0 => {
                    brier += hits * (1.0 - a) * (1.0 - a) + misses * a * a;
                    nll += loss(a, hits) + loss(1.0 - a, misses);
                }
                1 => {} // a single option has probability one
                _ => {
                    let others = (options - 1) as f64;
                    let rest = (1.0 - a) / others;
                    brier += hits * ((1.0 - a) * (1.0 - a) + others * rest * rest)
                        + misses * (a * a + (1.0 - rest) * (1.0 - rest) + (others - 1.0) * rest * rest);
                    nll += loss(a, hits) + loss(rest, misses);
                }
            }
        }
        (brier / all.weight, nll / all.weight)
    }

    /// Rows seen.
    pub(crate) fn rows(&self) -> u128 {
        self.by_options.values().flat_map(|cells| cells.rows(1)).sum()
    }

    pub(crate) fn check(&self) -> Result<()> {
        let possible = u128::from(self.impossible) <= self.rows();
        if possible && self.by_options.values().all(|cells| cells.len() == 1) {
            return self.by_options.values().try_for_each(Cells::check);
        }
        Err(Error::State("the state's scores contradict themselves: it is damaged".to_owned()))
    }
}

/// Brier score and NLL of a confidence. 1 - p is rounded to a double first, which moves no NLL by more than the grid does.
#[inline(always)]
#[allow(clippy::inline_always)] // into a loop that is compiled for each instruction set
fn of_confidence(p: f64, hit: u8) -> (f64, f64) {
    (square_gap(p, hit), -log((p - (1.0 - f64::from(hit))).abs()))
}

#[inline(always)]
#[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
fn square_gap(p: f64, hit: u8) -> f64 {
    let gap = p - f64::from(hit);
    gap * gap
}

/// The loop over rows of confidence, which pulp compiles for every instruction set.
struct Confidences<'a, T> {
    confidence: &'a [T],
    correct: &'a [u8],
}

#[derive(Default)]
struct Sums {
    brier: GridSum,
    confidence_brier: GridSum,
    nll: GridSum,
    impossible: u64,
    /// Whether an NLL is beyond the grid.
    large: bool,
}

/// The loop over scores of rows of options.
struct Rows<'a> {
    confidence: &'a [f64],
    hit: &'a [u8],
    scores: &'a RowScores,
}

impl WithSimd for Rows<'_> {
    type Output = Sums;

    #[inline(always)]
    #[allow(clippy::inline_always)] // what is inlined here is compiled for each instruction set
    fn with_simd<S: Simd>(self, _: S) -> Sums {
        let mut sums = Sums::default();
        for (&p, &hit) in self.confidence.iter().zip(self.hit) {
            sums.confidence_brier.add(square_gap(p, hit));
        }
        for (&brier, &nll) in self.scores.brier.iter().zip(&self.scores.nll) {
            sums.brier.add(brier);
            let small = nll < GridSum::LIMIT;
            sums.nll.add(if small { nll } else { 0.0 });
            sums.large |= !small;
            sums.impossible += u64::from(nll == f64::INFINITY);
        }
        sums
    }
}

impl<T: Float> WithSimd for Confidences<'_, T> {
    type Output = Sums;

    #[inline(always)]
    #[allow(clippy::inline_always)] // what is inlined here is compiled for each instruction set
    fn with_simd<S: Simd>(self, _: S) -> Sums {
        let mut sums = Sums::default();
        for (p, &hit) in self.confidence.iter().zip(self.correct) {
            let (brier, nll) = of_confidence(p.to_f64(), hit);
            let impossible = nll == f64::INFINITY;
            sums.brier.add(brier);
            sums.nll.add(if impossible { 0.0 } else { nll });
            sums.impossible += u64::from(impossible);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edges::Edges;
    use crate::options::{Form, Options};
    use crate::state::{Parts, State};

    const LABELS: [i64; 5] = [0, 1, 2, 0, 0];
    const HITS: [u8; 5] = [1, 0, 0, 1, 1];

    fn fresh() -> State {
        State::new(Edges::equal_width(2).unwrap(), Parts { scores: true, ..Parts::default() })
    }

    /// Accuracy and base rate of the rows, the first option of which says most.
    fn base_rate(weights: Option<&[f64]>, options: bool) -> (f64, (f64, f64)) {
        let mut state = fresh();
        if options {
            let values = [0.5, 0.3, 0.2].repeat(5);
            let options = Options { values: &values, classes: 3, form: Form::Probabilities, mask: None };
            state.update_options(&options, &LABELS, weights).unwrap();
        } else {
            state.update_confidences(&[0.5; 5], &HITS, weights).unwrap();
        }
        let summary = state.summary().unwrap();
        (summary.total.accuracy(), summary.base_rate.unwrap())
    }

    #[test]
    fn the_base_rate_is_that_of_a_constant() {
        for (weights, accuracy) in [(None, 0.6), (Some([1.0, 2.0, 1.0, 4.0, 0.0].as_slice()), 0.625)] {
            for options in [false, true] {
                let (a, (brier, nll)) = base_rate(weights, options);
                // What is left goes to one other outcome, or to two.
                let (rest, others) = if options { ((1.0 - a) / 2.0, 2.0) } else { (1.0 - a, 1.0) };
                let right = (1.0 - a).powi(2) + if options { others * rest * rest } else { 0.0 };
                let wrong = a * a + if options { (1.0 - rest).powi(2) + rest * rest } else { 0.0 };
                assert_eq!(a, accuracy);
                assert!((brier - (a * right + (1.0 - a) * wrong)).abs() < 1e-12);
                assert!((nll + a * a.ln() + (1.0 - a) * rest.ln()).abs() < 1e-12);
            }
        }
        let mut right = fresh();
        right.update_confidences(&[0.5; 3], &[1; 3], None).unwrap();
        assert_eq!(right.summary().unwrap().base_rate, Some((0.0, 0.0)));
    }

    #[test]
    fn what_was_impossible_makes_the_loss_infinite_wherever_it_has_weight() {
        let mut sound = fresh();
        sound.update_confidences(&[0.5, 1.0], &[1, 0], Some(&[1.0, 0.0])).unwrap();
        assert_eq!(sound.summary().unwrap().scores.unwrap().nll, std::f64::consts::LN_2);
        let mut impossible = fresh();
        impossible.update_confidences(&[1.0], &[0], None).unwrap();
        sound.merge(&impossible).unwrap();
        assert_eq!(sound.summary().unwrap().scores.unwrap().nll, f64::INFINITY);
    }

    #[test]
    fn losses_beyond_the_grid_count_in_full() {
        for far in [[1024.0, 1024.0], [1024.0, 2000.0], [3.0, 2000.0], [2000.0, 2000.0]] {
            let mut state = fresh();
            let values = [0.0, -far[0], 0.0, -far[1]];
            let options = Options { values: &values, classes: 2, form: Form::Logits, mask: None };
            state.update_options(&options, &[1, 1], None).unwrap();
            let found = state.summary().unwrap().scores.unwrap().nll;
            let expected = far.iter().map(|far| far + libm::log1p(libm::exp(-far))).sum::<f64>() / 2.0;
            assert!((found - expected).abs() <= 1e-12);
        }
    }

    proptest! {
        #[test]
        fn the_vector_loop_sums_as_the_plain_one(
            rows in prop::collection::vec(
                (prop_oneof![0.0..=1.0_f64, prop::sample::select(vec![0.0, -0.0, 1.0, 5e-324, 1e-300, 1e-17, 1.0 - 1e-16])], 0..2_u8),
                0..300,
            ),
        ) {
            fn check<T: Float>(p: &[T], y: &[u8]) -> std::result::Result<(), TestCaseError> {
                let (mut vector, mut plain) = (Scores::default(), Scores::default());
                vector.insert_confidences(p, y, None);
                for (p, &hit) in p.iter().zip(y) {
                    let (brier, nll) = of_confidence(p.to_f64(), hit);
                    plain.insert(brier, brier, nll, None);
                }
                prop_assert_eq!(vector, plain);
                Ok(())
            }
            let (p, y): (Vec<f64>, Vec<u8>) = rows.into_iter().unzip();
            check(&p, &y)?;
            check(&p.iter().map(|&p| p as f32).collect::<Vec<_>>(), &y)?;
        }
    }

    #[test]
    fn losses_are_those_of_the_definition() {
        for p in [5e-324, 1e-300, 1e-17, 1e-9, 0.3, 0.5, 0.999_999, 1.0 - f64::EPSILON] {
            let miss = of_confidence(p, 0);
            assert_eq!(of_confidence(p, 1), ((p - 1.0) * (p - 1.0), -libm::log(p)));
            assert_eq!(miss.0, p * p);
            assert!((miss.1 + libm::log1p(-p)).abs() <= 2.0_f64.powi(-53));
        }
        assert_eq!(of_confidence(0.0, 1).1, f64::INFINITY);
        assert_eq!(of_confidence(1.0, 0).1, f64::INFINITY);
    }
}
