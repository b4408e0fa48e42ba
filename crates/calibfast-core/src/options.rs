//! Rows of option probabilities or logits: checked, turned into probabilities, and reduced to their top option.
//!
//! What a state's loop inlines from here is compiled for each instruction set: hence every `inline(always)`.
#![allow(clippy::inline_always)]

use crate::error::{Error, Result};
use crate::exp::exp_of;
use crate::float::Float;
use crate::log::log;
use crate::tops::{Room, Tops};
use crate::wide;

/// What the numbers of a row are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Probabilities that sum to one; absent options are 0 and masked.
    #[default]
    Probabilities,
    /// Logits; absent options are `-inf`.
    Logits,
}

/// Rows of options, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a, T> {
    /// `rows * classes` numbers, row by row.
    pub values: &'a [T],
    /// Options in a row, absent ones included.
    pub classes: usize,
    /// What the numbers are.
    pub form: Form,
    /// As long as `values`: which options are present. Everything is where there is no mask.
    pub mask: Option<&'a [bool]>,
}

/// One row, checked, in double precision.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// Probabilities, or the exponentials that are probabilities once divided by `sum`; 0 where an option is absent.
    shares: Vec<f64>,
    sum: f64,
    form: Form,
    /// Index of the largest, the lowest of several.
    pub(crate) top: usize,
    /// Number of options present.
    pub(crate) present: usize,
}

impl Row {
    /// Probability of an option.
    #[inline(always)]
    pub(crate) fn prob(&self, column: usize) -> f64 {
        self.shares[column] / self.sum
    }

    /// What [`Row::prob`] divides by [`Row::sum`].
    pub(crate) fn shares(&self) -> &[f64] {
        &self.shares
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Probabilities of all options.
    pub(crate) fn probs(&self) -> impl Iterator<Item = f64> {
        self.shares.iter().map(|share| share / self.sum)
    }

    /// The probability of the top option.
    #[inline(always)]
    pub(crate) fn confidence(&self) -> f64 {
        self.prob(self.top)
    }

    /// Negative log likelihood of option `column`: from the logit where there is one, so that a probability too
    /// small for a float still has a finite loss.
    pub(crate) fn nll(&self, column: usize, logit_gap: impl FnOnce() -> f64) -> f64 {
        match self.form {
            Form::Logits => log(self.sum) + logit_gap(),
            Form::Probabilities => -log(self.shares[column]),
        }
    }

    /// Brier score of option `label`.
    #[inline(always)]
    pub(crate) fn brier(&self, label: usize) -> f64 {
        const CHUNK: usize = 64;
        let mut lanes = [0.0; LANES];
        let mut squares = [0.0; CHUNK];
        for (chunk, shares) in self.shares.chunks(CHUNK).enumerate() {
            let squares = &mut squares[..shares.len()];
            for (square, share) in squares.iter_mut().zip(shares) {
                let p = share / self.sum;
                *square = p * p;
            }
            if let Some(square) = squares.get_mut(label.wrapping_sub(chunk * CHUNK)) {
                let gap = self.prob(label) - 1.0;
                *square = gap * gap;
            }
            if self.shares.len() < WIDE {
                return sum(squares);
            }
            add(&mut lanes, squares);
        }
        tree(lanes)
    }
}

impl<T: Float> Options<'_, T> {
    /// Number of rows.
    ///
    /// # Errors
    /// [`Error::Length`] where the mask is not as long as the values, or the values are no whole rows;
    /// [`Error::Mismatch`] where there are no classes.
    pub fn rows(&self) -> Result<usize> {
        if self.classes == 0 {
            return Err(Error::Mismatch("predictions need at least one class column, got 0".to_owned()));
        }
        let rows = self.values.len() / self.classes;
        let mask = self.mask.map_or(self.values.len(), <[bool]>::len);
        if !self.values.len().is_multiple_of(self.classes) || mask != self.values.len() {
            return Err(Error::Length { what: "mask", expected: rows, found: mask / self.classes });
        }
        Ok(rows)
    }

    /// The rows of a range.
    pub(crate) fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let range = rows.start * self.classes..rows.end * self.classes;
        Self { values: &self.values[range.clone()], mask: self.mask.map(|mask| &mask[range]), ..*self }
    }

    /// Confidence of every row's top option, and whether it is the label.
    ///
    /// # Errors
    /// The first row at fault; [`Error::Length`] where there is not a label a row.
    pub fn top(&self, labels: &[i64]) -> Result<(Vec<f64>, Vec<u8>)> {
        crate::state::check_lengths(self.rows()?, "labels", labels.len(), None)?;
        let mut tops = Tops::default();
        tops.read(self, labels, &mut Room::default())?;
        Ok((tops.confidence, tops.hit))
    }

    /// Probabilities of all options, row by row: 0 where one is absent.
    ///
    /// # Errors
    /// The first row at fault; [`Error::Length`] where there is not a label a row.
    pub fn probabilities(&self, labels: &[i64]) -> Result<Vec<f64>> {
        crate::state::check_lengths(self.rows()?, "labels", labels.len(), None)?;
        let mut row = Row::default();
        let mut all = Vec::with_capacity(self.values.len());
        for (index, &label) in labels.iter().enumerate() {
            self.read(index, &mut row)?;
            self.check_label(index, label)?;
            all.extend(row.probs());
        }
        Ok(all)
    }

    /// Whether option `column` of `row` is present.
    pub(crate) fn is_present(&self, row: usize, column: usize) -> bool {
        let i = row * self.classes + column;
        self.mask.is_none_or(|mask| mask[i])
            && (self.form == Form::Probabilities || self.values[i].to_f64() != f64::NEG_INFINITY)
    }

    /// Check a row and write it into `to`.
    #[inline(always)]
    pub(crate) fn read(&self, row: usize, to: &mut Row) -> Result<()> {
        let range = row * self.classes..(row + 1) * self.classes;
        let (values, mask) = (&self.values[range.clone()], self.mask.map(|mask| &mask[range]));
        to.shares.resize(self.classes, 0.0);
        let shares = &mut to.shares[..self.classes];
        for (share, value) in shares.iter_mut().zip(values) {
            *share = value.to_f64();
        }
        to.form = self.form;
        (to.top, to.present, to.sum) = match self.form {
            Form::Probabilities => read_probabilities::<T>(row, mask, shares),
            Form::Logits => read_logits::<T>(row, mask, shares),
        }?;
        Ok(())
    }

    /// Check that `label` names an option that is present.
    pub(crate) fn check_label(&self, row: usize, label: i64) -> Result<usize> {
        let column = usize::try_from(label).ok().filter(|&column| column < self.classes);
        let column = column.ok_or(Error::Label { row, label, classes: self.classes })?;
        if self.is_present(row, column) { Ok(column) } else { Err(Error::AbsentLabel { row, label }) }
    }

    /// How far the logit of `column` is below the row's largest.
    pub(crate) fn logit_gap(&self, row: usize, top: usize, column: usize) -> f64 {
        let at = |column: usize| self.values[row * self.classes + column].to_f64();
        at(top) - at(column)
    }
}

/// Options from which a row is worth wide vectors.
pub(crate) const WIDE: usize = 16;

/// Index and value of the largest, the lowest index of several.
#[inline(always)]
fn top(values: &[f64]) -> (usize, f64) {
    if values.len() < WIDE {
        // No branch on where the largest stands, which nothing could predict.
        let larger = |best: (usize, f64), (i, &value)| if value > best.1 { (i, value) } else { best };
        return values.iter().enumerate().fold((0, f64::NEG_INFINITY), larger);
    }
    let max = wide::max(values);
    // A chunk without it has no branch.
    let holds = |chunk: &[f64]| chunk.iter().fold(0, |found, &value| found | u8::from(value == max)) != 0;
    let start = 64 * values.chunks(64).position(holds).unwrap_or(0);
    (start + values[start..].iter().position(|&value| value == max).unwrap_or(0), max)
}

/// How far from one the sum of so many probabilities may be: half a unit for each stored value, and four for the
/// exponential, the division and the sum behind it.
#[inline(always)]
pub(crate) fn tolerance(present: f64, epsilon: f64) -> f64 {
    (present / 2.0 + 4.0) * epsilon
}

/// The sum of a row: in order where there are few options, as vectors run over rows then.
#[inline(always)]
fn sum(values: &[f64]) -> f64 {
    if values.len() < WIDE { values.iter().sum() } else { lane_sum(values) }
}

/// Fixed lanes in which a long row is added up: vectors of any width keep their order.
pub(crate) const LANES: usize = 8;

/// A sum in fixed lanes.
#[inline(always)]
pub(crate) fn lane_sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    add(&mut lanes, values);
    tree(lanes)
}

/// Add values to the lanes, whole rounds of them but for the last.
#[inline(always)]
pub(crate) fn add(lanes: &mut [f64; LANES], values: &[f64]) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += value);
}

/// The sum of all lanes.
#[inline(always)]
pub(crate) fn tree([a, b, c, d, e, f, g, h]: [f64; LANES]) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Check probabilities; index of the largest, number present, and what to divide by.
#[inline(always)]
fn read_probabilities<T: Float>(row: usize, mask: Option<&[bool]>, shares: &[f64]) -> Result<(usize, usize, f64)> {
    // Without a branch for each value; what is wrong is found again where something is.
    if shares.iter().fold(0, |bad, value| bad | u8::from(!(0.0..=1.0).contains(value))) != 0 {
        let (column, value) = first_bad(shares, |value| (0.0..=1.0).contains(&value));
        return Err(Error::Probability { row, column, value });
    }
    let mut present = shares.len();
    if let Some(mask) = mask {
        if let Some(column) = (0..mask.len()).find(|&column| !mask[column] && shares[column] != 0.0) {
            return Err(Error::Masked { row, column, value: shares[column] });
        }
        present = mask.iter().filter(|&&present| present).count();
        if present == 0 {
            return Err(Error::NoOption { row });
        }
    }
    let sum = sum(shares);
    let tolerance = tolerance(present as f64, T::EPSILON);
    if (sum - 1.0).abs() > tolerance {
        return Err(Error::RowSum { row, sum, tolerance, dtype: T::NAME });
    }
    Ok((top(shares).0, present, 1.0))
}

/// Softmax in double precision, whatever the type of the logits: they become exponentials; index of the largest,
/// number present, and what to divide by.
#[inline(always)]
fn read_logits<T: Float>(row: usize, mask: Option<&[bool]>, shares: &mut [f64]) -> Result<(usize, usize, f64)> {
    if shares.iter().fold(0, |bad, &value| bad | u8::from(!is_logit(value))) != 0 {
        let (column, value) = first_bad(shares, is_logit);
        return Err(Error::Logit { row, column, value });
    }
    if let Some(mask) = mask {
        for (share, _) in shares.iter_mut().zip(mask).filter(|(_, present)| !**present) {
            *share = f64::NEG_INFINITY;
        }
    }
    let (index, max) = top(shares);
    if max == f64::NEG_INFINITY {
        return Err(Error::NoOption { row });
    }
    let present = shares.iter().map(|&value| usize::from(value != f64::NEG_INFINITY)).sum();
    for share in &mut *shares {
        *share = exp_of::<T>(*share - max);
    }
    Ok((index, present, sum(shares)))
}

/// Finite or -inf.
#[inline(always)]
fn is_logit(value: f64) -> bool {
    value < f64::INFINITY
}

#[cold]
fn first_bad(values: &[f64], is_sound: impl Fn(f64) -> bool) -> (usize, f64) {
    let column = values.iter().position(|&value| !is_sound(value)).unwrap_or(0);
    (column, values[column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::Edges;
    use crate::state::{Parts, State};

    /// The error of all that reads rows, which is one and the same.
    fn error<T: Float>(options: &Options<T>, labels: &[i64]) -> Error {
        let error = options.probabilities(labels).unwrap_err();
        let mut state = State::new(Edges::equal_width(5).unwrap(), Parts::default());
        for other in [options.top(labels).unwrap_err(), state.update_options(options, labels, None).unwrap_err()] {
            assert_eq!(error.to_string(), other.to_string());
        }
        error
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said_with_its_place() {
        for (classes, rows, row) in [(3, 3, 1), (3, 300, 140), (20, 3, 1)] {
            let (first, last) = (row * classes, row * classes + classes - 1);
            let mut labels = vec![0; rows];
            let mut probs = vec![0.0; rows * classes];
            probs.chunks_mut(classes).for_each(|row| (row[0], row[classes - 1]) = (0.5, 0.5));
            let (column, tolerance) = (classes - 1, (classes as f64 / 2.0 + 4.0) * f64::EPSILON);
            let of = |form, values: &[f64], mask: Option<&[bool]>, labels: &[i64]| {
                let error = error(&Options { values, classes, form, mask }, labels);
                assert_eq!(error.row(), Some(row));
                assert!(error.column().is_none_or(|found| found == column));
                assert_eq!(error.clone().map_row(|row| row + 7).row(), Some(row + 7));
                error
            };
            let probabilities =
                |values: &[f64], mask: Option<&[bool]>, labels: &[i64]| of(Form::Probabilities, values, mask, labels);
            let with = |value: f64| {
                let mut values = probs.clone();
                values[last] = value;
                values
            };
            for value in [-0.5, 1.5, f64::INFINITY] {
                let error = probabilities(&with(value), None, &labels);
                assert_eq!(error, Error::Probability { row, column, value });
                assert_eq!(error.column(), Some(column));
                assert!(error.to_string().contains("outside [0, 1]; if these are logits"), "{error}");
            }
            let mut two = with(1.5);
            two[last - 1] = -0.5;
            let of_two = error(&Options { values: &two, classes, form: Form::Probabilities, mask: None }, &labels);
            assert_eq!(of_two, Error::Probability { row, column: column - 1, value: -0.5 });
            // A negative one in a row whose sum is one.
            for (below, rest) in [(first, last), (last, first)] {
                let mut values = probs.clone();
                (values[below], values[rest], values[first + 1]) = (-0.25, 0.75, 0.5);
                let error =
                    error(&Options { values: &values, classes, form: Form::Probabilities, mask: None }, &labels);
                assert_eq!(error, Error::Probability { row, column: below - first, value: -0.25 });
            }
            two[last - 1..=last].fill(f64::INFINITY);
            let of_two = error(&Options { values: &two, classes, form: Form::Logits, mask: None }, &labels);
            assert_eq!(of_two, Error::Logit { row, column: column - 1, value: f64::INFINITY });
            let error = probabilities(&with(f64::NAN), None, &labels);
            assert!(error.to_string().ends_with("is NaN; drop or repair the row"), "{error}");
            let unlike_one = Error::RowSum { row, sum: 0.75, tolerance, dtype: "float64" };
            assert_eq!(probabilities(&with(0.25), None, &labels), unlike_one);
            let mut mask = vec![true; rows * classes];
            mask[last] = false;
            let masked = Error::Masked { row, column, value: 0.5 };
            assert_eq!(probabilities(&probs, Some(&mask), &labels), masked);
            assert_eq!(masked.column(), Some(column));
            mask[first..=last].fill(false);
            let mut none = probs.clone();
            none[first..=last].fill(0.0);
            assert_eq!(probabilities(&none, Some(&mask), &labels), Error::NoOption { row });

            let logits = |values: &[f64], mask: Option<&[bool]>, labels: &[i64]| of(Form::Logits, values, mask, labels);
            let infinite = logits(&with(f64::INFINITY), None, &labels);
            assert_eq!(infinite, Error::Logit { row, column, value: f64::INFINITY });
            assert_eq!(infinite.column(), Some(column));
            assert_eq!(logits(&probs, Some(&mask), &labels), Error::NoOption { row });
            none[first..=last].fill(f64::NEG_INFINITY);
            assert_eq!(logits(&none, None, &labels), Error::NoOption { row });

            for label in [-1, classes as i64, i64::MAX] {
                labels[row] = label;
                assert_eq!(probabilities(&probs, None, &labels), Error::Label { row, label, classes });
            }
            labels[row] = column as i64;
            mask[first..last].fill(true);
            let mut values = with(0.0);
            values[first] = 1.0;
            let absent = Error::AbsentLabel { row, label: labels[row] };
            assert_eq!(probabilities(&values, Some(&mask), &labels), absent);
            assert_eq!(logits(&probs, Some(&mask), &labels), absent);
            assert_eq!(logits(&with(f64::NEG_INFINITY), None, &labels), absent);
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let of = |values: &[f64], classes, mask: Option<&[bool]>| {
            let options = Options { values, classes, form: Form::Probabilities, mask };
            options.rows()
        };
        assert_eq!(of(&[0.5; 6], 3, None), Ok(2));
        assert_eq!(of(&[0.5; 6], 3, Some(&[true; 6])), Ok(2));
        assert_eq!(of(&[0.5; 6], 3, Some(&[true; 9])), Err(Error::Length { what: "mask", expected: 2, found: 3 }));
        assert!(of(&[0.5; 7], 3, None).is_err() && of(&[0.5; 6], 0, None).is_err());
        let options = Options { values: &[0.5; 6], classes: 2, form: Form::Probabilities, mask: None };
        assert_eq!(error(&options, &[0; 4]), Error::Length { what: "labels", expected: 3, found: 4 });
    }

    /// Half a unit for each option that is present, and four: not a quarter of one more.
    #[test]
    fn sums_are_one_to_within_rounding() {
        let quarter = f32::EPSILON / 4.0;
        for (classes, rows) in [(3, 1), (3, 128), (15, 130), (20, 1)] {
            for absent in [0, 1] {
                let most = (16 + 2 * (classes - absent)) as f32 * quarter;
                for (off, sound) in [(most, true), (-most, true), (most + quarter, false), (-most - quarter, false)] {
                    let mut values = vec![0.0; rows * classes];
                    values.chunks_mut(classes).for_each(|row| (row[1], row[2]) = (0.75, 0.25 + off));
                    let mask: Vec<bool> = (0..rows * classes).map(|i| i % classes >= absent).collect();
                    let options = Options { values: &values, classes, form: Form::Probabilities, mask: Some(&mask) };
                    assert_eq!(options.top(&vec![1; rows]).is_ok(), sound, "{classes} {absent} {off}");
                }
            }
        }
    }

    #[test]
    fn of_many_that_are_as_large_the_first_is_the_top() {
        let mut values = [1.0; 65];
        values[64] = 0.0;
        let options = Options { values: &values, classes: 65, form: Form::Logits, mask: Some(&[true; 65]) };
        assert_eq!(options.top(&[0]).unwrap().1, [1]);
    }

    #[test]
    fn probabilities_tops_and_scores_are_those_of_the_definition() {
        for classes in [1, 2, 7, 15, 16, 17, 64, 65, 130] {
            let rows = 150;
            let logits: Vec<f64> = (0..rows * classes).map(|i| (i * i % 97) as f64 / 7.0).collect();
            let mask: Vec<bool> = (0..rows * classes).map(|i| i % 5 != 3 || i % classes == 0).collect();
            // The first option, the last, or the first of the largest.
            let label = |row: usize| match row % 3 {
                0 => 0,
                1 => classes - 1,
                _ => {
                    let present = (row * classes..(row + 1) * classes).filter(|&i| mask[i]);
                    present.reduce(|best, i| if logits[i] > logits[best] { i } else { best }).unwrap() % classes
                }
            };
            let labels: Vec<i64> = (0..rows).map(|row| label(row) as i64).collect();
            let mask: Vec<bool> =
                (0..rows * classes).map(|i| mask[i] || (i % classes) as i64 == labels[i / classes]).collect();
            let options = Options { values: &logits, classes, form: Form::Logits, mask: Some(&mask) };
            let found = options.probabilities(&labels).unwrap();
            let (confidence, hit) = options.top(&labels).unwrap();
            let mut state = State::new(Edges::equal_width(5).unwrap(), Parts { scores: true, ..Parts::default() });
            state.update_options(&options, &labels, None).unwrap();
            let (mut brier, mut nll) = (0.0, 0.0);
            for row in 0..rows {
                let range = row * classes..(row + 1) * classes;
                let (logits, mask) = (&logits[range.clone()], &mask[range.clone()]);
                let present = || (0..classes).filter(|&k| mask[k]);
                let sum: f64 = present().map(|k| logits[k].exp()).sum();
                for (k, p) in found[range].iter().enumerate() {
                    let expected = if mask[k] { logits[k].exp() / sum } else { 0.0 };
                    assert!((p - expected).abs() <= 1e-14);
                    brier += (expected - f64::from(u8::from(k as i64 == labels[row]))).powi(2);
                }
                nll -= (logits[labels[row] as usize].exp() / sum).ln();
                let top = present().reduce(|best, k| if logits[k] > logits[best] { k } else { best }).unwrap();
                assert!((confidence[row] - logits[top].exp() / sum).abs() <= 1e-14);
                assert_eq!(hit[row] == 1, top as i64 == labels[row]);
            }
            let means = state.summary().unwrap().scores.unwrap();
            assert!(
                (means.brier - brier / rows as f64).abs() <= 1e-12 && (means.nll - nll / rows as f64).abs() <= 1e-12
            );
        }
    }
}
