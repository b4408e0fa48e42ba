//! Metrics that sum over pairs of rows.

use std::num::NonZero;
use std::ops::Range;

use calibfast_core::{DistinctOptions, Kde, Result, Skce, parallel};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::door::{detached, detached_stretches};

/// Multiplications between two looks at the signals: a second or less.
const STRETCH: usize = 1 << 28;

/// Distinct rows of option probabilities with labels.
#[pyclass(name = "DistinctOptions", module = "calibfast._core", frozen)]
pub(crate) struct PyDistinctOptions(DistinctOptions);

#[pymethods]
impl PyDistinctOptions {
    #[new]
    #[pyo3(signature = (probs, labels, *, weights = None))]
    fn new(
        py: Python<'_>,
        probs: PyReadonlyArray2<'_, f64>,
        labels: PyReadonlyArray1<'_, i64>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
    ) -> PyResult<Self> {
        let classes = probs.shape()[1];
        let (probs, labels) = (probs.as_slice()?, labels.as_slice()?);
        let weights = weights.as_ref().map(PyReadonlyArray1::as_slice).transpose()?;
        detached(py, || DistinctOptions::new(probs, classes, labels, weights)).map(Self)
    }

    #[getter]
    fn weight(&self) -> f64 {
        self.0.total()
    }

    fn median_distance(&self, py: Python<'_>) -> f64 {
        py.detach(|| self.0.median_distance())
    }

    /// Sum of the log losses with which all others predict the representatives.
    #[pyo3(signature = (bandwidth, *, threads = None))]
    fn kde_loss(&self, py: Python<'_>, bandwidth: f64, threads: Option<NonZero<usize>>) -> PyResult<f64> {
        let kde = py.detach(|| Kde::new(&self.0, bandwidth));
        let at = self.0.representatives();
        self.sum(py, at.len(), threads, |units, threads| kde.log_losses(&at[units], threads))
    }

    /// Sum over all pairs of rows, and of every row with itself.
    #[pyo3(signature = (width, *, threads = None))]
    fn skce(&self, py: Python<'_>, width: f64, threads: Option<NonZero<usize>>) -> PyResult<(f64, f64)> {
        let skce = py.detach(|| Skce::new(&self.0, width));
        let sum = self.sum(py, skce.units(), threads, |units, threads| skce.pairs(units, threads))?;
        Ok((sum, skce.own()))
    }

    /// Mean error of the density estimates.
    #[pyo3(signature = (bandwidth, *, threads = None))]
    fn kde_error(&self, py: Python<'_>, bandwidth: f64, threads: Option<NonZero<usize>>) -> PyResult<f64> {
        let kde = py.detach(|| Kde::new(&self.0, bandwidth));
        let sum = self.sum(py, kde.units(), threads, |units, threads| kde.errors(units, threads))?;
        Ok(sum / self.0.total())
    }
}

impl PyDistinctOptions {
    fn sum(
        &self,
        py: Python<'_>,
        units: usize,
        threads: Option<NonZero<usize>>,
        work: impl Fn(Range<usize>, usize) -> Result<Vec<f64>> + Sync,
    ) -> PyResult<f64> {
        let threads = parallel::threads(threads);
        let cost = self.0.columns.len() * self.0.len() / units;
        let mut sums = Vec::with_capacity(units);
        detached_stretches(py, units, (STRETCH / cost.max(1)).max(1) * threads, |stretch| {
            sums.extend(work(stretch, threads)?);
            Ok(())
        })?;
        Ok(sums.iter().sum())
    }
}

/// Mean over the pairs within blocks of rows, as they stand.
#[pyfunction]
pub(crate) fn skce_blocks(
    py: Python<'_>,
    probs: PyReadonlyArray2<'_, f64>,
    labels: PyReadonlyArray1<'_, i64>,
    block: usize,
    width: f64,
) -> PyResult<f64> {
    let classes = probs.shape()[1];
    let (probs, labels) = (probs.as_slice()?, labels.as_slice()?);
    Ok(py.detach(|| calibfast_core::skce_blocks(probs, classes, labels, block, width)))
}
