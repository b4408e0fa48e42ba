//! The exponential, the same on every machine: additions and multiplications only, in a fixed order.

use crate::float::Float;

/// `e^x` for `x <= 0`, 0 below -708.8, where doubles run out; NaN stays NaN.
///
/// Relative error at most two units in the last place, and what one unit in the last place of `x` itself would make.
#[inline(always)]
#[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
pub(crate) fn exp(x: f64) -> f64 {
    /// 2^f on |f| <= 1/2, relative error below 2^-55: even and odd powers, each from the highest.
    const EVEN: [f64; 6] = [
        7.072_585_949_269_223e-9,
        1.321_544_258_792_169e-6,
        1.540_353_044_173_605e-4,
        9.618_129_107_606_888e-3,
        2.402_265_069_591_009_7e-1,
        1.0,
    ];
    const ODD: [f64; 6] = [
        4.454_960_598_186_518_6e-10,
        1.017_806_244_584_577_4e-7,
        1.525_273_382_983_612e-5,
        1.333_355_814_641_693_6e-3,
        5.550_410_866_482_16e-2,
        std::f64::consts::LN_2,
    ];
    power(x, EVEN, ODD)
}

/// `e^x` where `x` is the difference of two values of type `T`: what has fewer digits than a double is worth a shorter
/// polynomial.
#[inline(always)]
#[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
pub(crate) fn exp_of<T: Float>(x: f64) -> f64 {
    /// 2^f on |f| <= 1/2, relative error below 2^-44.
    const EVEN: [f64; 5] = [
        1.325_522_487_866_881_7e-6,
        1.540_345_585_245_383_4e-4,
        9.618_129_159_402_558e-3,
        2.402_265_069_581_299e-1,
        1.0,
    ];
    const ODD: [f64; 5] = [
        1.020_312_106_339_172_9e-7,
        1.525_268_684_626_772e-5,
        1.333_355_817_904_311_2e-3,
        5.550_410_866_476_042_4e-2,
        std::f64::consts::LN_2,
    ];
    if T::EPSILON > f64::EPSILON { power(x, EVEN, ODD) } else { exp(x) }
}

/// 2^n 2^f with n + f = x / ln 2, by polynomials that interpolate (2^f - 1) / f at Chebyshev's nodes: even and odd powers
/// apart, as two short chains of operations wait less than one long one.
#[inline(always)]
#[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
fn power<const TERMS: usize>(x: f64, even: [f64; TERMS], odd: [f64; TERMS]) -> f64 {
    /// The bias of an exponent.
    const BIAS: f64 = 1023.0;
    /// Adding it rounds to an integer, which with the bias then stands in the low bits.
    const MAGIC: f64 = 6_755_399_441_055_744.0 + BIAS; // 1.5 * 2^52
    let power = x * std::f64::consts::LOG2_E;
    // Not `max`, which loses NaN. The exponent bits of 2^-1023 are those of zero.
    let power = if -BIAS > power { -BIAS } else { power };
    let shifted = power + MAGIC;
    let f = power - (shifted - MAGIC);
    let square = f * f;
    let series = |terms: [f64; TERMS]| terms[1..].iter().fold(terms[0], |sum, term| sum * square + term);
    (series(odd) * f + series(even)) * f64::from_bits(shifted.to_bits() << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        for i in 0..=70_800 {
            let x = -f64::from(i) / 100.0;
            let theirs = libm::exp(x);
            let check = |ours: f64, error: f64| {
                assert!((ours / theirs - 1.0).abs() <= error, "exp({x}) = {ours}, expected {theirs}");
            };
            check(exp(x), (2.0 - x) * f64::EPSILON);
            check(exp_of::<f64>(x), (2.0 - x) * f64::EPSILON);
            check(exp_of::<f32>(x), (2.0 - x) * f64::EPSILON + 2.0_f64.powi(-44));
        }
        for exp in [exp, exp_of::<f32>] {
            assert_eq!(exp(0.0), 1.0);
            assert_eq!(exp(-0.0), 1.0);
            assert_eq!(exp(f64::NEG_INFINITY), 0.0);
            assert_eq!(exp(-709.0), 0.0);
            assert!(exp(f64::NAN).is_nan());
        }
    }
}
