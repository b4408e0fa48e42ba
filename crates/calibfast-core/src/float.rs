//! The floating-point types that predictions come in.
#![allow(clippy::inline_always)] // into loops that are compiled for each instruction set

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

type Patterns<'a> = (&'a [u16], fn(u16) -> f64);

/// A type that confidences, probabilities or logits are given in: [`f16`], [`bf16`], [`f32`] or [`f64`].
pub trait Float: Copy + PartialOrd + Send + Sync + 'static {
    /// Name as NumPy and torch write it.
    const NAME: &'static str;
    /// Distance from 1 to the next larger value of the type.
    const EPSILON: f64;

    /// The type that vectors calculate in: `f32` or `f64`.
    type Wide: Float;

    /// The same values as [`Float::Wide`], in `buffer` where this is another type.
    fn widen<'a>(values: &'a [Self], buffer: &'a mut Vec<Self::Wide>) -> &'a [Self::Wide];

    /// The same value; no type loses anything.
    fn to_f64(self) -> f64;

    /// The nearest value of this type (ties to even).
    #[must_use]
    fn nearest(x: f64) -> Self;

    /// The nearest value of this type, as an `f64`.
    #[must_use]
    fn round(x: f64) -> f64 {
        Self::nearest(x).to_f64()
    }

    /// The bits of the values, and what bits stand for, where the type has so few that rows can be counted by them.
    #[must_use]
    fn patterns(_: &[Self]) -> Option<Patterns<'_>> {
        None
    }

    /// The slice itself where this type is `f32`, so that the vector kernel can be chosen.
    #[must_use]
    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }
}

impl Float for f64 {
    const NAME: &'static str = "float64";
    const EPSILON: f64 = f64::EPSILON;

    type Wide = Self;

    fn widen<'a>(values: &'a [Self], _: &'a mut Vec<Self>) -> &'a [Self] {
        values
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    fn nearest(x: f64) -> Self {
        x
    }
}

impl Float for f32 {
    const NAME: &'static str = "float32";
    const EPSILON: f64 = f32::EPSILON as f64;

    type Wide = Self;

    fn widen<'a>(values: &'a [Self], _: &'a mut Vec<Self>) -> &'a [Self] {
        values
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn nearest(x: f64) -> Self {
        x as f32
    }
    fn as_f32(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }
}

macro_rules! half_float {
    ($type:ty, $name:literal, $epsilon:expr) => {
        impl Float for $type {
            const NAME: &'static str = $name;
            const EPSILON: f64 = $epsilon;

            type Wide = f32;

            fn widen<'a>(values: &'a [Self], buffer: &'a mut Vec<f32>) -> &'a [f32] {
                buffer.resize(values.len(), 0.0);
                values.convert_to_f32_slice(buffer);
                buffer
            }
            fn to_f64(self) -> f64 {
                Self::to_f64(self)
            }
            fn nearest(x: f64) -> Self {
                // `half` rounds in one way or another with the processor: past the upper 32 bits it looks at nothing, or
                // rounds twice. A last bit that stands for all below it makes every way the right one (von Neumann's
                // rounding; Boldo and Melquiond 2008).
                let bits = x.to_bits();
                Self::from_f64(f64::from_bits((bits >> 32 | u64::from(bits as u32 != 0)) << 32))
            }
            fn patterns(values: &[Self]) -> Option<Patterns<'_>> {
                Some((values.reinterpret_cast(), |bits| Self::from_bits(bits).to_f64()))
            }
        }
    };
}
half_float!(f16, "float16", 0.000_976_562_5); // 2^-10
half_float!(bf16, "bfloat16", 0.007_812_5); // 2^-7

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of this value and its neighbours in `T` none is nearer, and of two as near this one is even.
    fn check<T: Float>(x: f64, of_bits: fn(u16) -> T, bits: fn(T) -> u16) -> std::result::Result<(), TestCaseError> {
        let found = bits(T::nearest(x));
        let gap = |bits: u16| (x - of_bits(bits).to_f64()).abs();
        for other in [found.saturating_sub(1), found + 1] {
            let nearer = gap(found) < gap(other) || gap(found) == gap(other) && found.is_multiple_of(2);
            prop_assert!(other == found || nearer, "{} is not the nearest to {x:e}", T::round(x));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn halves_are_the_nearest(
            bits in 0..0x3C00_u16,
            part in prop::sample::select(vec![0.0, 0.25, 0.5, 0.75]),
            off in -2..=2_i64,
            m in 0..5_000_u32,
            bins in 5_000..100_000_u32,
        ) {
            let between = |low: f64, high: f64| {
                let x = low + part * (high - low);
                f64::from_bits(x.to_bits().saturating_add_signed(off)).max(0.0)
            };
            let edge = f64::from(m) / f64::from(bins);
            let next = bits + 1;
            for x in [edge, between(f16::from_bits(bits).to_f64(), f16::from_bits(next).to_f64())] {
                check(x, f16::from_bits, f16::to_bits)?;
            }
            for x in [edge, between(bf16::from_bits(bits).to_f64(), bf16::from_bits(next).to_f64())] {
                check(x, bf16::from_bits, bf16::to_bits)?;
            }
        }
    }

    #[test]
    fn what_is_no_number_stays() {
        for x in [f64::NAN, -f64::NAN, f64::from_bits(f64::INFINITY.to_bits() + 1)] {
            assert!(f16::nearest(x).is_nan() && bf16::nearest(x).is_nan());
        }
        for x in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((f16::round(x), bf16::round(x)), (x, x));
        }
    }
}
