//! NumPy arrays of any layout as the slices that the core reads, without a copy where the layout allows it.

use std::borrow::Cow;
use std::ops::Range;

use calibfast_core::{Error, Float, Result};
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use numpy::ndarray::{ArrayView1, ArrayView2, s};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// An element of an array of predictions: a float, or the bits of a bfloat16, which NumPy has no type for.
pub(crate) trait Element: numpy::Element + Copy + Send + Sync {
    type Float: Float;

    fn load(self) -> Self::Float;
    fn floats(elements: &[Self]) -> &[Self::Float];
}

macro_rules! element {
    ($($type:ty),*) => {$(
        impl Element for $type {
            type Float = $type;

            fn load(self) -> $type {
                self
            }
            fn floats(elements: &[$type]) -> &[$type] {
                elements
            }
        }
    )*};
}
element!(f16, f32, f64);

impl Element for u16 {
    type Float = bf16;

    fn load(self) -> bf16 {
        bf16::from_bits(self)
    }
    fn floats(elements: &[u16]) -> &[bf16] {
        elements.reinterpret_cast()
    }
}

/// Rows of a matrix, row by row.
pub(crate) fn rows<'a, E: Copy>(view: &ArrayView2<'a, E>, range: Range<usize>) -> Cow<'a, [E]> {
    let part = view.slice_move(s![range, ..]);
    match part.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None if part.ncols() == 1 => Cow::Owned(gathered(part.column(0), |element| element)),
        None => Cow::Owned(joined(part.rows().into_iter(), part.len())),
    }
}

/// Elements that need not lie side by side: then by a loop inside `ndarray`, whose iterators are slow outside.
fn gathered<E: Copy, T: Clone>(view: ArrayView1<'_, E>, load: impl Fn(E) -> T) -> Vec<T> {
    match view.as_slice() {
        Some(slice) => slice.iter().map(|&element| load(element)).collect(),
        None => view.map(|&element| load(element)).to_vec(),
    }
}

/// The chosen rows of a matrix, row by row.
pub(crate) fn chosen_rows<E: Copy>(view: &ArrayView2<'_, E>, chosen: &[usize]) -> Vec<E> {
    joined(chosen.iter().map(|&row| view.row(row)), chosen.len() * view.ncols())
}

fn joined<'a, E: Copy + 'a>(rows: impl Iterator<Item = ArrayView1<'a, E>>, len: usize) -> Vec<E> {
    let mut all = Vec::with_capacity(len);
    for row in rows {
        match row.to_slice() {
            Some(slice) => all.extend_from_slice(slice),
            None => all.extend(row),
        }
    }
    all
}

/// A vector of numbers in whatever type it comes.
pub(crate) enum Numbers<'py> {
    U8(PyReadonlyArray1<'py, u8>),
    U16(PyReadonlyArray1<'py, u16>),
    U32(PyReadonlyArray1<'py, u32>),
    U64(PyReadonlyArray1<'py, u64>),
    I8(PyReadonlyArray1<'py, i8>),
    I16(PyReadonlyArray1<'py, i16>),
    I32(PyReadonlyArray1<'py, i32>),
    I64(PyReadonlyArray1<'py, i64>),
    F16(PyReadonlyArray1<'py, f16>),
    F32(PyReadonlyArray1<'py, f32>),
    F64(PyReadonlyArray1<'py, f64>),
}

impl<'py> Numbers<'py> {
    pub(crate) fn extract(array: &Bound<'py, PyUntypedArray>) -> PyResult<Self> {
        macro_rules! first_match {
            ($($variant:ident),*) => {
                $(if let Ok(array) = array.extract() {
                    return Ok(Self::$variant(array));
                })*
            };
        }
        first_match!(U8, U16, U32, U64, I8, I16, I32, I64, F16, F32, F64);
        Err(PyTypeError::new_err(format!("expected a vector of numbers, got {} in {}-D", array.dtype(), array.ndim())))
    }

    pub(crate) fn view(&self) -> NumbersView<'_> {
        match self {
            Self::U8(array) => NumbersView::U8(array.as_array()),
            Self::U16(array) => NumbersView::U16(array.as_array()),
            Self::U32(array) => NumbersView::U32(array.as_array()),
            Self::U64(array) => NumbersView::U64(array.as_array()),
            Self::I8(array) => NumbersView::I8(array.as_array()),
            Self::I16(array) => NumbersView::I16(array.as_array()),
            Self::I32(array) => NumbersView::I32(array.as_array()),
            Self::I64(array) => NumbersView::I64(array.as_array()),
            Self::F16(array) => NumbersView::F16(array.as_array()),
            Self::F32(array) => NumbersView::F32(array.as_array()),
            Self::F64(array) => NumbersView::F64(array.as_array()),
        }
    }
}

/// A view of [`Numbers`] that may leave the GIL.
pub(crate) enum NumbersView<'a> {
    U8(ArrayView1<'a, u8>),
    U16(ArrayView1<'a, u16>),
    U32(ArrayView1<'a, u32>),
    U64(ArrayView1<'a, u64>),
    I8(ArrayView1<'a, i8>),
    I16(ArrayView1<'a, i16>),
    I32(ArrayView1<'a, i32>),
    I64(ArrayView1<'a, i64>),
    F16(ArrayView1<'a, f16>),
    F32(ArrayView1<'a, f32>),
    F64(ArrayView1<'a, f64>),
}

macro_rules! each {
    ($self:expr, $view:ident => $body:expr) => {
        match $self {
            NumbersView::U8($view) => $body,
            NumbersView::U16($view) => $body,
            NumbersView::U32($view) => $body,
            NumbersView::U64($view) => $body,
            NumbersView::I8($view) => $body,
            NumbersView::I16($view) => $body,
            NumbersView::I32($view) => $body,
            NumbersView::I64($view) => $body,
            NumbersView::F16($view) => $body,
            NumbersView::F32($view) => $body,
            NumbersView::F64($view) => $body,
        }
    };
}

impl NumbersView<'_> {
    pub(crate) fn len(&self) -> usize {
        each!(self, view => view.len())
    }

    /// The range as integers; what does not fit, or is none, becomes one that no check accepts.
    pub(crate) fn integers(&self, range: Range<usize>) -> Cow<'_, [i64]> {
        if let Self::I64(view) = self
            && let Some(slice) = view.as_slice()
        {
            return Cow::Borrowed(&slice[range]);
        }
        Cow::Owned(each!(self, view => gathered(view.slice(s![range]), |element| integer(element.into_number()))))
    }

    /// The range as doubles.
    pub(crate) fn doubles(&self, range: Range<usize>) -> Vec<f64> {
        each!(self, view => gathered(view.slice(s![range]), |element| double(element.into_number())))
    }

    /// The range itself where it is bytes in a row, as a vector of booleans is.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        match self {
            Self::U8(view) => view.to_slice().map(|slice| &slice[range]),
            _ => None,
        }
    }

    /// The range as zeros and ones.
    pub(crate) fn correct(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        let start = range.start;
        let bits = self.bytes(range.clone()).map_or_else(
            || Cow::Owned(each!(self, view => gathered(view.slice(s![range]), |element| bit(element.into_number())))),
            Cow::Borrowed,
        );
        match bits.iter().position(|&bit| bit > 1) {
            Some(row) => Err(Error::Correct { row, value: self.doubles(start + row..start + row + 1)[0] }),
            None => Ok(bits),
        }
    }
}

/// A number before it is known what it should be.
#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Double(f64),
}

fn integer(number: Number) -> i64 {
    match number {
        Number::Integer(value) => value,
        Number::Double(value) if value.fract() == 0.0 && value.abs() < 9e15 => value as i64,
        Number::Double(_) => i64::MIN,
    }
}

/// 0, 1, or 2 for what is neither, without a branch.
fn bit(number: Number) -> u8 {
    let (zero, one) = match number {
        Number::Integer(value) => (value == 0, value == 1),
        Number::Double(value) => (value == 0.0, value == 1.0),
    };
    2 - 2 * u8::from(zero) - u8::from(one)
}

fn double(number: Number) -> f64 {
    match number {
        Number::Integer(value) => value as f64,
        Number::Double(value) => value,
    }
}

trait IntoNumber {
    fn into_number(self) -> Number;
}

macro_rules! into_number {
    ($($type:ty => $value:ident $convert:expr;)*) => {$(
        impl IntoNumber for $type {
            fn into_number(self) -> Number {
                let $value = self;
                $convert
            }
        }
    )*};
}
into_number! {
    u8 => x Number::Integer(x.into());
    u16 => x Number::Integer(x.into());
    u32 => x Number::Integer(x.into());
    u64 => x Number::Integer(i64::try_from(x).unwrap_or(i64::MAX));
    i8 => x Number::Integer(x.into());
    i16 => x Number::Integer(x.into());
    i32 => x Number::Integer(x.into());
    i64 => x Number::Integer(x);
    f16 => x Number::Double(x.into());
    f32 => x Number::Double(x.into());
    f64 => x Number::Double(x);
}

/// A matrix of predictions in whatever type it comes; a vector is a matrix of one column.
pub(crate) enum Predictions<'py> {
    F16(PyReadonlyArray2<'py, f16>),
    BF16(PyReadonlyArray2<'py, u16>),
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
}

impl<'py> Predictions<'py> {
    pub(crate) fn extract(array: &Bound<'py, PyUntypedArray>) -> PyResult<Self> {
        if let Ok(array) = array.extract() {
            return Ok(Self::F16(array));
        }
        if let Ok(array) = array.extract() {
            return Ok(Self::BF16(array));
        }
        if let Ok(array) = array.extract() {
            return Ok(Self::F32(array));
        }
        if let Ok(array) = array.extract() {
            return Ok(Self::F64(array));
        }
        Err(PyTypeError::new_err(format!("expected a matrix of floats, got {} in {}-D", array.dtype(), array.ndim())))
    }
}

/// Do the same for every element type of [`Predictions`].
macro_rules! with_view {
    ($predictions:expr, $view:ident => $body:expr) => {
        match $predictions {
            $crate::arrays::Predictions::F16(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::arrays::Predictions::BF16(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::arrays::Predictions::F32(array) => {
                let $view = array.as_array();
                $body
            }
            $crate::arrays::Predictions::F64(array) => {
                let $view = array.as_array();
                $body
            }
        }
    };
}
pub(crate) use with_view;
