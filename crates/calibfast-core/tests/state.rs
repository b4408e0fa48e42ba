//! The state against integer arithmetic written out, and its invariances.

use calibfast_core::{Cells, Edges, Error, Float, Form, Norm, Options, Parts, State, parallel};
use half::{bf16, f16};
use proptest::prelude::*;
use serde::Deserialize;

const ALL: Parts = Parts { classwise: true, scores: true, norm: Norm::L1 };

/// Count, hits, and the sum of floor(p 2^62), bin by bin, by comparing with every edge.
fn integers(p: &[f64], y: &[u8], edges: &[f64]) -> Vec<(u64, u64, u128)> {
    let mut bins = vec![(0, 0, 0); edges.len()];
    for (&p, &y) in p.iter().zip(y) {
        let m = edges.iter().filter(|&&edge| edge < p).count();
        bins[m].0 += 1;
        bins[m].1 += u64::from(y);
        bins[m].2 += (p * 2.0_f64.powi(62)).floor() as u128;
    }
    bins
}

/// What the state itself has counted, out of its JSON.
fn counted(state: &State) -> Vec<(u64, u64, u128)> {
    #[derive(Deserialize)]
    struct Document {
        state: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        confidence: Cells,
    }
    let document: Document = serde_json::from_str(&state.to_json()).unwrap();
    let Cells::Plain(cells) = document.state.confidence else { panic!("the rows have no weights") };
    cells.iter().map(|cell| (cell.count, cell.hits, cell.confidence)).collect()
}

/// Values where kernels go wrong: edges and their neighbours, 0, 1, tiny and subnormal numbers, ties.
macro_rules! hard {
    ($name:ident, $type:ty, $subnormal:expr) => {
        fn $name(bins: usize) -> impl Strategy<Value = $type> {
            let neighbour = (0..=bins, -2..=2_i32).prop_map(move |(m, step)| {
                let edge = (m as f64 / bins as f64) as $type;
                <$type>::from_bits(edge.to_bits().saturating_add_signed(step.into())).clamp(0.0, 1.0)
            });
            prop_oneof![
                4 => neighbour,
                2 => 0.0..=1.0 as $type,
                1 => ($subnormal..0_i32).prop_map(|exponent| 2.0_f64.powi(exponent) as $type),
                1 => prop::sample::select(
                    vec![0.0, -0.0, 1.0, <$type>::MIN_POSITIVE, <$type>::from_bits(1), 1.0 / 256.0, 0.003_906_2]
                ),
            ]
        }
    };
}
hard!(hard_f32, f32, -149);
hard!(hard_f64, f64, -1074);

/// Weights of ordinary size, 0, and now and then of any size.
fn weight() -> impl Strategy<Value = f64> {
    prop_oneof![
        300 => 0.0..10.0_f64,
        30 => Just(0.0),
        1 => (-1074..1000_i32).prop_map(|exponent| 2.0_f64.powi(exponent)),
    ]
}

/// Rows of hard values, in as many bins as the kernels tell apart.
fn rows<T, S>(hard: fn(usize) -> S) -> impl Strategy<Value = (usize, Vec<(T, u8)>)>
where
    T: std::fmt::Debug,
    S: Strategy<Value = T>,
{
    prop_oneof![6 => 1..140_usize, 1 => 140..2_100_usize]
        .prop_flat_map(move |bins| (Just(bins), prop::collection::vec((hard(bins), 0..2_u8), 0..700)))
}

proptest! {
    #[test]
    fn the_vector_kernels_count_as_integers_do((bins, rows) in rows(hard_f32), (bins_64, rows_64) in rows(hard_f64)) {
        let (p, y): (Vec<f32>, Vec<u8>) = rows.into_iter().unzip();
        let mut state = State::new(Edges::equal_width(bins).unwrap(), Parts::default());
        state.update_confidences(&p, &y, None).unwrap();
        let edges: Vec<f64> = (1..=bins).map(|m| f64::from((m as f64 / bins as f64) as f32)).collect();
        let p: Vec<f64> = p.into_iter().map(f64::from).collect();
        prop_assert_eq!(counted(&state), integers(&p, &y, &edges));

        let (p, y): (Vec<f64>, Vec<u8>) = rows_64.into_iter().unzip();
        let mut state = State::new(Edges::equal_width(bins_64).unwrap(), Parts::default());
        state.update_confidences(&p, &y, None).unwrap();
        let edges: Vec<f64> = (1..=bins_64).map(|m| m as f64 / bins_64 as f64).collect();
        prop_assert_eq!(counted(&state), integers(&p, &y, &edges));
    }

    #[test]
    fn halves_and_doubles_count_as_integers_do(
        bins in prop_oneof![1..200_usize, 2_000..5_000_usize],
        rows in prop::collection::vec((0.0..=1.0_f64, 0..2_u8), 1..100),
    ) {
        let y: Vec<u8> = rows.iter().map(|row| row.1).collect();
        macro_rules! check {
            ($type:ty) => {
                let p: Vec<$type> = rows.iter().map(|row| <$type>::from_f64(row.0)).collect();
                let mut state = State::new(Edges::equal_width(bins).unwrap(), Parts::default());
                state.update_confidences(&p, &y, None).unwrap();
                let edge = |m: usize| <$type as Float>::round(m as f64 / bins as f64);
                let edges: Vec<f64> = (1..=bins).map(edge).collect();
                let p: Vec<f64> = p.iter().map(|p| p.to_f64()).collect();
                prop_assert_eq!(counted(&state), integers(&p, &y, &edges));
            };
        }
        check!(f16);
        check!(bf16);
        let p: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let mut state = State::new(Edges::equal_width(bins).unwrap(), Parts::default());
        state.update_confidences(&p, &y, None).unwrap();
        let edges: Vec<f64> = (1..=bins).map(|m| m as f64 / bins as f64).collect();
        prop_assert_eq!(counted(&state), integers(&p, &y, &edges));
    }

    #[test]
    fn parts_merge_to_the_whole(
        rows in prop::collection::vec((prop::array::uniform4(-9.0..9.0_f64), 0..4_i64, 0.0..5.0_f64), 1..80),
        cut in 0..80_usize,
        weighted in any::<bool>(),
    ) {
        let cut = cut.min(rows.len());
        let of = |rows: &[([f64; 4], i64, f64)]| {
            let values: Vec<f64> = rows.iter().flat_map(|row| row.0).collect();
            let labels: Vec<i64> = rows.iter().map(|row| row.1).collect();
            let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
            let mut state = State::new(Edges::equal_width(10).unwrap(), ALL);
            let options = Options { values: &values, classes: 4, form: Form::Logits, mask: None };
            state.update_options(&options, &labels, weighted.then_some(&weights)).unwrap();
            state
        };
        let whole = of(&rows);
        let (mut left, mut right) = (of(&rows[..cut]), of(&rows[cut..]));
        let original = left.clone();
        left.merge(&right).unwrap();
        right.merge(&original).unwrap();
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(right.to_bytes(), whole.to_bytes());
        prop_assert_eq!(State::from_bytes(&whole.to_bytes()).unwrap(), whole.clone());
        prop_assert_eq!(State::from_json(&whole.to_json()).unwrap(), whole);
    }

    #[test]
    fn weighted_rows_count_as_one_by_one(
        bins in 1..4_usize,
        rows in prop::collection::vec((hard_f64(3), 0..2_u8, weight()), 1..300),
    ) {
        let fresh = State::new(Edges::equal_width(bins).unwrap(), Parts { scores: true, ..Parts::default() });
        let p: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let y: Vec<u8> = rows.iter().map(|row| row.1).collect();
        let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let (mut whole, mut one_by_one) = (fresh.fresh(), fresh.fresh());
        whole.update_confidences(&p, &y, Some(&weights)).unwrap();
        for row in 0..p.len() {
            let row = row..row + 1;
            one_by_one.update_confidences(&p[row.clone()], &y[row.clone()], Some(&weights[row])).unwrap();
        }
        prop_assert_eq!(whole.to_bytes(), one_by_one.to_bytes());
        let total: f64 = p.iter().zip(&weights).map(|(p, weight)| p * weight).sum();
        // Every confidence is cut off at 2^-62.
        let cut = weights.iter().sum::<f64>() * 2.0_f64.powi(-62);
        prop_assert!((whole.total().confidence - total).abs() <= 1e-9 * total + cut);
    }

    #[test]
    fn bytes_of_any_kind_are_refused_and_not_believed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(State::from_bytes(&bytes).is_err());
        let mut framed = b"CFST\x01\x00".to_vec();
        framed.extend(bytes);
        framed.extend(crc32fast::hash(&framed).to_le_bytes());
        let _ = State::from_bytes(&framed); // with a right checksum: refused or sound, and never a panic
    }
}

#[test]
fn threads_change_nothing() {
    let p: Vec<f32> = (0..100_000).map(|i| (i % 9_973) as f32 / 9_972.0).collect();
    let y: Vec<u8> = (0..100_000).map(|i| u8::from(i % 3 == 0)).collect();
    let fresh = State::new(Edges::equal_width(15).unwrap(), Parts { scores: true, ..Parts::default() });
    let on = |threads| {
        let parts = parallel::map(p.len(), threads, 1, |range| {
            let mut part = fresh.fresh();
            part.update_confidences(&p[range.clone()], &y[range], None)?;
            Ok(part)
        });
        let mut state = fresh.fresh();
        parts.unwrap().iter().for_each(|part| state.merge(part).unwrap());
        state.to_bytes()
    };
    let one = on(1);
    assert!((2..12).all(|threads| on(threads) == one));
}

/// Many more threads than processors, small parts, and threads that stand still at any moment.
#[test]
fn threads_that_are_held_up_change_nothing() {
    let p: Vec<f64> = (0..5_000).map(|i| f64::from(i * 7 % 4_999) / 4_998.0).collect();
    let y: Vec<u8> = (0..5_000).map(|i| u8::from(i % 3 == 0)).collect();
    let fresh = State::new(Edges::equal_width(15).unwrap(), Parts { scores: true, ..Parts::default() });
    let mut whole = fresh.fresh();
    whole.update_confidences(&p, &y, None).unwrap();
    for round in 0..40 {
        let held_up = |row: usize| {
            // Any odd factor will do: every round another pattern.
            match ((row + round) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60 {
                0 => std::thread::sleep(std::time::Duration::from_micros(50)),
                1..8 => std::thread::yield_now(),
                _ => {}
            }
        };
        let parts = parallel::map(p.len(), 2 + round * 3, 1, |range| {
            let mut part = fresh.fresh();
            for start in range.clone().step_by(17) {
                held_up(start);
                let rows = start..range.end.min(start + 17);
                part.update_confidences(&p[rows.clone()], &y[rows], None)?;
            }
            Ok(part)
        });
        let mut state = fresh.fresh();
        parts.unwrap().iter().for_each(|part| state.merge(part).unwrap());
        assert_eq!(state.to_bytes(), whole.to_bytes());
    }
}

#[test]
fn rows_of_halves_count_by_their_bits_as_one_by_one() {
    fn check<T: Float>(of: fn(f64) -> T, edges: Edges) {
        let p: Vec<T> = (0..70_001).map(|i| of(f64::from(i % 9_973) / 9_972.0)).collect();
        let y: Vec<u8> = (0..70_001).map(|i| u8::from(i % 3 == 0)).collect();
        let fresh = State::new(edges, Parts { scores: true, ..Parts::default() });
        let in_parts = |size| {
            let mut state = fresh.fresh();
            p.chunks(size).zip(y.chunks(size)).for_each(|(p, y)| state.update_confidences(p, y, None).unwrap());
            state.to_bytes()
        };
        assert_eq!(in_parts(70_001), in_parts(1_000));
        for (row, value) in [(0, -0.5), (69_999, 1.5), (70_000, f64::NAN)] {
            let mut odd = p.clone();
            odd[row] = of(value);
            let error = fresh.fresh().update_confidences(&odd, &y, None).unwrap_err();
            assert!(matches!(error, Error::Confidence { row: found, .. } if found == row), "{error}");
        }
        let mut odd = y.clone();
        odd[12] = 3;
        let error = fresh.fresh().update_confidences(&p, &odd, None).unwrap_err();
        assert_eq!(error, Error::Correct { row: 12, value: 3.0 });
    }
    for edges in [Edges::equal_width(10), Edges::equal_width(5_000), Edges::explicit(vec![0.0, 0.2, 0.21, 1.0])] {
        check(f16::from_f64, edges.clone().unwrap());
        check(bf16::from_f64, edges.unwrap());
    }
}

#[test]
fn a_row_at_fault_is_found_wherever_it_stands() {
    fn check<T: Float>(of: fn(f64) -> T, bins: usize) {
        for row in [0, 63, 64, 130, 999] {
            for value in [-f64::from_bits(1), f64::NAN, -f64::NAN, -1.0, 1.5, f64::INFINITY, f64::NEG_INFINITY] {
                let value = of(value);
                let mut p = vec![of(0.5); 1_000];
                let mut y = vec![1; 1_000];
                let mut state = State::new(Edges::equal_width(bins).unwrap(), Parts::default());
                if value.to_f64() != 0.0 {
                    p[row] = value;
                    let error = state.update_confidences(&p, &y, None).unwrap_err();
                    assert!(matches!(error, Error::Confidence { row: found, .. } if found == row), "{error}");
                }
                p[row] = of(-0.0);
                y[row] = 2;
                let error = state.update_confidences(&p, &y, None).unwrap_err();
                assert_eq!(error, Error::Correct { row, value: 2.0 });
                y[row] = 0;
                state.update_confidences(&p, &y, None).unwrap();
            }
        }
    }
    check(|x| x as f32, 10);
    check(|x| x as f32, 1_000);
    check(|x| x, 10);
    check(f16::from_f64, 10);
    check(bf16::from_f64, 10);
}

#[test]
fn the_first_error_wins_on_any_number_of_threads() {
    let p = [0.5, 2.0, 0.5, 3.0];
    let fresh = State::new(Edges::equal_width(10).unwrap(), Parts::default());
    for threads in 1..6 {
        let error = parallel::map(4, threads, 1, |range| {
            let part = fresh.clone().update_confidences(&p[range.clone()], &[1, 0, 1, 0][range.clone()], None);
            part.map_err(|error| error.map_row(|row| range.start + row))
        });
        assert_eq!(error.unwrap_err(), Error::Confidence { row: 1, value: 2.0 });
    }
}
