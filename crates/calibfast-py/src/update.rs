//! Rows of arrays into a state, in blocks and on several threads.

use std::borrow::Cow;
use std::ops::Range;

use calibfast_core::{Error, Form, Options, Result, State, parallel};
use numpy::ndarray::{ArrayView2, s};
use pyo3::prelude::*;

use crate::arrays::{Element, NumbersView, chosen_rows, rows};
use crate::door::detached_rows;

/// Numbers of a block that has to be gathered: its buffers stay in the second-level cache.
const BLOCK: usize = 1 << 15;
/// Rows that are worth a merge of many classes, and numbers that may be gathered for them.
const ROWS: usize = 1 << 12;
const GATHERED: usize = 1 << 22;
/// Numbers that are worth a thread.
const WORTH_A_THREAD: usize = 1 << 18;

/// What a call brings.
pub(crate) struct Rows<'a, E> {
    /// (N, 1) confidences or (N, K) options.
    pub(crate) values: ArrayView2<'a, E>,
    /// `None` for confidences.
    pub(crate) form: Option<Form>,
    pub(crate) labels: NumbersView<'a>,
    pub(crate) weights: Option<NumbersView<'a>>,
    pub(crate) mask: Option<ArrayView2<'a, bool>>,
    pub(crate) ignore_index: Option<i64>,
}

impl<E: Element> Rows<'_, E> {
    /// All rows into a fresh state.
    pub(crate) fn reduce(&self, py: Python<'_>, fresh: &State, threads: usize) -> PyResult<State> {
        let width = self.values.ncols();
        let mut state = fresh.fresh();
        let check = |what, found: usize| {
            let expected = self.values.nrows();
            if found == expected { Ok(()) } else { Err(Error::Length { what, expected, found }) }
        };
        let lengths = check(if self.form.is_some() { "labels" } else { "correct" }, self.labels.len())
            .and(self.weights.as_ref().map_or(Ok(()), |weights| check("weights", weights.len())));
        lengths.map_err(|error| crate::errors::exception(py, &error))?;
        detached_rows(py, self.values.nrows(), width, |stretch| {
            let start = stretch.start;
            let parts = parallel::map(stretch.len(), threads, WORTH_A_THREAD / width.max(1), |range| {
                let mut part = fresh.fresh();
                self.add(start + range.start..start + range.end, &mut part)?;
                Ok(part)
            })?;
            parts.iter().try_for_each(|part| state.merge(part))
        })?;
        Ok(state)
    }

    fn add(&self, range: Range<usize>, state: &mut State) -> Result<()> {
        if let Some(done) = self.add_whole(range.clone(), state) {
            return done.map_err(|error| error.map_row(|row| range.start + row));
        }
        let width = self.values.ncols().max(1);
        let gathers = self.ignore_index.is_some() || self.values.as_slice().is_none();
        let size = (BLOCK / width).max(if gathers { ROWS.min(GATHERED / width).max(1) } else { ROWS });
        for start in range.clone().step_by(size) {
            self.add_block(start..range.end.min(start + size), state)?;
        }
        Ok(())
    }

    /// Confidences that need no gathering go in as they lie in memory.
    fn add_whole(&self, range: Range<usize>, state: &mut State) -> Option<Result<()>> {
        if self.form.is_some() || self.weights.is_some() || self.ignore_index.is_some() {
            return None;
        }
        let correct = self.labels.bytes(range.clone())?;
        let values = E::floats(&self.values.as_slice()?[range]);
        Some(state.update_confidences(values, correct, None))
    }

    fn add_block(&self, range: Range<usize>, state: &mut State) -> Result<()> {
        let start = range.start;
        if self.form.is_none() && self.ignore_index.is_none() {
            let weights = self.weights.as_ref().map(|weights| weights.doubles(range.clone()));
            let values = rows(&self.values, range.clone());
            let add =
                |correct: Cow<'_, [u8]>| state.update_confidences(E::floats(&values), &correct, weights.as_deref());
            return self.labels.correct(range.clone()).and_then(add).map_err(|error| error.map_row(|row| start + row));
        }
        let mut labels = self.labels.integers(range.clone());
        let mut weights = self.weights.as_ref().map(|weights| weights.doubles(range.clone()));
        let kept: Option<Vec<usize>> =
            self.ignore_index.map(|ignored| (0..labels.len()).filter(|&row| labels[row] != ignored).collect());
        let values = match &kept {
            None => rows(&self.values, range.clone()),
            Some(kept) => {
                state.ignore((labels.len() - kept.len()) as u64);
                labels = kept.iter().map(|&row| labels[row]).collect::<Vec<_>>().into();
                weights = weights.map(|weights| kept.iter().map(|&row| weights[row]).collect());
                chosen_rows(&self.values.slice(s![start.., ..]), kept).into()
            }
        };
        let values = E::floats(&values);
        let absolute = |row: usize| start + kept.as_ref().map_or(row, |kept| kept[row]);
        let Some(form) = self.form else {
            let correct: Result<Vec<u8>> = labels.iter().enumerate().map(|(row, &label)| bit(row, label)).collect();
            return correct
                .and_then(|correct| state.update_confidences(values, &correct, weights.as_deref()))
                .map_err(|error| error.map_row(absolute));
        };
        let mask = self.mask.map(|mask| match &kept {
            None => rows(&mask, range),
            Some(kept) => chosen_rows(&mask.slice(s![start.., ..]), kept).into(),
        });
        let options = Options { values, classes: self.values.ncols(), form, mask: mask.as_deref() };
        state.update_options(&options, &labels, weights.as_deref()).map_err(|error| error.map_row(absolute))
    }
}

fn bit(row: usize, label: i64) -> Result<u8> {
    u8::try_from(label).ok().filter(|&label| label < 2).ok_or(Error::Correct { row, value: label as f64 })
}
