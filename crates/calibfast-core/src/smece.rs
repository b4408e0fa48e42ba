//! Smooth calibration error with the bandwidth that it chooses itself (Błasiok & Nakkiran 2023, arXiv 2309.12236).
//!
//! Residuals `y - p` are smoothed over confidence by a Gaussian that is reflected at 0 and 1:
//! `smECE_s = integral over [0, 1] of |E[(y - p) K_s(t, p)]| dt`, and smECE is the `s` at which `smECE_s = s`. A row at
//! 0 or 1 counts in full: what its kernel loses beyond the boundary comes back by reflection.
//!
//! On [0, 1] the reflected Gaussian is diagonal in cosines: mode k shrinks by `exp(-(pi k s)^2 / 2)`. So the residuals
//! are put on a grid of spacing `h = 2^-14`, each shared by its two neighbours, which keeps mean and mode sums up to
//! `(pi k h)^2 / 8`: an error of smECE below `h^2 / (8 s^2) E|y - p|`, 5e-6 of it at `s = .01`.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::distinct::Distinct;

const GRID: usize = 1 << 14;
/// Modes that shrink below this are left out.
const SMALLEST: f64 = 1e-12;
/// Narrowest kernel: four steps of the grid. A smaller smECE is given as this.
const NARROWEST: f64 = 4.0 / GRID as f64;

/// `cos(pi i / GRID)` for i up to `2 GRID`.
static COSINES: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..2 * GRID).map(|i| libm::cos(PI * i as f64 / GRID as f64)).collect());

/// smECE, in [0, 1].
#[must_use]
pub fn smece(rows: &Distinct) -> f64 {
    let spectrum = Spectrum::new(rows);
    let excess = |bandwidth: f64| spectrum.smoothed_error(bandwidth) - bandwidth;
    // smECE_s falls and s rises. Wide kernels are cheap, so the root is first bracketed from above ...
    let mut high = (1.0, excess(1.0));
    let mut low = high;
    while low.1 <= 0.0 {
        if low.0 <= NARROWEST {
            return NARROWEST;
        }
        high = low;
        low.0 = (low.0 / 2.0).max(NARROWEST);
        low.1 = excess(low.0);
    }
    // ... and then found by false position, halving the weight of an end that stays (Dowell & Jarratt 1971).
    let mut stayed = 0;
    while high.0 - low.0 > 1e-10 {
        let next = low.0 + (high.0 - low.0) * low.1 / (low.1 - high.1);
        let value = excess(next);
        if value.abs() < 1e-12 {
            return next;
        }
        if value > 0.0 {
            low = (next, value);
            if stayed == 1 {
                high.1 /= 2.0;
            }
            stayed = 1;
        } else {
            high = (next, value);
            if stayed == -1 {
                low.1 /= 2.0;
            }
            stayed = -1;
        }
    }
    high.0
}

/// smECE at a bandwidth of one's own.
#[must_use]
pub fn smece_at(rows: &Distinct, bandwidth: f64) -> f64 {
    Spectrum::new(rows).smoothed_error(bandwidth.max(NARROWEST))
}

/// Residuals on the grid.
struct Spectrum {
    /// Points of the grid that have a residual, with it.
    residuals: Vec<(usize, f64)>,
    /// Sums of residuals with the modes, as far as they were asked for.
    modes: std::cell::RefCell<Vec<f64>>,
}

impl Spectrum {
    fn new(rows: &Distinct) -> Self {
        let mut residuals = vec![0.0; GRID + 1];
        let total = rows.total();
        for tie in rows.ties() {
            let residual = (tie.hits - tie.weight * tie.confidence) / total;
            let place = tie.confidence * GRID as f64;
            let left = (place as usize).min(GRID - 1);
            let share = place - left as f64;
            residuals[left] += residual * (1.0 - share);
            residuals[left + 1] += residual * share;
        }
        let residuals = residuals.into_iter().enumerate().filter(|&(_, residual)| residual != 0.0).collect();
        Self { residuals, modes: Vec::new().into() }
    }

    /// Sum of residuals with the first `count` modes.
    fn modes(&self, count: usize) -> std::cell::Ref<'_, [f64]> {
        let known = self.modes.borrow().len();
        let new = (known..count).map(|k| {
            let products = self.residuals.iter().map(|&(i, r)| r * COSINES[i * k % (2 * GRID)]);
            products.sum::<f64>()
        });
        let new: Vec<f64> = new.collect();
        self.modes.borrow_mut().extend(new);
        std::cell::Ref::map(self.modes.borrow(), |modes| &modes[..count])
    }

    /// `smECE_s`.
    fn smoothed_error(&self, bandwidth: f64) -> f64 {
        let reach = (-2.0 * libm::log(SMALLEST)).sqrt() / (PI * bandwidth);
        let modes = self.modes((reach.ceil() as usize + 1).min(GRID));
        let shrunk: Vec<f64> = modes
            .iter()
            .enumerate()
            .map(|(k, mode)| {
                let shrink = libm::exp(-(PI * k as f64 * bandwidth).powi(2) / 2.0);
                if k == 0 { *mode } else { 2.0 * mode * shrink }
            })
            .collect();
        // The smoothed residuals change over a bandwidth: sixteen points in each see where their sign changes. Between
        // two such places the integral is known in closed form.
        let points = ((16.0 / bandwidth) as usize).clamp(64, GRID).next_power_of_two();
        let step = GRID / points;
        let smoothed = |i: usize| -> f64 {
            shrunk.iter().enumerate().map(|(k, mode)| mode * COSINES[i * step * k % (2 * GRID)]).sum()
        };
        let (mut sum, mut reached, mut before) = (0.0, 0.0, smoothed(0));
        for i in 1..=points {
            let after = smoothed(i);
            if before * after < 0.0 {
                let left = (i - 1) as f64 / points as f64;
                let here = primitive(&shrunk, zero(&shrunk, (left, before), (i as f64 / points as f64, after)));
                sum += (here - reached).abs();
                reached = here;
            }
            before = after;
        }
        sum + (primitive(&shrunk, 1.0) - reached).abs()
    }
}

/// The cosine series with these modes at `t`.
fn series(modes: &[f64], t: f64) -> f64 {
    modes.iter().enumerate().map(|(k, mode)| mode * libm::cos(PI * k as f64 * t)).sum()
}

/// Its integral from 0 to `t`.
fn primitive(modes: &[f64], t: f64) -> f64 {
    let wave = |(k, mode): (usize, &f64)| mode * libm::sin(PI * k as f64 * t) / (PI * k as f64);
    modes[0] * t + modes.iter().enumerate().skip(1).map(wave).sum::<f64>()
}

/// Where the series is zero between two points of different sign. An error of the place counts only by its square, so
/// two steps of false position after the first are plenty.
fn zero(modes: &[f64], mut left: (f64, f64), mut right: (f64, f64)) -> f64 {
    let cross = |a: (f64, f64), b: (f64, f64)| a.0 + (b.0 - a.0) * a.1 / (a.1 - b.1);
    for _ in 0..2 {
        let at = cross(left, right);
        let value = series(modes, at);
        *(if value * left.1 > 0.0 { &mut left } else { &mut right }) = (at, value);
    }
    cross(left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(p: &[f64], y: &[u8]) -> Distinct {
        Distinct::new(p, y, None, 1).unwrap()
    }

    #[test]
    fn one_sign_is_the_mean_gap() {
        // All residuals are positive, so smoothing loses nothing: not even what the boundary reflects.
        for p in [[0.0, 0.2], [0.3, 0.9], [0.999, 0.5]] {
            let rows = rows(&p, &[1, 1]);
            let gap = 1.0 - f64::midpoint(p[0], p[1]);
            assert!((smece_at(&rows, 0.1) - gap).abs() < 1e-12);
            assert!((smece(&rows) - gap).abs() < 1e-9);
        }
    }

    #[test]
    fn two_residuals_that_cancel() {
        // -1/4 at 1/2 - d and +1/4 at 1/2 + d under a narrow kernel: the absolute sum of two halves of a Gaussian,
        // erf(d / (s sqrt 2)) / 2.
        let (d, s) = (0.05, 0.04);
        let rows = rows(&[0.5 - d, 0.5 + d, 0.5 - d, 0.5 + d], &[0, 1, 0, 1]);
        let residual = 0.25 - d / 2.0 + 0.25 - d / 2.0;
        let expected = residual * libm::erf(d / (s * 2.0_f64.sqrt()));
        assert!((smece_at(&rows, s) - expected).abs() < 2.0_f64.powi(-31) / (s * s));
    }

    #[test]
    fn signs_change_where_the_smoothed_residuals_do() {
        // Confidences on the grid lose nothing to it. The reference sums reflected Gaussians, whose integrals between
        // the two places where the sign changes, found by halving, are differences of erf.
        let (p, y, s) = ([0.25, 0.5, 0.8125], [1, 0, 1], 0.1);
        let reflected = |of: &dyn Fn(f64) -> f64| -> f64 {
            let rows = p.iter().zip(y).map(|(p, y)| {
                (f64::from(y) - p) / 3.0
                    * (-2..=2).map(|m| f64::from(2 * m)).map(|m| of(m + p) + of(m - p)).sum::<f64>()
            });
            rows.sum()
        };
        let density = |t: f64| reflected(&|mean| libm::exp(-((t - mean) / s).powi(2) / 2.0));
        let integral = |t: f64| reflected(&|mean| libm::erf((t - mean) / (s * 2.0_f64.sqrt())) / 2.0);
        let change = |mut low: f64, mut high: f64| {
            let sign = density(low).signum();
            for _ in 0..60 {
                let middle = f64::midpoint(low, high);
                *(if density(middle).signum() == sign { &mut low } else { &mut high }) = middle;
            }
            low
        };
        let places = [0.0, change(0.25, 0.5), change(0.5, 0.8125), 1.0].map(integral);
        let expected: f64 = places.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
        assert!((smece_at(&rows(&p, &y), s) - expected).abs() < 1e-11);
    }

    #[test]
    fn nothing_wrong_is_the_narrowest_kernel() {
        assert_eq!(smece(&rows(&[0.0, 1.0], &[0, 1])), NARROWEST);
    }
}
