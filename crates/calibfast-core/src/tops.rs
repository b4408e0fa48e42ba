//! What states and users ask of rows of options, many rows at a time, by the kernel that suits their number of options.
#![allow(clippy::inline_always)] // into loops that are compiled for each instruction set

use pulp::{Simd, WithSimd};

use crate::classwise::Classwise;
use crate::error::Result;
use crate::float::Float;
use crate::narrow::{self, ROWS, Tile};
use crate::options::{Form, Options, Row, WIDE, tolerance};
use crate::{simd, wide};

/// What is known of rows one by one, and where their classes go.
#[derive(Default)]
pub(crate) struct Tops<'a> {
    /// Confidence of the top option.
    pub(crate) confidence: Vec<f64>,
    /// Whether the top option is the label.
    pub(crate) hit: Vec<u8>,
    /// Where they are asked for.
    pub(crate) scores: Option<RowScores>,
    pub(crate) classwise: Option<Classwise<'a>>,
}

/// Scores of rows, and the number of options that each has.
#[derive(Default)]
pub(crate) struct RowScores {
    pub(crate) brier: Vec<f64>,
    pub(crate) nll: Vec<f64>,
    pub(crate) present: Vec<usize>,
}

/// Where rows are worked on: made once for many reads.
pub(crate) struct Room<W> {
    tile: Box<Tile<W>>,
    buffer: Vec<W>,
}

impl<W: Float> Default for Room<W> {
    fn default() -> Self {
        Self { tile: Tile::new(), buffer: Vec::new() }
    }
}

impl Tops<'_> {
    /// Read rows behind those that are there already.
    ///
    /// # Errors
    /// The first row at fault.
    pub(crate) fn read<T: Float>(
        &mut self,
        options: &Options<T>,
        labels: &[i64],
        room: &mut Room<T::Wide>,
    ) -> Result<()> {
        simd::dispatch(Read { tops: self, options, labels, room })
    }

    /// Forget the rows, but for their classes.
    pub(crate) fn clear(&mut self) {
        self.confidence.clear();
        self.hit.clear();
        if let Some(scores) = &mut self.scores {
            scores.brier.clear();
            scores.nll.clear();
            scores.present.clear();
        }
    }

    fn push(&mut self, confidence: f64, hit: bool) {
        self.confidence.push(confidence);
        self.hit.push(hit.into());
    }

    /// The plain loop, which every kernel must equal.
    #[inline(always)]
    fn read_plain<T: Float>(&mut self, options: &Options<T>, labels: &[i64], first: usize) -> Result<()> {
        let mut row = Row::default();
        for (index, &label) in (first..).zip(labels) {
            self.read_row(options, label, index, &mut row)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn read_row<T: Float>(&mut self, options: &Options<T>, label: i64, index: usize, row: &mut Row) -> Result<()> {
        options.read(index, row)?;
        let label = options.check_label(index, label)?;
        self.push(row.confidence(), row.top == label);
        if let Some(scores) = &mut self.scores {
            scores.brier.push(row.brier(label));
            scores.nll.push(row.nll(label, || options.logit_gap(index, row.top, label)));
            scores.present.push(row.present);
        }
        if let Some(classwise) = &mut self.classwise {
            let ragged = row.present < options.classes;
            let is_present = |class| options.is_present(index, class);
            if options.classes < WIDE {
                classwise.insert_plain(row, |class| !ragged || is_present(class), label);
            } else {
                classwise.insert_row(row.shares(), row.sum(), label, ragged.then_some(is_present));
            }
        }
        Ok(())
    }

    /// A tile whose rows are sound.
    #[inline(always)]
    fn push_tile<W: Float>(&mut self, tile: &mut Tile<W>, tiled: &Options<W>, labels: &[i64; ROWS]) {
        let Options { values, classes, form, .. } = *tiled;
        self.confidence.extend_from_slice(&tile.confidence);
        self.hit.extend_from_slice(&tile.hit);
        if let Some(scores) = &mut self.scores {
            scores.nll.extend_from_slice(&tile.nll(values, form, labels));
            scores.present.extend(tile.present.iter().map(|&present| present as usize));
        }
        if self.scores.is_none() && self.classwise.is_none() {
            return;
        }
        let ragged = tile.present != [classes as f64; ROWS];
        match form {
            Form::Logits => self.push_columns(tile.divide(classes), tiled, ragged, labels),
            Form::Probabilities => self.push_columns(tile.values(classes), tiled, ragged, labels),
        }
    }

    /// What is made of probabilities given option by option.
    #[inline(always)]
    fn push_columns<P: Float, W: Float>(
        &mut self,
        probs: &[[P; ROWS]],
        tiled: &Options<W>,
        ragged: bool,
        labels: &[i64; ROWS],
    ) {
        if let Some(scores) = &mut self.scores {
            scores.brier.extend_from_slice(&narrow::brier(probs, labels));
        }
        if let Some(classwise) = &mut self.classwise {
            let is_present = |row, class| tiled.is_present(row, class);
            classwise.insert_columns(probs, labels, ragged.then_some(is_present));
        }
    }
}

struct Read<'a, 'b, T: Float> {
    tops: &'a mut Tops<'b>,
    options: &'a Options<'a, T>,
    labels: &'a [i64],
    room: &'a mut Room<T::Wide>,
}

impl<T: Float> WithSimd for Read<'_, '_, T> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Result<()> {
        let Self { tops, options, labels, room: Room { tile, buffer } } = self;
        let Options { classes, form, .. } = *options;
        if classes < WIDE {
            let (tiles, rest) = labels.as_chunks::<ROWS>();
            for (i, labels) in tiles.iter().enumerate() {
                let part = options.slice(i * ROWS..(i + 1) * ROWS);
                let values = T::widen(part.values, buffer);
                let tiled = Options { values, classes, form, mask: part.mask };
                if tile.read(values, part.mask, form, T::EPSILON, labels) {
                    tops.push_tile(tile, &tiled, labels);
                } else {
                    tops.read_plain(options, labels, i * ROWS)?;
                }
            }
            return tops.read_plain(options, rest, tiles.len() * ROWS);
        }
        let by_class = tops.classwise.is_some();
        if options.mask.is_some() || tops.scores.is_some() || by_class && form == Form::Logits {
            return tops.read_plain(options, labels, 0);
        }
        let tolerance = tolerance(classes as f64, T::EPSILON);
        for (row, (values, &label)) in options.values.chunks_exact(classes).zip(labels).enumerate() {
            let values = T::widen(values, buffer);
            let column = usize::try_from(label).ok().filter(|&label| label < classes);
            let top = column.and_then(|column| match form {
                Form::Logits => wide::softmax(values, column),
                Form::Probabilities => wide::probabilities(values, column, tolerance),
            });
            match top {
                Some((confidence, hit)) => {
                    tops.push(confidence, hit);
                    if let (Some(classwise), Some(label)) = (&mut tops.classwise, column) {
                        classwise.insert_row(values, 1.0, label, None::<fn(usize) -> bool>);
                    }
                }
                None => tops.read_plain(options, &[label], row)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;
    use crate::edges::Edges;
    use crate::state::{Parts, State};

    /// Options and what kernels may misread: ties, absent ones, and now and then a value or a label at fault.
    #[derive(Clone, Debug)]
    struct Rows {
        classes: usize,
        logits: Vec<Option<f64>>,
        labels: Vec<i64>,
        fault: Option<(usize, f64)>,
    }

    fn rows() -> impl Strategy<Value = Rows> {
        (prop_oneof![1..20_usize, 60..200_usize], 1..300_usize).prop_flat_map(|(classes, rows)| {
            let rows = if classes < WIDE { rows } else { rows / 20 + 1 };
            let logit = prop_oneof![
                8 => (-9.0..9.0_f64).prop_map(Some),
                4 => (-3..3_i8).prop_map(|logit| Some(logit.into())),
                1 => prop::sample::select(vec![None, Some(-0.0), Some(-800.0), Some(30.0)]),
            ];
            let fault = prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2.0, 1e30]);
            let labels = 0..classes as i64 + i64::from(rows % 8 == 7);
            let logits = prop::collection::vec(logit, rows * classes);
            (logits, prop::collection::vec(labels, rows), prop::option::weighted(0.3, (0..rows * classes, fault)))
                .prop_map(move |(logits, labels, fault)| Rows { classes, logits, labels, fault })
        })
    }

    impl Rows {
        /// Labels moved on to an option that is present.
        fn labels(&self) -> Vec<i64> {
            let moved = |(row, &label): (&[Option<f64>], &i64)| {
                if label as usize == row.len() {
                    return label;
                }
                (label..label + row.len() as i64)
                    .find(|&k| row[k as usize % row.len()].is_some())
                    .map_or(label, |k| k % row.len() as i64)
            };
            self.logits.chunks(self.classes).zip(&self.labels).map(moved).collect()
        }

        fn probs(&self) -> Vec<f64> {
            let softmax = |row: &[Option<f64>]| {
                let max = row.iter().flatten().fold(-1e300, |max: f64, &logit| max.max(logit));
                let shares: Vec<f64> = row.iter().map(|logit| logit.map_or(0.0, |logit| (logit - max).exp())).collect();
                let sum: f64 = shares.iter().sum();
                shares.into_iter().map(move |share| share / sum)
            };
            self.logits.chunks(self.classes).flat_map(softmax).collect()
        }
    }

    fn check<T: Float>(
        rows: &Rows,
        mut values: Vec<f64>,
        form: Form,
        mask: Option<&[bool]>,
    ) -> std::result::Result<(), TestCaseError> {
        if let Some((at, fault)) = rows.fault {
            values[at] = fault;
        }
        let values: Vec<T> = values.into_iter().map(T::nearest).collect();
        let options = Options { values: &values, classes: rows.classes, form, mask };
        let labels = rows.labels();
        let (mut vector, mut plain) = (Tops::default(), Tops::default());
        prop_assert_eq!(
            vector.read(&options, &labels, &mut Room::default()).map_err(|error| error.to_string()),
            plain.read_plain(&options, &labels, 0).map_err(|error| error.to_string())
        );
        // Vector kernels take whatever is sound, and that alone.
        let (size, mut tile, mut buffer) = (if rows.classes < WIDE { ROWS } else { 1 }, Tile::new(), Vec::new());
        for (i, labels) in labels.chunks_exact(size).enumerate().filter(|_| mask.is_none() || size > 1) {
            let part = options.slice(i * size..(i + 1) * size);
            let wide = T::widen(part.values, &mut buffer);
            let taken = match (<&[i64; ROWS]>::try_from(labels), form) {
                (Ok(labels), _) => tile.read(wide, part.mask, form, T::EPSILON, labels),
                _ if labels[0] >= rows.classes as i64 => false,
                (_, Form::Logits) => wide::softmax(wide, labels[0] as usize).is_some(),
                (_, Form::Probabilities) => {
                    let tolerance = tolerance(rows.classes as f64, T::EPSILON);
                    wide::probabilities(wide, labels[0] as usize, tolerance).is_some()
                }
            };
            prop_assert_eq!(taken, Tops::default().read_plain(&part, labels, 0).is_ok());
        }
        let bits = |tops: &Tops| tops.confidence.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!((bits(&vector), vector.hit), (bits(&plain), plain.hit));

        let edges = match rows.labels[0] % 3 {
            0 => Edges::explicit(vec![0.0, 0.2, 0.7, 1.0]),
            1 => Edges::equal_width(15),
            _ => Edges::equal_width(200),
        }
        .unwrap();
        let lookup = if form == Form::Logits { edges.lookup::<f64>() } else { edges.lookup::<T>() };
        let mut vector = State::new(edges, Parts { classwise: true, scores: true, ..Parts::default() });
        vector = vector.fresh_for(rows.classes, false);
        let mut plain = vector.clone();
        let read = vector.insert_options(&options, &labels, &[], &lookup);
        if read.is_ok() {
            plain.insert_plain(&options, &labels, None, &lookup).unwrap();
            prop_assert_eq!(vector, plain);
        }
        Ok(())
    }

    #[test]
    fn what_a_mask_leaves_out_is_looked_at_and_nothing_is_above_one() {
        let row =
            |fault| Rows { classes: 3, logits: vec![Some(0.0); 3 * ROWS], labels: vec![0; ROWS], fault: Some(fault) };
        let mask: Vec<bool> = (0..3 * ROWS).map(|i| i != 7).collect();
        for fault in [f64::NAN, f64::INFINITY] {
            check::<f64>(&row((7, fault)), vec![0.0; 3 * ROWS], Form::Logits, Some(&mask)).unwrap();
        }
        check::<f64>(&row((3, 1.0 + f64::EPSILON)), [1.0, 0.0, 0.0].repeat(ROWS), Form::Probabilities, None).unwrap();
    }

    proptest! {
        #[test]
        fn every_kernel_reads_as_the_plain_loop(rows in rows()) {
            let mask: Vec<bool> = rows.logits.iter().map(Option::is_some).collect();
            let logits = |absent: f64| rows.logits.iter().map(|logit| logit.unwrap_or(absent)).collect();
            macro_rules! check {
                ($($type:ty),*) => {$(
                    check::<$type>(&rows, logits(f64::NEG_INFINITY), Form::Logits, None)?;
                    check::<$type>(&rows, logits(5.0), Form::Logits, Some(&mask))?;
                    check::<$type>(&rows, rows.probs(), Form::Probabilities, None)?;
                    check::<$type>(&rows, rows.probs(), Form::Probabilities, Some(&mask))?;
                )*};
            }
            check!(f64, f32, f16, bf16);
        }
    }
}
