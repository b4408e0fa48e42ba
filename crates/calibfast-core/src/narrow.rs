//! Rows of few options, a tile of rows at a time: vectors run over rows, one option after the other.
//!
//! It gives the very numbers of [`Row`](crate::options::Row), and leaves to that whatever it finds odd.
#![allow(clippy::inline_always)] // into loops that are compiled for each instruction set
#![allow(clippy::needless_range_loop, clippy::needless_bitwise_bool)] // lane by lane, and without a branch

use crate::exp::exp_of;
use crate::float::Float;
use crate::log::log;
use crate::options::{Form, WIDE, tolerance};
use crate::two_phase;

/// Rows of a tile.
pub(crate) const ROWS: usize = two_phase::ROWS;

type Column<W = f64> = [W; ROWS];

/// Do work with the number of options as a constant, so that the compiler can use shuffles and registers.
macro_rules! with_constant {
    ($classes:expr, $constant:ident => $work:expr) => {
        with_constant!($classes, $constant => $work; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($classes:expr, $constant:ident => $work:expr; $($literal:literal)*) => {
        match $classes {
            $($literal => {
                const $constant: usize = $literal;
                $work
            })*
            _ => unreachable!("more options than a tile holds"),
        }
    };
}

/// Rows of options, option by option, and what they come to.
pub(crate) struct Tile<W> {
    values: [Column<W>; WIDE],
    /// The exponentials of logits, which are probabilities once divided by `sum`; 0 where an option is absent.
    shares: [Column; WIDE],
    sum: Column,
    /// The largest value, and the index of the first that is as large.
    max: Column<W>,
    top: Column<u32>,
    pub(crate) present: Column,
    pub(crate) confidence: Column,
    pub(crate) hit: [u8; ROWS],
}

impl<W: Float> Tile<W> {
    pub(crate) fn new() -> Box<Self> {
        let (column, values) = ([0.0; ROWS], [W::nearest(0.0); ROWS]);
        Box::new(Self {
            values: [values; WIDE],
            shares: [column; WIDE],
            sum: column,
            max: values,
            top: [0; ROWS],
            present: column,
            confidence: column,
            hit: [0; ROWS],
        })
    }

    /// Read `ROWS` rows and their labels; whether all is as it should be.
    #[inline(always)]
    pub(crate) fn read(
        &mut self,
        values: &[W],
        mask: Option<&[bool]>,
        form: Form,
        epsilon: f64,
        labels: &[i64; ROWS],
    ) -> bool {
        let classes = values.len() / ROWS;
        self.present = [classes as f64; ROWS];
        with_constant!(classes, CLASSES => self.load::<CLASSES>(values));
        let mut sound = mask.is_none_or(|mask| self.leave_out(mask, classes, form));
        let least = with_constant!(classes, CLASSES => self.find_top::<CLASSES>());
        sound &= match form {
            Form::Logits => {
                if least == f64::NEG_INFINITY {
                    self.count_absent(classes);
                }
                self.softmax(classes)
            }
            Form::Probabilities => least >= 0.0 && self.check_sums(classes, epsilon),
        };
        for i in 0..ROWS {
            sound &= (labels[i] as u64) < classes as u64;
            self.hit[i] = u8::from(u64::from(self.top[i]) == labels[i] as u64);
        }
        let is_present = |(row, &label): (usize, &i64)| {
            let i = row * classes + label as usize;
            mask.is_none_or(|mask| mask[i]) && (form == Form::Probabilities || values[i].to_f64() != f64::NEG_INFINITY)
        };
        let whole = mask.is_none() && least > f64::NEG_INFINITY;
        sound && (whole || labels.iter().enumerate().all(is_present))
    }

    /// The values, option by option: probabilities where these were given.
    pub(crate) fn values(&self, classes: usize) -> &[Column<W>] {
        &self.values[..classes]
    }

    /// The probabilities of logits, option by option.
    #[inline(always)]
    pub(crate) fn divide(&mut self, classes: usize) -> &[Column] {
        let columns = &mut self.shares[..classes];
        for column in &mut *columns {
            for i in 0..ROWS {
                column[i] /= self.sum[i];
            }
        }
        columns
    }

    /// NLL of the labels.
    #[inline(always)]
    pub(crate) fn nll(&self, values: &[W], form: Form, labels: &[i64; ROWS]) -> Column {
        let classes = values.len() / ROWS;
        let mut nll = [0.0; ROWS];
        for i in 0..ROWS {
            nll[i] = values[i * classes + labels[i] as usize].to_f64();
        }
        for i in 0..ROWS {
            nll[i] = match form {
                Form::Logits => log(self.sum[i]) + (self.max[i].to_f64() - nll[i]),
                Form::Probabilities => -log(nll[i]),
            };
        }
        nll
    }

    /// Rows into columns.
    #[inline(always)]
    fn load<const CLASSES: usize>(&mut self, values: &[W]) {
        for (i, row) in values.as_chunks::<CLASSES>().0.iter().enumerate().take(ROWS) {
            for k in 0..CLASSES {
                self.values[k][i] = row[k];
            }
        }
    }

    /// Take out what the mask leaves out; whether it may be.
    #[inline(always)]
    fn leave_out(&mut self, mask: &[bool], classes: usize, form: Form) -> bool {
        let mut sound = true;
        for (k, column) in self.values[..classes].iter_mut().enumerate() {
            for i in 0..ROWS {
                let present = mask[i * classes + k];
                let value = column[i].to_f64();
                if form == Form::Logits {
                    sound &= value < f64::INFINITY;
                    column[i] = if present { column[i] } else { W::nearest(f64::NEG_INFINITY) };
                } else {
                    sound &= present || value == 0.0;
                    self.present[i] -= f64::from(u8::from(!present));
                }
            }
        }
        sound
    }

    /// The largest of every row, and the least of all.
    #[inline(always)]
    fn find_top<const CLASSES: usize>(&mut self) -> f64 {
        /// As many as the widest vector holds.
        const LANES: usize = 16;
        let infinity = W::nearest(f64::INFINITY);
        let mut least = [infinity; LANES];
        for chunk in 0..ROWS / LANES {
            for lane in 0..LANES {
                let i = chunk * LANES + lane;
                let (mut max, mut top) = (self.values[0][i], 0);
                let mut min = if max < least[lane] { max } else { least[lane] };
                for k in 1..CLASSES {
                    let value = self.values[k][i];
                    let larger = value > max;
                    max = if larger { value } else { max };
                    top = if larger { k as u32 } else { top };
                    min = if value < min { value } else { min };
                }
                self.max[i] = max;
                self.top[i] = top;
                least[lane] = min;
            }
        }
        least.iter().fold(infinity, |least, &value| if value < least { value } else { least }).to_f64()
    }

    #[cold]
    #[inline(never)]
    fn count_absent(&mut self, classes: usize) {
        for column in &self.values[..classes] {
            for i in 0..ROWS {
                self.present[i] -= f64::from(u8::from(column[i].to_f64() == f64::NEG_INFINITY));
            }
        }
    }

    /// NaN, an infinite logit and a row of nothing all make a sum that is no number.
    #[inline(always)]
    fn softmax(&mut self, classes: usize) -> bool {
        /// Options at a time: a row's sum stays in its register meanwhile.
        const AT_ONCE: usize = 4;
        self.sum = [0.0; ROWS];
        let (values, rest) = self.values[..classes].as_chunks::<AT_ONCE>();
        let (shares, shares_of_rest) = self.shares[..classes].as_chunks_mut::<AT_ONCE>();
        for (values, shares) in values.iter().zip(shares) {
            exponentials(values, shares, &self.max, &mut self.sum);
        }
        for (value, share) in rest.iter().zip(shares_of_rest) {
            exponentials(std::array::from_ref(value), std::array::from_mut(share), &self.max, &mut self.sum);
        }
        let mut sound = true;
        for i in 0..ROWS {
            sound &= self.sum[i] >= 1.0;
            self.confidence[i] = 1.0 / self.sum[i];
        }
        sound
    }

    #[inline(always)]
    fn check_sums(&mut self, classes: usize, epsilon: f64) -> bool {
        let mut sums = [0.0; ROWS];
        for column in &self.values[..classes] {
            for i in 0..ROWS {
                sums[i] += column[i].to_f64();
            }
        }
        (0..ROWS).fold(true, |sound, i| {
            self.confidence[i] = self.max[i].to_f64();
            let off = (sums[i] - 1.0).abs() > tolerance(self.present[i], epsilon);
            sound & !(off | sums[i].is_nan() | (self.confidence[i] > 1.0) | (self.present[i] == 0.0))
        })
    }
}

/// Exponentials of some options' logits below the largest, which are added to the sums.
#[inline(always)]
fn exponentials<W: Float, const CLASSES: usize>(
    values: &[Column<W>; CLASSES],
    shares: &mut [Column; CLASSES],
    max: &Column<W>,
    sum: &mut Column,
) {
    for i in 0..ROWS {
        let (max, mut total) = (max[i].to_f64(), sum[i]);
        for k in 0..CLASSES {
            shares[k][i] = exp_of::<W>(values[k][i].to_f64() - max);
            total += shares[k][i];
        }
        sum[i] = total;
    }
}

/// Brier scores of rows given option by option.
#[inline(always)]
pub(crate) fn brier<P: Float>(probs: &[Column<P>], labels: &[i64; ROWS]) -> Column {
    let mut brier = [0.0; ROWS];
    for (class, p) in probs.iter().enumerate() {
        for i in 0..ROWS {
            let gap = p[i].to_f64() - if labels[i] == class as i64 { 1.0 } else { 0.0 };
            brier[i] += gap * gap;
        }
    }
    brier
}
