//! Sums that do not depend on the order of their terms.

use serde::{Deserialize, Serialize};

/// Binary digits of a confidence behind the point, in the fixed-point form in which it is summed.
pub const FIXED_BITS: i32 = 62;

/// `p` in [0, 1] in units of 2^-62, cut off below: off by less than one unit, and by nothing where `p` is an
/// `f32` of at least 2^-39 or an `f64` of at least 2^-10.
#[inline]
#[must_use]
pub fn to_fixed(p: f64) -> u64 {
    // 1 has the exponent 1023 and becomes 2^62; a conversion of floats would have to mind what lies outside [0, 1].
    let bits = p.to_bits();
    let mantissa = (bits & ((1 << 52) - 1) | 1 << 52) << (FIXED_BITS - 52);
    mantissa.checked_shr(1023_u32.wrapping_sub((bits >> 52) as u32)).unwrap_or(0)
}

/// A sum of fixed-point values as the nearest `f64`.
#[inline]
#[must_use]
pub fn from_fixed(sum: u128) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << FIXED_BITS) as f64;
    sum as f64 * UNIT
}

/// Mantissa and exponent of a finite `x >= 0`: `x = mantissa * 2^exponent`.
#[inline]
#[must_use]
pub fn decompose(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// The score of a row, `x >= 0`, to the nearest multiple of 2^-53 (ties to even); what is 1/2 or more is one already.
#[inline(always)]
#[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
pub(crate) fn to_grid(x: f64) -> f64 {
    if x < 0.5 { (x + 0.5) - 0.5 } else { x }
}

/// Binary digits of [`to_grid`] behind the point.
pub(crate) const GRID_BITS: i32 = 53;

/// A score below 1024 as that multiple of 2^-53.
pub(crate) fn to_units(x: f64) -> u64 {
    (to_grid(x) * (1_u64 << GRID_BITS) as f64) as u64
}

/// The exact sum of [`to_grid`] of scores, in additions that a vector unit has.
///
/// A score below [`GridSum::LIMIT`] becomes two integers: multiples of 2^-21 and, with a sign, of 2^-53. They fit
/// their words for up to 2^32 terms.
#[derive(Clone, Copy, Default)]
pub(crate) struct GridSum {
    high: u64,
    low: u64,
}

#[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
impl GridSum {
    /// Scores from here on go into the [`ExactSum`] as they are.
    pub(crate) const LIMIT: f64 = 1024.0;

    /// Add a score in [0, [`GridSum::LIMIT`]).
    #[inline(always)]
    pub(crate) fn add(&mut self, x: f64) {
        /// Doubles about these numbers are multiples of 2^-21 and of 2^-53.
        const HIGH: f64 = 2_147_483_648.0; // 2^31
        const LOW: f64 = 0.75;
        debug_assert!((0.0..Self::LIMIT).contains(&x));
        let high = x + HIGH;
        let low = (x - (high - HIGH)) + LOW;
        self.high = self.high.wrapping_add(high.to_bits() - HIGH.to_bits());
        self.low = self.low.wrapping_add(low.to_bits().wrapping_sub(LOW.to_bits()));
    }

    /// The sum in units of 2^-53.
    pub(crate) fn units(self) -> u128 {
        ((i128::from(self.high) << 32) + i128::from(self.low as i64)) as u128
    }
}

/// An exact sum of non-negative numbers `mantissa * 2^exponent`, as wide as its terms need.
///
/// A long accumulator (Kulisch 1971): integers of 64 bits from the lowest used binary digit to the highest, so
/// that addition loses nothing and any order of terms or merges gives the same digits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Digits", into = "Digits")]
pub struct ExactSum {
    /// Value of a digit at place `i` is `2^(64 (base + i))`.
    base: i32,
    digits: Vec<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Digits(i32, Vec<u64>);

impl TryFrom<Digits> for ExactSum {
    type Error = &'static str;

    /// Bounds what a damaged state can ask for: no sum of products of `f64` has digits elsewhere.
    fn try_from(Digits(base, digits): Digits) -> Result<Self, &'static str> {
        if base < -48 || i64::from(base) + digits.len() as i64 > 40 {
            return Err("a sum's digits stand where none can");
        }
        Ok(Self { base, digits })
    }
}

impl From<ExactSum> for Digits {
    fn from(sum: ExactSum) -> Self {
        let (base, digits) = sum.canonical();
        Self(base, digits.to_vec())
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl ExactSum {
    /// Add `mantissa * 2^exponent`.
    #[inline]
    pub fn add(&mut self, mantissa: u128, exponent: i32) {
        if mantissa == 0 {
            return;
        }
        let place = exponent.div_euclid(64);
        let shift = exponent.rem_euclid(64) as u32;
        let low = mantissa << shift;
        let high = if shift == 0 { 0 } else { (mantissa >> (128 - shift)) as u64 };
        let start = self.cover(place);
        let mut carry = 0_u128;
        for (digit, add) in self.digits[start..].iter_mut().zip([low as u64, (low >> 64) as u64, high]) {
            carry += u128::from(*digit) + u128::from(add);
            *digit = carry as u64;
            carry >>= 64;
        }
        let mut i = start + 3;
        while carry != 0 {
            if i == self.digits.len() {
                self.digits.push(0);
            }
            carry += u128::from(self.digits[i]);
            self.digits[i] = carry as u64;
            carry >>= 64;
            i += 1;
        }
    }

    /// Add a finite `x >= 0`.
    #[inline]
    pub fn add_f64(&mut self, x: f64) {
        let (mantissa, exponent) = decompose(x);
        self.add(mantissa.into(), exponent);
    }

    /// Add the product of two finite numbers that are not negative, unrounded.
    #[inline]
    pub fn add_product(&mut self, x: f64, y: f64) {
        let ((a, i), (b, j)) = (decompose(x), decompose(y));
        self.add(u128::from(a) * u128::from(b), i + j);
    }

    /// Add a sum of scores.
    pub(crate) fn add_grid(&mut self, sum: GridSum) {
        self.add(sum.units(), -GRID_BITS);
    }

    /// Add all that another sum holds.
    pub fn merge(&mut self, other: &Self) {
        for (i, &digit) in other.digits.iter().enumerate() {
            self.add(digit.into(), 64 * (other.base + i as i32));
        }
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let (base, digits) = self.canonical();
        let Some((&top, rest)) = digits.split_last() else {
            return 0.0;
        };
        let (second, rest) = rest.split_last().map_or((0, rest), |(&digit, rest)| (digit, rest));
        // 65 digits or more, and a last one that remembers what stands below, whose lowest is not zero: rounds as the whole
        // would.
        let head = ((u128::from(top) << 64) + u128::from(second)) | u128::from(!rest.is_empty());
        libm::scalbn(head as f64, 64 * (base + digits.len() as i32 - 2))
    }

    /// Make places `place .. place + 3` exist, and return the index of the first.
    fn cover(&mut self, place: i32) -> usize {
        if self.digits.is_empty() {
            self.base = place;
        }
        if place < self.base {
            let missing = (self.base - place) as usize;
            self.digits.splice(0..0, std::iter::repeat_n(0, missing));
            self.base = place;
        }
        let start = (place - self.base) as usize;
        if self.digits.len() < start + 3 {
            self.digits.resize(start + 3, 0);
        }
        start
    }

    /// Base and digits without the zeros at either end: the same for every way to the same sum.
    fn canonical(&self) -> (i32, &[u64]) {
        let Some(first) = self.digits.iter().position(|&digit| digit != 0) else {
            return (0, &[]);
        };
        let last = self.digits.iter().rposition(|&digit| digit != 0).unwrap_or(first);
        (self.base + first as i32, &self.digits[first..=last])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fixed_point_is_exact_where_it_says_so() {
        assert_eq!(to_fixed(1.0), 1 << 62);
        assert_eq!(to_fixed(0.0), 0);
        assert_eq!(to_fixed(f64::from_bits(1)), 0);
        let p = f64::from(0.1_f32);
        assert_eq!(from_fixed(to_fixed(p).into()), p);
    }

    #[test]
    fn extremes_meet_without_loss() {
        let mut sum = ExactSum::default();
        sum.add_f64(f64::MAX);
        sum.add_f64(f64::from_bits(1));
        assert_eq!(sum.to_f64(), f64::MAX);
        for exponent in [0, 63] {
            let mut ones = ExactSum::default();
            for _ in 0..3 {
                ones.add(u128::MAX, exponent);
            }
            assert_eq!(ones.to_f64(), 3.0 * 2.0_f64.powi(128 + exponent));
        }
    }

    #[test]
    fn half_way_rounds_by_what_stands_below() {
        let mut sum = ExactSum::default();
        sum.add(1, 53);
        sum.add(1, 0); // a tie: to even
        assert_eq!(sum.to_f64(), 2.0_f64.powi(53));
        sum.add(1, -300);
        assert_eq!(sum.to_f64(), 2.0_f64.powi(53) + 2.0);
        // Of two digits of 64 bits the lower ends in a tie, or next to one.
        for lower in [1 << 11, 1 | 1 << 11] {
            let mut sum = ExactSum::default();
            sum.add(1, 64);
            sum.add(lower, 0);
            sum.add(1, -1);
            assert_eq!(sum.to_f64(), 2.0_f64.powi(64) + 2.0_f64.powi(12));
        }
    }

    #[test]
    fn a_carry_goes_as_far_as_it_must() {
        for more in [None, Some(-128), Some(640)] {
            let (mut sum, mut whole) = (ExactSum::default(), ExactSum::default());
            if let Some(exponent) = more {
                sum.add(1, exponent);
                whole.add(1, exponent);
            }
            for exponent in [0, 128, 256, 384] {
                sum.add(u128::MAX, exponent);
            }
            assert_ne!(sum, whole);
            sum.add(1, 0);
            whole.add(1, 512);
            assert_eq!(sum, whole);
        }
    }

    proptest! {
        #[test]
        fn order_and_merging_do_not_matter(mut terms in prop::collection::vec((0.0..1e300_f64, 0.0..1.0_f64), 1..60)) {
            let of = |terms: &[(f64, f64)]| {
                let mut sum = ExactSum::default();
                for &(w, p) in terms {
                    sum.add_product(w, p);
                }
                sum
            };
            let whole = of(&terms);
            let (left, right) = terms.split_at(terms.len() / 3);
            let mut merged = of(right);
            merged.merge(&of(left));
            prop_assert_eq!(&merged, &whole);
            terms.reverse();
            prop_assert_eq!(of(&terms), whole);
        }

        #[test]
        fn a_sum_on_the_grid_is_that_of_its_rounded_terms(
            terms in prop::collection::vec(
                prop_oneof![0.0..1.0_f64, 0.0..GridSum::LIMIT, (0..1_u64 << 54).prop_map(|n| n as f64 / 2.0_f64.powi(54))],
                0..50,
            ),
        ) {
            let (mut grid, mut sum, mut by_grid) = (GridSum::default(), ExactSum::default(), ExactSum::default());
            for &t in &terms {
                grid.add(t);
                let rounded = to_grid(t);
                prop_assert!((rounded - t).abs() <= 2.0_f64.powi(-54));
                sum.add_f64(rounded);
            }
            by_grid.add_grid(grid);
            prop_assert_eq!(by_grid, sum);
        }

        #[test]
        fn integers_sum_as_integers(terms in prop::collection::vec(0..1_u64 << 40, 0..50)) {
            let mut sum = ExactSum::default();
            for &t in &terms {
                sum.add_f64(t as f64);
            }
            prop_assert_eq!(sum.to_f64(), terms.iter().sum::<u64>() as f64);
        }
    }
}
