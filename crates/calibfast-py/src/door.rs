//! The one door through which work leaves the GIL.

use std::ops::Range;

use calibfast_core::{Result, simd};
use pyo3::prelude::*;

use crate::errors::exception;

/// Numbers worked on between two looks at the signals: a tenth of a second or less.
const STRETCH: usize = 1 << 24;

/// Work without the GIL.
pub(crate) fn detached<S: Send>(py: Python<'_>, work: impl FnOnce() -> Result<S> + Send) -> PyResult<S> {
    py.detach(|| simd::level().and_then(|_| work())).map_err(|error| exception(py, &error))
}

/// Work without the GIL on `rows` rows of `width` numbers, a stretch at a time, so that Ctrl-C ends it soon.
pub(crate) fn detached_rows(
    py: Python<'_>,
    rows: usize,
    width: usize,
    work: impl FnMut(Range<usize>) -> Result<()> + Send,
) -> PyResult<()> {
    detached_stretches(py, rows, (STRETCH / width.max(1)).max(1), work)
}

/// Work without the GIL on `count` things, `stretch` at a time, so that Ctrl-C ends it soon.
pub(crate) fn detached_stretches(
    py: Python<'_>,
    count: usize,
    stretch: usize,
    mut work: impl FnMut(Range<usize>) -> Result<()> + Send,
) -> PyResult<()> {
    for start in (0..count).step_by(stretch) {
        detached(py, || work(start..count.min(start + stretch)))?;
        py.check_signals()?;
    }
    Ok(())
}
