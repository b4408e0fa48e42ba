//! What a bin remembers: how many rows, how many hits, and the exact sum of their confidences.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sum::{self, ExactSum};

/// One bin of unweighted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Rows.
    pub count: u64,
    /// Rows whose prediction is right.
    pub hits: u64,
    /// Sum of confidences in units of 2^-62.
    pub confidence: u128,
}

impl Cell {
    #[inline]
    pub(crate) fn insert(&mut self, confidence: f64, hit: bool) {
        self.count += 1;
        self.hits += u64::from(hit);
        self.confidence += u128::from(sum::to_fixed(confidence));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.hits += other.hits;
        self.confidence += other.confidence;
    }

    /// Whether it can have come from rows.
    pub(crate) fn is_sound(&self) -> bool {
        self.hits <= self.count && self.confidence <= u128::from(self.count) << sum::FIXED_BITS
    }
}

/// One bin of weighted rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightedCell {
    /// Rows.
    pub count: u64,
    /// Sum of weights.
    pub weight: ExactSum,
    /// Sum of the weights of the rows whose prediction is right.
    pub hits: ExactSum,
    /// Sum of weight times confidence, each confidence in units of 2^-62.
    pub confidence: ExactSum,
}

impl WeightedCell {
    #[inline]
    pub(crate) fn insert(&mut self, confidence: f64, hit: bool, weight: f64) {
        let (mantissa, exponent) = sum::decompose(weight);
        self.count += 1;
        self.weight.add(mantissa.into(), exponent);
        if hit {
            self.hits.add(mantissa.into(), exponent);
        }
        self.confidence.add(u128::from(mantissa) * u128::from(sum::to_fixed(confidence)), exponent - sum::FIXED_BITS);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.weight.merge(&other.weight);
        self.hits.merge(&other.hits);
        self.confidence.merge(&other.confidence);
    }
}

impl From<&Cell> for WeightedCell {
    fn from(cell: &Cell) -> Self {
        let mut weighted = Self { count: cell.count, ..Self::default() };
        weighted.weight.add(cell.count.into(), 0);
        weighted.hits.add(cell.hits.into(), 0);
        weighted.confidence.add(cell.confidence, -sum::FIXED_BITS);
        weighted
    }
}

/// What a bin says in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// Rows.
    pub count: u64,
    /// Sum of weights; the number of rows where there are none.
    pub weight: f64,
    /// Weight of the rows whose prediction is right.
    pub hits: f64,
    /// Sum of weight times confidence.
    pub confidence: f64,
}

impl Total {
    /// Share of hits; NaN in an empty bin.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.hits / self.weight
    }

    /// Mean confidence; NaN in an empty bin.
    #[must_use]
    pub fn mean_confidence(&self) -> f64 {
        self.confidence / self.weight
    }
}

impl From<&Cell> for Total {
    fn from(cell: &Cell) -> Self {
        Self {
            count: cell.count,
            weight: cell.count as f64,
            hits: cell.hits as f64,
            confidence: sum::from_fixed(cell.confidence),
        }
    }
}

impl std::iter::Sum for Total {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |a, b| Self {
            count: a.count + b.count,
            weight: a.weight + b.weight,
            hits: a.hits + b.hits,
            confidence: a.confidence + b.confidence,
        })
    }
}

/// A row of bins; weighted once a weighted row has been seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cells {
    /// Every row counts once.
    Plain(Vec<Cell>),
    /// Rows carry weights.
    Weighted(Vec<WeightedCell>),
}

impl Cells {
    /// `len` empty bins.
    #[must_use]
    pub fn new(len: usize, weighted: bool) -> Self {
        if weighted {
            Self::Weighted(vec![WeightedCell::default(); len])
        } else {
            Self::Plain(vec![Cell::default(); len])
        }
    }

    /// Number of bins.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Plain(cells) => cells.len(),
            Self::Weighted(cells) => cells.len(),
        }
    }

    /// Rows of every `bins` bins together.
    pub(crate) fn rows(&self, bins: usize) -> Vec<u128> {
        let counts: Vec<u128> = match self {
            Self::Plain(cells) => cells.iter().map(|cell| cell.count.into()).collect(),
            Self::Weighted(cells) => cells.iter().map(|cell| cell.count.into()).collect(),
        };
        counts.chunks(bins).map(|counts| counts.iter().sum()).collect()
    }

    /// Whether there are no bins at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Put one row into bin `m`; weighted cells take its weight, plain ones have none.
    #[inline]
    pub(crate) fn insert(&mut self, m: usize, confidence: f64, hit: bool, weight: Option<f64>) {
        match self {
            Self::Plain(cells) => cells[m].insert(confidence, hit),
            Self::Weighted(cells) => cells[m].insert(confidence, hit, weight.unwrap_or(1.0)),
        }
    }

    /// Add the bins of another row of the same length.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Plain(mine), Self::Plain(theirs)) => mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(b)),
            (Self::Weighted(mine), Self::Weighted(theirs)) => mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(b)),
            (Self::Weighted(mine), Self::Plain(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(&b.into()));
            }
            (Self::Plain(_), Self::Weighted(_)) => {
                self.weigh();
                self.merge(other);
            }
        }
    }

    /// All bins as one.
    pub(crate) fn pooled(&self) -> Self {
        let mut pooled = Self::new(1, matches!(self, Self::Weighted(_)));
        match (&mut pooled, self) {
            (Self::Plain(one), Self::Plain(cells)) => cells.iter().for_each(|cell| one[0].merge(cell)),
            (Self::Weighted(one), Self::Weighted(cells)) => cells.iter().for_each(|cell| one[0].merge(cell)),
            _ => {}
        }
        pooled
    }

    /// Every bin as numbers.
    #[must_use]
    pub fn totals(&self) -> Vec<Total> {
        match self {
            Self::Plain(cells) => cells.iter().map(Total::from).collect(),
            Self::Weighted(cells) => cells
                .iter()
                .map(|cell| Total {
                    count: cell.count,
                    weight: cell.weight.to_f64(),
                    hits: cell.hits.to_f64(),
                    confidence: cell.confidence.to_f64(),
                })
                .collect(),
        }
    }

    /// Whether the cells can have come from rows.
    ///
    /// # Errors
    /// [`Error::State`] where they cannot.
    pub(crate) fn check(&self) -> Result<()> {
        let sound = match self {
            Self::Plain(cells) => cells.iter().all(Cell::is_sound),
            Self::Weighted(cells) => {
                cells.iter().all(|c| c.hits.to_f64() <= c.weight.to_f64() && c.confidence.to_f64() <= c.weight.to_f64())
            }
        };
        if sound {
            Ok(())
        } else {
            Err(Error::State("the state's bins contradict themselves: it is damaged".to_owned()))
        }
    }

    fn weigh(&mut self) {
        if let Self::Plain(cells) = self {
            *self = Self::Weighted(cells.iter().map(WeightedCell::from).collect());
        }
    }
}
