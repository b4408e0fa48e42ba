//! The state against integer arithmetic written out, and its invariances.

use calibfast_core::{Cells, Edges, Error, Float, Form, Norm, Options, Parts, Result, State, parallel};
use half::{bf16, f16};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

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
    fn rows_without_weights_weigh_one(
        rows in prop::collection::vec((hard_f64(3), 0..2_u8, 0.0..5.0_f64), 1..60),
        cut in 0..60_usize,
    ) {
        let cut = cut.min(rows.len());
        let fresh = State::new(Edges::equal_width(3).unwrap(), Parts { scores: true, ..Parts::default() });
        let p: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let y: Vec<u8> = rows.iter().map(|row| row.1).collect();
        let ones_first: Vec<f64> = rows.iter().enumerate().map(|(i, row)| if i < cut { 1.0 } else { row.2 }).collect();
        let of = |range: std::ops::Range<usize>, weights: Option<&[f64]>| {
            let mut state = fresh.fresh();
            state.update_confidences(&p[range.clone()], &y[range], weights).unwrap();
            state
        };
        let (mut plain, mut weighted) = (of(0..cut, None), of(cut..rows.len(), Some(&ones_first[cut..])));
        let original = plain.clone();
        plain.merge(&weighted).unwrap();
        weighted.merge(&original).unwrap();
        prop_assert_eq!(&plain, &weighted);
        if cut < rows.len() {
            prop_assert_eq!(plain, of(0..rows.len(), Some(&ones_first)));
        }
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

/// Rows whose sums are integers of 64 bits, as JSON's readers have them.
fn three_rows(weights: Option<&[f64]>) -> State {
    let values = [0.75, 0.25, 0.25, 0.75, 0.5, 0.5];
    let mut state = State::new(Edges::equal_width(2).unwrap(), ALL);
    let options = Options { values: &values, classes: 2, form: Form::Probabilities, mask: None };
    state.update_options(&options, &[0, 0, 1], weights).unwrap();
    state
}

/// The state with something else at a place of its JSON.
fn altered(state: &State, place: &str, value: Value) -> Result<State> {
    let mut document: Value = serde_json::from_str(&state.to_json()).unwrap();
    *document.pointer_mut(place).unwrap() = value;
    State::from_json(&document.to_string())
}

#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let (plain, weighted) = (three_rows(None), three_rows(Some(&[2.0, 1.0, 0.5])));
    let most = i64::MAX as u64;
    let (one, digits) = (json!({"count": 3, "hits": 1, "confidence": 0}), |n: usize| vec![1; n]);
    for (state, place, value) in [
        (&plain, "/format", json!("calibfast.other")),
        (&plain, "/version", json!(2)),
        (&plain, "/state/parts/classwise", json!(false)),
        (&plain, "/state/parts/scores", json!(false)),
        (&plain, "/state/edges/equal_width", json!(1)),
        (&plain, "/state/classes", json!(3)),
        (&plain, "/state/ignored", json!(most - 2)),
        (&plain, "/state/confidence/plain/0/count", json!(2)),
        (&plain, "/state/confidence/plain/1/hits", json!(3)),
        (&plain, "/state/confidence/plain/0/confidence", json!((1_u64 << 62) + 1)),
        (&plain, "/state/classwise/plain/1/count", json!(2)),
        (&plain, "/state/classwise/plain/3/hits", json!(2)),
        (&plain, "/state/scores/impossible", json!(4)),
        (&plain, "/state/scores/by_options/2/plain", json!([one, one])),
        (&plain, "/state/scores/by_options/2/plain/0/count", json!(2)),
        (&plain, "/state/scores/by_options/2/plain/0/hits", json!(4)),
        (&plain, "/state/scores/nll", json!([-49, [1]])),
        (&plain, "/state/scores/nll", json!([-47, digits(88)])),
        (&plain, "/state/scores/nll", json!([i32::MAX, [1]])),
        (&weighted, "/state/confidence/weighted/1/hits", json!([0, [4]])),
        (&weighted, "/state/classwise/weighted/1/confidence", json!([0, [3]])),
    ] {
        let refused = altered(state, place, value.clone());
        assert!(matches!(refused, Err(Error::State(_))), "{place} {value}: {refused:?}");
    }
    for (state, place, value) in [
        (&plain, "/state/ignored", json!(most - 3)),
        (&plain, "/state/confidence/plain/1/hits", json!(2)),
        (&plain, "/state/confidence/plain/0/confidence", json!(1_u64 << 62)),
        (&plain, "/state/scores/impossible", json!(3)),
        (&plain, "/state/scores/by_options/2/plain", json!([one])),
        (&plain, "/state/scores/nll", json!([-48, digits(88)])),
        (&weighted, "/state/confidence/weighted/1/hits", json!([0, [3]])),
        (&weighted, "/state/classwise/weighted/1/confidence", json!([0, [2]])),
    ] {
        altered(state, place, value).unwrap();
    }
}

#[test]
fn a_newer_state_and_one_cut_short_are_refused() {
    let sound = three_rows(None).to_bytes();
    let mut newer = sound[..sound.len() - 4].to_vec();
    newer[4] = 2;
    newer.extend(crc32fast::hash(&newer).to_le_bytes());
    let error = State::from_bytes(&newer).unwrap_err();
    assert!(error.to_string().contains("format version 2, this calibfast reads version 1"), "{error}");
    for end in 0..sound.len() {
        assert!(State::from_bytes(&sound[..end]).is_err());
    }
}

#[test]
fn states_that_do_not_belong_together_do_not_merge() {
    let bins = |bins| Edges::equal_width(bins).unwrap();
    let sound = three_rows(None);
    let mut other_classes = sound.fresh();
    let options = Options { values: &[1.0, 0.0, 0.0], classes: 3, form: Form::Probabilities, mask: None };
    other_classes.update_options(&options, &[0], None).unwrap();
    let mut full = sound.fresh();
    full.ignore(i64::MAX as u64 - 2);
    for (other, why) in [
        (State::new(bins(3), ALL), "2 bins here, 3 there"),
        (State::new(bins(2), Parts { norm: Norm::Max, ..ALL }), "different metrics"),
        (other_classes, "3 classes do not go with 2 classes"),
        (full, "more than 2^63 rows"),
    ] {
        let mut state = sound.clone();
        let error = state.merge(&other).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(state, sound);
    }
    let mut confidences = State::new(bins(2), Parts::default());
    confidences.update_confidences(&[0.5], &[1], None).unwrap();
    let options = Options { values: &[0.5, 0.5], classes: 2, form: Form::Probabilities, mask: None };
    let error = confidences.update_options(&options, &[0], None).unwrap_err();
    assert!(error.to_string().contains("2 classes do not go with confidences alone"), "{error}");
    let error = sound.clone().update_confidences(&[0.5], &[1], None).unwrap_err();
    assert!(error.to_string().contains("not confidences alone"), "{error}");

    let mut full = sound.fresh();
    full.ignore(i64::MAX as u64 - 3);
    full.merge(&sound).unwrap();
    assert_eq!((full.rows(), full.ignored(), full.classes()), (3, i64::MAX as u64 - 3, Some(2)));
}

#[test]
fn lengths_and_weights_at_fault_are_found() {
    let fresh = State::new(Edges::equal_width(2).unwrap(), Parts::default());
    let update = |correct: &[u8], weights: &[f64]| fresh.clone().update_confidences(&[0.5; 4], correct, Some(weights));
    let length = |what, found| Err(Error::Length { what, expected: 4, found });
    assert_eq!(update(&[1; 3], &[1.0; 4]), length("correct", 3));
    assert_eq!(update(&[1; 4], &[1.0; 5]), length("weights", 5));
    assert_eq!(update(&[1; 4], &[0.0, -0.0, f64::MAX, f64::from_bits(1)]), Ok(()));
    for value in [-1.0, -f64::from_bits(1), f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(update(&[1; 4], &[1.0, 0.5, value, value]), Err(Error::Weight { row: 2, value }));
    }
    let error = update(&[1; 4], &[1.0, f64::NAN, 1.0, 1.0]).unwrap_err();
    assert!(error.to_string().contains("weight at row 1 is NaN"), "{error}");
    let values = vec![0.5; 10_000];
    let options = Options { values: &values, classes: 2, form: Form::Probabilities, mask: None };
    for row in [0, 2_047, 2_048, 4_999] {
        let mut labels = vec![1; 5_000];
        labels[row] = 2;
        let error = fresh.clone().update_options(&options, &labels, None).unwrap_err();
        assert_eq!(error, Error::Label { row, label: 2, classes: 2 });
    }
}

#[test]
fn a_state_says_what_it_keeps() {
    let mut state = State::new(Edges::equal_width(2).unwrap(), Parts { norm: Norm::L2, ..Parts::default() });
    assert_eq!((state.rows(), state.ignored(), state.classes()), (0, 0, None));
    assert!([state.error(), state.confidence_error(Norm::Max)].iter().all(|error| *error == Err(Error::Empty)));
    assert_eq!(state.summary(), Err(Error::Empty));
    state.update_confidences(&[0.25, 0.75, 0.5], &[1, 0, 1], None).unwrap();
    state.ignore(4);
    assert_eq!((state.rows(), state.ignored(), state.classes()), (3, 4, None));
    assert_eq!(state.parts(), Parts { norm: Norm::L2, ..Parts::default() });
    assert_eq!(state.edges(), &Edges::equal_width(2).unwrap());
    assert_eq!(state.error(), state.confidence_error(Norm::L2));
    assert!(state.classwise_error(Norm::L1).is_err() && state.summary().unwrap().cw_ece.is_none());
    assert_eq!((state.total().accuracy(), state.total().mean_confidence()), (2.0 / 3.0, 0.5));
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
                y[row] = 2;
                for sound in [-0.0, 0.5] {
                    p[row] = of(sound);
                    let error = state.update_confidences(&p, &y, None).unwrap_err();
                    assert_eq!(error, Error::Correct { row, value: 2.0 });
                }
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

#[test]
fn rows_of_a_kind_may_be_more_than_a_word_of_a_kernel_counts() {
    const COUNTED: usize = 1 << 16;
    for (classes, rows) in [(2, 4 * COUNTED + 64), (16, COUNTED + 1)] {
        let fresh = State::new(Edges::equal_width(10).unwrap(), ALL);
        let add = |state: &mut State, rows: usize| {
            let values = vec![1.0 / classes as f32; rows * classes];
            let options = Options { values: &values, classes, form: Form::Probabilities, mask: None };
            state.update_options(&options, &vec![0; rows], None).unwrap();
        };
        let (mut at_once, mut in_parts) = (fresh.clone(), fresh);
        add(&mut at_once, rows);
        for first in (0..rows).step_by(COUNTED / 2) {
            add(&mut in_parts, (COUNTED / 2).min(rows - first));
        }
        assert_eq!(at_once, in_parts);
    }
}
