//! Rows by group, as Python sees them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use calibfast_core::{Error, Group, Groups, Keys, Name, Result};
use half::{bf16, f16};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyList};

use crate::door::detached;
use crate::errors::exception;
use crate::state::Bins;

#[pyclass(name = "Groups", module = "calibfast._core", frozen)]
pub(crate) struct PyGroups {
    groups: Mutex<Groups>,
    names: Mutex<Option<Known>>,
}

/// Names as the last call had them, which blocks of a file mostly share.
struct Known {
    list: Py<PyList>,
    names: Vec<PyBackedStr>,
    found: Vec<Option<Name>>,
}

impl PyGroups {
    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyGroups {
    #[new]
    fn new(py: Python<'_>, bins: Bins) -> PyResult<Self> {
        Ok(Self { groups: Groups::new(bins.edges(py)?).into(), names: None.into() })
    }

    /// Add rows: which of the names each is of, its confidence, whether it is right, and the type that confidences had.
    /// A list of names that comes again is not read again.
    #[allow(clippy::needless_pass_by_value)] // borrowed arrays are handed over
    fn update(
        &self,
        py: Python<'_>,
        names: Bound<'_, PyList>,
        codes: PyReadonlyArray1<'_, i64>,
        confidence: PyReadonlyArray1<'_, f64>,
        correct: PyReadonlyArray1<'_, u8>,
        dtype: &str,
    ) -> PyResult<()> {
        let last = self.names.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut known = match last.filter(|last| last.list.is(&names)) {
            Some(known) => known,
            None => Known { names: names.extract()?, found: vec![None; names.len()], list: names.unbind() },
        };
        let (codes, confidence, correct) = (codes.as_slice()?, confidence.as_slice()?, correct.as_slice()?);
        let keys = Keys::Codes { names: &known.names, known: &mut known.found, codes };
        detached(py, || update(&mut self.lock(), keys, confidence, correct, dtype))?;
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(())
    }

    /// Add rows of groups that are integers.
    #[allow(clippy::needless_pass_by_value)] // borrowed arrays are handed over
    fn update_integers(
        &self,
        py: Python<'_>,
        integers: PyReadonlyArray1<'_, i64>,
        confidence: PyReadonlyArray1<'_, f64>,
        correct: PyReadonlyArray1<'_, u8>,
        dtype: &str,
    ) -> PyResult<()> {
        let keys = Keys::<&str>::Integers(integers.as_slice()?);
        let (confidence, correct) = (confidence.as_slice()?, correct.as_slice()?);
        detached(py, || update(&mut self.lock(), keys, confidence, correct, dtype))
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        let other = other.lock().clone();
        detached(py, || self.lock().merge(other))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.lock().to_bytes()))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let groups = Groups::from_bytes(data).map_err(|error| exception(py, &error))?;
        Ok(Self { groups: groups.into(), names: None.into() })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((slf.get_type().getattr("from_bytes")?, (slf.get().to_bytes(slf.py()),)))
    }

    fn has_more_than(&self, py: Python<'_>, groups: usize) -> bool {
        py.detach(|| self.lock().has_more_than(groups))
    }

    /// Names, and of each group its rows, accuracy, mean confidence and conf-ECE.
    #[allow(clippy::type_complexity)] // five columns
    fn table<'py>(
        &self,
        py: Python<'py>,
    ) -> (
        Vec<String>,
        Bound<'py, PyArray1<i64>>,
        Bound<'py, PyArray1<f64>>,
        Bound<'py, PyArray1<f64>>,
        Bound<'py, PyArray1<f64>>,
    ) {
        let table = self.lock().table();
        let of = |value: fn(&Group) -> f64| PyArray1::from_iter(py, table.iter().map(|(_, group)| value(group)));
        let rows = PyArray1::from_iter(py, table.iter().map(|(_, group)| group.total.count as i64));
        let accuracy = of(|group| group.total.accuracy());
        let confidence = of(|group| group.total.mean_confidence());
        let conf_ece = of(|group| group.conf_ece);
        (table.into_iter().map(|(name, _)| name).collect(), rows, accuracy, confidence, conf_ece)
    }

    /// The multicalibration gap.
    fn gap(&self, py: Python<'_>) -> PyResult<f64> {
        self.lock().gap().map_err(|error| exception(py, &error))
    }
}

fn update(
    groups: &mut Groups,
    keys: Keys<'_, impl AsRef<str>>,
    confidence: &[f64],
    correct: &[u8],
    dtype: &str,
) -> Result<()> {
    match dtype {
        "float16" => groups.update::<f16>(keys, confidence, correct),
        "bfloat16" => groups.update::<bf16>(keys, confidence, correct),
        "float32" => groups.update::<f32>(keys, confidence, correct),
        "float64" => groups.update::<f64>(keys, confidence, correct),
        _ => Err(Error::Mismatch(format!("expected a type of floats, got {dtype}"))),
    }
}
