//! `calibfast._core`: arguments in, results out. Everything that computes is in `calibfast-core`.

mod arrays;
mod door;
mod errors;
mod groups;
mod pairs;
mod rows;
mod rowwise;
mod state;
mod update;

use calibfast_core::simd;
use pyo3::prelude::*;

/// The instruction set that work runs on, as `CALIBFAST_SIMD` names it.
#[pyfunction]
fn simd_level(py: Python<'_>) -> PyResult<&'static str> {
    simd::level().map_err(|error| errors::exception(py, &error))
}

#[pymodule]
mod _core {
    use super::{Bound, PyModule, PyResult};
    use pyo3::types::PyModuleMethods;

    #[pymodule_export]
    use super::groups::PyGroups;
    #[pymodule_export]
    use super::pairs::{PyDistinctOptions, skce_blocks};
    #[pymodule_export]
    use super::rows::SortedRows;
    #[pymodule_export]
    use super::rowwise::{assign, probabilities, targets, top};
    #[pymodule_export]
    use super::simd_level;
    #[pymodule_export]
    use super::state::PyState;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }
}
