//! The state of a measurement: of a size that rows do not change, exact, and the same for every way to the same rows.

use serde::{Deserialize, Serialize};

use crate::bins::{Cells, Total};
use crate::classwise::Classwise;
use crate::edges::{Edges, Lookup};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::metrics::Norm;
use crate::options::{Form, Options, Row};
use crate::scores::Scores;
use crate::tops::{Room, RowScores, Tops};
use crate::{classwise, confidence, patterns};

/// Rows that a state can count.
pub(crate) const MAX_ROWS: u128 = i64::MAX as u128;

/// Rows of confidence that go through all loops before the next: they stay in the second-level cache.
const CHUNK: usize = 1 << 17;

/// What a state keeps beside the bins of the predicted option's confidence, and how its gaps are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Bins for every class against the rest.
    pub classwise: bool,
    /// Brier score and NLL.
    pub scores: bool,
    /// How the gaps of bins become the one number of [`State::error`].
    pub norm: Norm,
}

/// Bins, and what else was asked for, of all rows seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub(crate) edges: Edges,
    pub(crate) parts: Parts,
    /// Number of classes; 0 where confidences are all there is; unknown before the first row.
    pub(crate) classes: Option<usize>,
    pub(crate) confidence: Cells,
    pub(crate) classwise: Option<Cells>,
    pub(crate) scores: Option<Scores>,
    pub(crate) ignored: u64,
}

impl State {
    /// An empty state.
    #[must_use]
    pub fn new(edges: Edges, parts: Parts) -> Self {
        Self {
            confidence: Cells::new(edges.bins(), false),
            edges,
            parts,
            classes: None,
            classwise: parts.classwise.then(|| Cells::new(0, false)),
            scores: parts.scores.then(Scores::default),
            ignored: 0,
        }
    }

    /// An empty state with the same bins and parts.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::new(self.edges.clone(), self.parts)
    }

    /// What the state keeps.
    #[must_use]
    pub fn parts(&self) -> Parts {
        self.parts
    }

    /// The bins' edges.
    #[must_use]
    pub fn edges(&self) -> &Edges {
        &self.edges
    }

    /// Number of classes, where options have been seen.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        self.classes.filter(|&classes| classes > 0)
    }

    /// Rows seen.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.total().count
    }

    /// Rows left out on request.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Note `rows` rows that the caller left out on request.
    pub fn ignore(&mut self, rows: u64) {
        self.ignored += rows;
    }

    /// The bins of the predicted option's confidence.
    #[must_use]
    pub fn bins(&self) -> Vec<Total> {
        self.confidence.totals()
    }

    /// All bins together.
    #[must_use]
    pub fn total(&self) -> Total {
        self.bins().into_iter().sum()
    }

    /// Add rows of confidence and correctness (0 or 1).
    ///
    /// # Errors
    /// The first row at fault; the state is then as it was.
    pub fn update_confidences<T: Float>(
        &mut self,
        confidence: &[T],
        correct: &[u8],
        weights: Option<&[f64]>,
    ) -> Result<()> {
        check_lengths(confidence.len(), "correct", correct.len(), weights)?;
        let weights = weights.filter(|weights| !weights.is_empty()); // no rows have no weights
        if self.classwise.is_some() {
            return Err(Error::Mismatch(
                "class-wise calibration needs (N, K) probabilities and labels, not confidences alone".to_owned(),
            ));
        }
        let mut add = self.fresh_for(0, weights.is_some());
        let lookup = self.edges.lookup::<T>();
        if weights.is_none()
            && let Some(counted) = patterns::count(confidence, correct)
        {
            add.confidence = confidence::bins_of_counted(&lookup, &counted);
            if let Some(scores) = &mut add.scores {
                scores.insert_counted(&counted);
                scores.count_confidences(&add.confidence);
            }
            return self.merge(&add);
        }
        for start in (0..confidence.len()).step_by(CHUNK) {
            let rows = start..confidence.len().min(start + CHUNK);
            let (confidence, correct) = (&confidence[rows.clone()], &correct[rows.clone()]);
            let weights = weights.map(|weights| &weights[rows]);
            confidence::insert(&mut add.confidence, &lookup, confidence, correct, weights.unwrap_or_default())
                .map_err(|error| error.map_row(|row| start + row))?;
            if let Some(scores) = &mut add.scores {
                scores.insert_confidences(confidence, correct, weights);
            }
        }
        if let Some(scores) = &mut add.scores
            && !confidence.is_empty()
        {
            scores.count_confidences(&add.confidence);
        }
        self.merge(&add)
    }

    /// Add rows of options and the labels of their right ones.
    ///
    /// # Errors
    /// The first row at fault; the state is then as it was.
    pub fn update_options<T: Float>(
        &mut self,
        options: &Options<T>,
        labels: &[i64],
        weights: Option<&[f64]>,
    ) -> Result<()> {
        let rows = options.rows()?;
        check_lengths(rows, "labels", labels.len(), weights)?;
        let weights = weights.filter(|weights| !weights.is_empty());
        let mut add = self.fresh_for(options.classes, weights.is_some());
        let lookup = self.edges.lookup::<T>();
        // Probabilities that a softmax computes here are doubles, whatever the logits were.
        let softmax_lookup = (options.form == Form::Logits).then(|| self.edges.lookup::<f64>());
        let lookup = softmax_lookup.as_ref().unwrap_or(&lookup);
        if self.classwise.is_none() || weights.is_none() && Classwise::fits(lookup) {
            add.insert_options(options, labels, weights.unwrap_or_default(), lookup)?;
        } else {
            add.insert_plain(options, labels, weights, lookup)?;
        }
        self.merge(&add)
    }

    pub(crate) fn insert_options<T: Float>(
        &mut self,
        options: &Options<T>,
        labels: &[i64],
        weights: &[f64],
        lookup: &Lookup,
    ) -> Result<()> {
        /// Rows at a time: what is known of them stays in the first-level cache.
        const ROWS: usize = 2048;
        let Self { confidence: cells, classwise, scores, .. } = self;
        let mut tops = Tops { scores: scores.as_ref().map(|_| RowScores::default()), ..Tops::default() };
        if let Some(Cells::Plain(cells)) = classwise {
            tops.classwise = Some(Classwise::new(cells, lookup));
        }
        let mut room = Room::default();
        for (start, labels) in (0..).step_by(ROWS).zip(labels.chunks(ROWS)) {
            let rows = start..start + labels.len();
            let weights = if weights.is_empty() { weights } else { &weights[rows.clone()] };
            let inserted = tops.read(&options.slice(rows), labels, &mut room).and_then(|()| {
                let Tops { confidence, hit, .. } = &tops;
                match options.form {
                    Form::Logits => confidence::insert(cells, lookup, confidence, hit, weights),
                    Form::Probabilities => {
                        let confidence: Vec<T> = confidence.iter().map(|&p| T::nearest(p)).collect();
                        confidence::insert(cells, lookup, &confidence, hit, weights)
                    }
                }
            });
            inserted.map_err(|error| error.map_row(|row| start + row))?;
            if let (Some(scores), Some(rows)) = (&mut *scores, &tops.scores) {
                scores.insert_rows(&tops, rows, weights);
            }
            tops.clear();
        }
        if let Some(classwise) = &mut tops.classwise {
            classwise.flush();
        }
        Ok(())
    }

    /// The plain loop, which every kernel must equal.
    pub(crate) fn insert_plain<T: Float>(
        &mut self,
        options: &Options<T>,
        labels: &[i64],
        weights: Option<&[f64]>,
        lookup: &Lookup,
    ) -> Result<()> {
        let mut row = Row::default();
        for (index, &label) in labels.iter().enumerate() {
            options.read(index, &mut row)?;
            let label = options.check_label(index, label)?;
            let weight = weights.map(|weights| weights[index]);
            let confidence = row.confidence();
            self.confidence.insert(lookup.bin(confidence), confidence, row.top == label, weight);
            if let Some(cells) = &mut self.classwise {
                let whole = row.present == options.classes;
                let is_present = |class| whole || options.is_present(index, class);
                classwise::insert(cells, lookup, &row, is_present, label, weight);
            }
            if let Some(scores) = &mut self.scores {
                let nll = row.nll(label, || options.logit_gap(index, row.top, label));
                scores.insert_options(&row, label, nll, weight);
            }
        }
        Ok(())
    }

    /// Add all that another state has seen.
    ///
    /// # Errors
    /// [`Error::State`] where the two differ in bins or in parts, or have seen more than 2^63 rows together,
    /// [`Error::Mismatch`] where they differ in classes; the state is then as it was.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.edges != other.edges {
            return Err(Error::State(format!(
                "states with different bins do not merge: {} bins here, {} there",
                self.edges.bins(),
                other.edges.bins()
            )));
        }
        if self.parts != other.parts {
            return Err(Error::State("states of different metrics do not merge".to_owned()));
        }
        if self.counted() + other.counted() > MAX_ROWS {
            return Err(Error::State("together the states have seen more than 2^63 rows".to_owned()));
        }
        match (self.classes, other.classes) {
            (Some(mine), Some(theirs)) if mine != theirs => {
                let say = |classes| {
                    if classes == 0 { "confidences alone".to_owned() } else { format!("{classes} classes") }
                };
                return Err(Error::Mismatch(format!(
                    "{} do not go with {}; pad absent options with -inf logits, or with 0 and a mask",
                    say(theirs),
                    say(mine)
                )));
            }
            (None, theirs) => self.classes = theirs,
            _ => {}
        }
        self.ignored += other.ignored;
        self.confidence.merge(&other.confidence);
        if let (Some(mine), Some(theirs)) = (&mut self.classwise, &other.classwise) {
            if mine.is_empty() {
                *mine = theirs.clone();
            } else if !theirs.is_empty() {
                mine.merge(theirs);
            }
        }
        if let (Some(mine), Some(theirs)) = (&mut self.scores, &other.scores) {
            mine.merge(theirs);
        }
        Ok(())
    }

    pub(crate) fn fresh_for(&self, classes: usize, weighted: bool) -> Self {
        let mut state = self.fresh();
        state.classes = Some(classes);
        state.confidence = Cells::new(self.edges.bins(), weighted);
        if let Some(cells) = &mut state.classwise {
            *cells = Cells::new(self.edges.bins() * classes, weighted);
        }
        state
    }

    /// Rows seen and rows left out.
    fn counted(&self) -> u128 {
        self.confidence.rows(self.edges.bins())[0] + u128::from(self.ignored)
    }

    /// Whether the parts can belong together.
    pub(crate) fn check(&self) -> Result<()> {
        let classes = self.classes.unwrap_or(0);
        let parts = self.parts.classwise == self.classwise.is_some() && self.parts.scores == self.scores.is_some();
        let sizes = parts
            && self.confidence.len() == self.edges.bins()
            && self.classwise.as_ref().is_none_or(|cells| cells.len() == self.edges.bins().saturating_mul(classes));
        if !sizes {
            return Err(Error::State("the state's parts do not fit together: it is damaged".to_owned()));
        }
        // No part has seen more rows than the bins have, so that none overflows before they do.
        let bins = self.edges.bins();
        let rows = self.confidence.rows(bins)[0];
        let counts = self.counted() <= MAX_ROWS
            && self.classwise.as_ref().is_none_or(|cells| cells.rows(bins).into_iter().all(|class| class <= rows))
            && self.scores.as_ref().is_none_or(|scores| scores.rows() == rows);
        if !counts {
            return Err(Error::State("the state's counts contradict themselves: it is damaged".to_owned()));
        }
        self.confidence.check()?;
        self.classwise.as_ref().map_or(Ok(()), Cells::check)?;
        self.scores.as_ref().map_or(Ok(()), Scores::check)
    }
}

pub(crate) fn check_lengths(rows: usize, what: &'static str, found: usize, weights: Option<&[f64]>) -> Result<()> {
    if found != rows {
        return Err(Error::Length { what, expected: rows, found });
    }
    let Some(weights) = weights else {
        return Ok(());
    };
    if weights.len() != rows {
        return Err(Error::Length { what: "weights", expected: rows, found: weights.len() });
    }
    // Without a branch for each weight: the sign bit stands where one is negative, infinite or no number.
    let odd = |bits: u64| bits | f64::MAX.to_bits().wrapping_sub(bits);
    if weights.iter().fold(0, |any, weight| any | odd(weight.to_bits())) >> 63 == 0 {
        return Ok(());
    }
    match weights.iter().position(|weight| !(0.0..f64::INFINITY).contains(weight)) {
        Some(row) => Err(Error::Weight { row, value: weights[row] }),
        None => Ok(()),
    }
}
