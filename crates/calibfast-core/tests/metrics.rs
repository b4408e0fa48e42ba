//! Every metric of the core against its definition written out, row by row and pair by pair.

use std::f64::consts::PI;

use calibfast_core::{
    Cumulative, Decomposition, Distinct, DistinctOptions, Edges, Form, Groups, Kde, Keys, Norm, Options, Parts, Score,
    Skce, State, Total, aurc, auroc, corp, cumulative, debiased_square, equal_mass, isotonic, laplacian_sums,
    mmce_squared, murphy, skce_blocks, smece, smece_at, sweep,
};
use proptest::prelude::*;

/// A confidence, whether it was right, and how many rows say so.
type Counted = (f64, u8, u8);

/// Rows with ties, both outcomes at one confidence, weights of 0, and 0 and 1 among the confidences.
fn counted() -> impl Strategy<Value = Vec<Counted>> {
    let confidence = prop_oneof![2 => (0..=8_u8).prop_map(|eighth| f64::from(eighth) / 8.0), 1 => 0.0..=1.0_f64];
    prop::collection::vec((confidence, 0..2_u8, 0..4_u8), 1..25)
        .prop_filter("some rows", |rows| rows.iter().any(|row| row.2 > 0))
}

fn distinct(rows: &[Counted]) -> Distinct {
    let p: Vec<f64> = rows.iter().map(|row| row.0).collect();
    let y: Vec<u8> = rows.iter().map(|row| row.1).collect();
    let weights: Vec<f64> = rows.iter().map(|row| row.2.into()).collect();
    Distinct::new(&p, &y, Some(&weights), 1).unwrap()
}

/// Every row by itself, rising: confidence and outcome.
fn repeated(rows: &[Counted]) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> =
        rows.iter().flat_map(|&(p, y, count)| std::iter::repeat_n((p, y.into()), count.into())).collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-12 * (1.0 + theirs.abs())
}

/// Rows, hits and sum of confidences of bins that hold something: a row is where the first of its tie stands.
fn equal_mass_bins(all: &[(f64, f64)], bins: usize) -> Vec<(f64, f64, f64)> {
    let mut filled: Vec<(usize, (f64, f64, f64))> = Vec::new();
    for &(p, y) in all {
        let before = all.iter().filter(|row| row.0 < p).count();
        let bin = before * bins / all.len();
        if filled.last().is_none_or(|last| last.0 != bin) {
            filled.push((bin, (0.0, 0.0, 0.0)));
        }
        let sums = &mut filled.last_mut().unwrap().1;
        *sums = (sums.0 + 1.0, sums.1 + y, sums.2 + p);
    }
    filled.into_iter().map(|bin| bin.1).collect()
}

fn norms(bins: &[(f64, f64, f64)], total: f64) -> [f64; 3] {
    let gaps: Vec<(f64, f64)> = bins.iter().map(|&(n, y, p)| (n / total, (y / n - p / n).abs())).collect();
    let largest = gaps.iter().map(|gap| gap.1).fold(0.0, f64::max);
    let mean = gaps.iter().map(|(share, gap)| share * gap).sum();
    [mean, gaps.iter().map(|(share, gap)| share * gap * gap).sum::<f64>().sqrt(), largest]
}

fn score(rule: Score, p: f64, y: f64) -> f64 {
    match rule {
        Score::Brier => (p - y) * (p - y),
        Score::Log => -(if y == 1.0 { p } else { 1.0 - p }).ln(),
    }
}

/// The mean over all coverages of the error rate, whose integral over one tie is taken by Simpson's rule.
fn risk(all: &[(f64, f64)]) -> f64 {
    const STEPS: u32 = 2000;
    let (mut area, mut covered, mut errors) = (0.0, 0.0, 0.0);
    for tie in all.chunk_by(|a, b| a.0 == b.0).rev() {
        let n = tie.len() as f64;
        let wrong: f64 = tie.iter().map(|row| 1.0 - row.1).sum();
        let rate = |t: f64| if covered + t == 0.0 { wrong / n } else { (errors + wrong * t / n) / (covered + t) };
        for step in 0..STEPS {
            let (from, to) = (n * f64::from(step) / f64::from(STEPS), n * f64::from(step + 1) / f64::from(STEPS));
            area += (to - from) / 6.0 * (rate(from) + 4.0 * rate(f64::midpoint(from, to)) + rate(to));
        }
        covered += n;
        errors += wrong;
    }
    area / covered
}

/// The absolute residuals smoothed by a Gaussian that 0 and 1 reflect, by the midpoint rule.
fn smoothed(all: &[(f64, f64)], s: f64) -> f64 {
    const POINTS: u32 = 4000;
    let gauss = |x: f64| (-x * x / (2.0 * s * s)).exp() / (s * (2.0 * PI).sqrt());
    let at = |t: f64| -> f64 {
        let images =
            |p: f64| (-2..=2).map(move |m| 2.0 * f64::from(m)).map(move |m| gauss(t - p - m) + gauss(t + p - m));
        all.iter().map(|&(p, y)| (y - p) * images(p).sum::<f64>()).sum()
    };
    let points = (0..POINTS).map(|i| at((f64::from(i) + 0.5) / f64::from(POINTS)).abs());
    points.sum::<f64>() / f64::from(POINTS) / all.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn bins_of_equal_mass_and_their_norms(rows in counted(), bins in 1..30_usize) {
        let (rows, all) = (distinct(&rows), repeated(&rows));
        let (total, theirs) = (all.len() as f64, equal_mass_bins(&all, bins));
        let ours = equal_mass(&rows, bins);
        prop_assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            prop_assert_eq!((ours.weight, ours.hits), (theirs.0, theirs.1));
            prop_assert!(close(ours.confidence, theirs.2));
        }
        let mut with_empty = ours.clone();
        with_empty.push(Total::default());
        for (norm, expected) in [Norm::L1, Norm::L2, Norm::Max].into_iter().zip(norms(&theirs, total)) {
            prop_assert!(close(norm.of(&with_empty, total), expected));
        }
        let debiased = |&(n, y, p): &(f64, f64, f64)| {
            n / total * ((y / n - p / n).powi(2) - y / n * (1.0 - y / n) / (n - 1.0))
        };
        let expected: f64 = theirs.iter().filter(|bin| bin.0 > 1.0).map(debiased).sum();
        prop_assert!(close(debiased_square(&with_empty, total), expected));
    }

    #[test]
    fn the_sweep_ends_before_accuracies_fall(rows in counted()) {
        let (rows, all) = (distinct(&rows), repeated(&rows));
        let falls = |bins| equal_mass_bins(&all, bins).windows(2).any(|pair| pair[0].1 * pair[1].0 > pair[1].1 * pair[0].0);
        let last = (1..=rows.len()).take_while(|&bins| !falls(bins)).last().unwrap();
        let bins = equal_mass_bins(&all, last);
        for (norm, expected) in [Norm::L1, Norm::L2, Norm::Max].into_iter().zip(norms(&bins, all.len() as f64)) {
            let (error, count) = sweep(&rows, norm);
            prop_assert!(close(error, expected));
            prop_assert_eq!(count, bins.len());
        }
    }

    #[test]
    fn sums_over_rows_and_pairs(rows in counted(), width in 0.05..2.0_f64) {
        let (rows, all) = (distinct(&rows), repeated(&rows));
        prop_assert!(!rows.is_empty() && Distinct::default().is_empty());
        let n = all.len() as f64;
        let walk = |end: f64| all.iter().filter(|row| row.0 <= end).map(|(p, y)| y - p).sum::<f64>() / n;
        let steps: Vec<f64> = std::iter::once(0.0).chain(all.iter().map(|row| walk(row.0))).collect();
        let (low, high) = steps.iter().fold((0.0_f64, 0.0_f64), |(low, high), &c| (low.min(c), high.max(c)));
        let Cumulative { max_abs, range, sigma } = cumulative(&rows);
        prop_assert!(close(max_abs, steps.iter().fold(0.0, |max, c| c.abs().max(max))));
        prop_assert!(close(range, high - low));
        prop_assert!(close(sigma, all.iter().map(|row| row.0 * (1.0 - row.0)).sum::<f64>().sqrt() / n));

        let pair = |a: &(f64, f64), b: &(f64, f64)| (a.1 - a.0) * (b.1 - b.0) * (-(a.0 - b.0).abs() / width).exp();
        let pairs: f64 = all.iter().map(|a| all.iter().map(|b| pair(a, b)).sum::<f64>()).sum();
        let (sum, own) = laplacian_sums(&rows, width);
        prop_assert!(close(sum, pairs));
        prop_assert!(close(own, all.iter().map(|row| (row.1 - row.0).powi(2)).sum()));
        prop_assert!(close(mmce_squared(&rows, width), pairs / n / n));

        let those = |hit: f64| all.iter().filter(move |row| row.1 == hit).map(|row| row.0).collect::<Vec<f64>>();
        let (right, wrong) = (those(1.0), those(0.0));
        let above = |a: f64, b: f64| if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
        let wins: f64 = right.iter().map(|&a| wrong.iter().map(|&b| above(a, b)).sum::<f64>()).sum();
        match auroc(&rows) {
            Some(area) => prop_assert!(close(area, wins / (right.len() * wrong.len()) as f64)),
            None => prop_assert!(right.is_empty() || wrong.is_empty()),
        }
        prop_assert!((aurc(&rows) - risk(&all)).abs() < 1e-6);
    }

    #[test]
    fn decompositions_by_the_largest_and_least_means(rows in counted()) {
        let (rows, all) = (distinct(&rows), repeated(&rows));
        // Barlow et al. 1972: the largest over beginnings of the least over ends of the mean between them.
        let mean = |from: f64, to: f64| {
            let inside: Vec<f64> = all.iter().filter(|row| row.0 >= from && row.0 <= to).map(|row| row.1).collect();
            inside.iter().sum::<f64>() / inside.len() as f64
        };
        let value = |p: f64| {
            let least = |from: f64| all.iter().filter(|to| to.0 >= p).map(|to| mean(from, to.0)).fold(1.0, f64::min);
            all.iter().filter(|from| from.0 <= p).map(|from| least(from.0)).fold(0.0, f64::max)
        };
        let recalibrated = isotonic(&rows);
        for (tie, ours) in rows.ties().zip(&recalibrated) {
            prop_assert!(close(*ours, value(tie.confidence)));
        }
        let of = |rule, says: &dyn Fn(f64) -> f64| {
            all.iter().map(|&(p, y)| score(rule, says(p), y)).sum::<f64>() / all.len() as f64
        };
        for rule in [Score::Brier, Score::Log] {
            let (given, base) = (of(rule, &|p| p), of(rule, &|_| mean(0.0, 1.0)));
            let own = |p| mean(p, p);
            for (Decomposition { mcb, dsc, unc, score }, best) in
                [(corp(&rows, rule), of(rule, &value)), (murphy(&rows, rule), of(rule, &own))]
            {
                prop_assert!(given.is_infinite() && score.is_infinite() || close(score, given) && close(mcb, given - best));
                prop_assert!(close(unc, base) && close(dsc, base - best));
            }
        }
    }

    #[test]
    fn the_smooth_error_is_an_integral_and_its_own_bandwidth(rows in counted(), s in 0.05..0.5_f64) {
        let (rows, all) = (distinct(&rows), repeated(&rows));
        prop_assert!((smece_at(&rows, s) - smoothed(&all, s)).abs() < 2e-5);
        let error = smece(&rows);
        let narrowest = 4.0 / 16384.0;
        prop_assert!(error >= narrowest);
        let at = smece_at(&rows, error);
        prop_assert!((at - error).abs() < 1e-7 || error == narrowest && at <= narrowest, "{} {}", at, error);
    }

    #[test]
    fn groups_and_their_gap(rows in prop::collection::vec((0..3_u8, 0..=16_u8, 0..2_u8), 1..40)) {
        let names = ["a", "b", "c"];
        let codes: Vec<i64> = rows.iter().map(|row| row.0.into()).collect();
        let p: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 16.0).collect();
        let y: Vec<u8> = rows.iter().map(|row| row.2).collect();
        let mut groups = Groups::new(Edges::equal_width(4).unwrap());
        prop_assert!(!groups.has_more_than(0) && groups.gap().is_err());
        let keys = Keys::Codes { names: &names, known: &mut [None; 3], codes: &codes };
        groups.update::<f64>(keys, &p, &y).unwrap();
        let gap = |group: u8, bin: u8| {
            let inside = rows.iter().filter(|row| row.0 == group && row.1.saturating_sub(1) / 4 == bin);
            inside.map(|row| f64::from(row.2) - f64::from(row.1) / 16.0).sum::<f64>().abs()
        };
        let largest = (0..3).flat_map(|group| (0..4).map(move |bin| gap(group, bin))).fold(0.0, f64::max);
        prop_assert_eq!(groups.gap().unwrap(), largest / rows.len() as f64);
        let found: std::collections::BTreeSet<u8> = rows.iter().map(|row| row.0).collect();
        prop_assert_eq!([found.len() - 1, found.len()].map(|count| groups.has_more_than(count)), [true, false]);
        prop_assert_eq!(groups.table().iter().map(|row| row.1.total.count).sum::<u64>(), rows.len() as u64);
    }
}

/// Rows of three options, some of which come several times; probabilities, labels, weights.
fn options(rows: usize) -> (Vec<f64>, Vec<i64>, Vec<f64>) {
    let share = |i: usize, k: usize| 1.0 + ((i * 7 + k * 5) % 61) as f64;
    let probs = |i: usize| (0..3).map(move |k| share(i, k) / (0..3).map(|k| share(i, k)).sum::<f64>());
    let labels = (0..rows).map(|i| (i * i % 7 % 3) as i64).collect();
    ((0..rows).flat_map(probs).collect(), labels, (0..rows).map(|i| (i % 4) as f64).collect())
}

/// Probabilities and label of every row of weight 1.
fn expanded(rows: &DistinctOptions) -> Vec<(Vec<f64>, usize)> {
    let entry = |i: usize| ((0..3).map(|k| rows.columns[k * rows.len() + i]).collect(), rows.labels[i]);
    (0..rows.len()).flat_map(|i| std::iter::repeat_n(entry(i), rows.weights[i] as usize)).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_kernel_error_is_a_mean_over_pairs() {
    for n in [3, 40, 80, 260] {
        let (probs, labels, weights) = options(n);
        let rows = DistinctOptions::new(&probs, 3, &labels, Some(&weights)).unwrap();
        let all = expanded(&rows);
        assert_eq!((rows.is_empty(), rows.total()), (false, all.len() as f64));
        let residual = |row: &(Vec<f64>, usize), k: usize| f64::from(u8::from(row.1 == k)) - row.0[k];
        let h = |a: &(Vec<f64>, usize), b: &(Vec<f64>, usize)| {
            (0..3).map(|k| residual(a, k) * residual(b, k)).sum::<f64>() * (-distance(&a.0, &b.0) / 0.3).exp()
        };
        let pairs: f64 = all.iter().map(|a| all.iter().map(|b| h(a, b)).sum::<f64>()).sum();
        let skce = Skce::new(&rows, 0.3);
        let sums = skce.pairs(0..skce.units(), 1).unwrap();
        assert!(close(sums.iter().sum(), pairs), "{n}");
        assert_eq!([skce.pairs(0..1, 1).unwrap(), skce.pairs(1..skce.units(), 2).unwrap()].concat(), sums);
        assert!(close(skce.own(), all.iter().map(|row| h(row, row)).sum()));

        let given: Vec<(Vec<f64>, usize)> =
            probs.chunks(3).zip(&labels).map(|(p, &label)| (p.to_vec(), label as usize)).collect();
        for block in [2, 3] {
            let chunks = given.chunks_exact(block);
            let of = |rows: &[(Vec<f64>, usize)]| {
                (0..block).map(|i| (0..i).map(|j| h(&rows[i], &rows[j])).sum::<f64>()).sum::<f64>()
            };
            let count = chunks.len() * block * (block - 1) / 2;
            let mean = chunks.map(of).sum::<f64>() / count as f64;
            assert!(close(skce_blocks(&probs, 3, &labels, block, 0.3), mean));
        }
    }
}

#[test]
fn the_density_at_a_row_is_that_of_all_others() {
    for bandwidth in [0.02, 0.1, 1.0] {
        let (probs, labels, weights) = options(60);
        let rows = DistinctOptions::new(&probs, 3, &labels, Some(&weights)).unwrap();
        let all = expanded(&rows);
        let kernel = |at: &[f64], of: &[f64]| {
            let alpha = || of.iter().map(|p| p / bandwidth + 1.0);
            let norm = libm::lgamma(alpha().sum()) - alpha().map(libm::lgamma).sum::<f64>();
            (norm + alpha().zip(at).map(|(alpha, z)| (alpha - 1.0) * z.ln()).sum::<f64>()).exp()
        };
        let estimate = |j: usize, k: usize| {
            let others = || all.iter().enumerate().filter(|&(i, _)| i != j).map(|(_, row)| row);
            let share = |row: &(Vec<f64>, usize)| kernel(&all[j].0, &row.0);
            others().filter(|row| row.1 == k).map(share).sum::<f64>() / others().map(share).sum::<f64>()
        };
        let error = |j: usize| (0..3).map(|k| (estimate(j, k) - all[j].0[k]).abs()).sum::<f64>();
        let kde = Kde::new(&rows, bandwidth);
        let sums = kde.errors(0..kde.units(), 1).unwrap();
        let expected: f64 = (0..all.len()).map(error).sum();
        assert!((sums.iter().sum::<f64>() - expected).abs() < 1e-9 * expected);
        assert_eq!([kde.errors(0..1, 1).unwrap(), kde.errors(1..kde.units(), 2).unwrap()].concat(), sums);

        let at = rows.representatives();
        let loss = |j: usize| -estimate(j, all[j].1).max(1.0 / all.len() as f64).ln();
        let losses = kde.log_losses(&at, 2).unwrap();
        assert_eq!(losses.len(), rows.len());
        let expected: f64 = (0..all.len()).map(loss).sum();
        assert!((losses.iter().sum::<f64>() - expected).abs() < 1e-9 * expected);
    }
}

#[test]
fn the_median_distance_is_that_of_evenly_spread_rows() {
    let median = |rows: &[Vec<f64>]| {
        let mut distances: Vec<f64> =
            (0..rows.len()).flat_map(|i| (0..i).map(move |j| distance(&rows[i], &rows[j]))).collect();
        distances.sort_by(f64::total_cmp);
        distances[distances.len() / 2]
    };
    for n in [5, 30, 1200] {
        let probs: Vec<f64> =
            (0..n).flat_map(|i| [f64::from(i) / f64::from(n), 1.0 - f64::from(i) / f64::from(n)]).collect();
        let labels = vec![0; n as usize];
        let weights: Vec<f64> = (0..n).map(|i| f64::from(i % 3 + 1)).collect();
        let rows = DistinctOptions::new(&probs, 2, &labels, Some(&weights)).unwrap();
        // The middles of as many equal shares of all rows as rows are picked.
        let picks = rows.len().min(1000);
        let entries: Vec<usize> = (0..rows.len()).flat_map(|i| std::iter::repeat_n(i, weights[i] as usize)).collect();
        let pick = |k: usize| entries[((k as f64 + 0.5) * rows.total() / picks as f64) as usize];
        let picked: Vec<usize> = (0..picks).map(pick).collect();
        let values = |i: &usize| vec![rows.columns[*i], rows.columns[rows.len() + i]];
        assert!(close(rows.median_distance(), median(&picked.iter().map(values).collect::<Vec<_>>())), "{n}");
        let expected: Vec<(usize, f64)> = if n > 1000 {
            picked.iter().map(|&i| (i, 1.0)).collect()
        } else {
            weights.iter().copied().enumerate().collect()
        };
        assert_eq!(rows.representatives(), expected);
        let confidence: Vec<f64> = probs.chunks(2).map(|row| row[0]).collect();
        let one = Distinct::new(&confidence, &vec![0; n as usize], Some(&weights), 1).unwrap();
        assert!(close(one.median_distance(), median(&picked.iter().map(|&i| vec![confidence[i]]).collect::<Vec<_>>())));
    }
}

#[test]
fn where_most_rows_are_the_same_the_median_distance_is_one() {
    let weights = [20.0, 1.0, 1.0];
    let rows = DistinctOptions::new(&[0.5, 0.5, 0.6, 0.4, 0.7, 0.3], 2, &[0; 3], Some(&weights)).unwrap();
    assert_eq!(rows.median_distance(), 1.0);
    assert_eq!(Distinct::new(&[0.5, 0.6, 0.7], &[0; 3], Some(&weights), 1).unwrap().median_distance(), 1.0);
}

/// Everything that a state says of options, from its definition.
#[test]
fn a_state_says_what_the_definitions_say() {
    let (probs, labels, weights) = options(50);
    // Options that no row has, rows of two, and rows of one.
    let mask: Vec<bool> = (0..50).flat_map(|i| [true, i % 5 != 0 && i != 3, i % 2 == 0 && i != 3, false]).collect();
    let logits: Vec<f64> = probs.chunks(3).flat_map(|row| [row[0].ln(), row[1].ln(), row[2].ln(), 7.0]).collect();
    let labels: Vec<i64> =
        labels.iter().zip(mask.chunks(4)).map(|(&label, mask)| if mask[label as usize] { label } else { 0 }).collect();
    let mut state = State::new(Edges::equal_width(5).unwrap(), Parts { classwise: true, scores: true, norm: Norm::L2 });
    let options = Options { values: &logits, classes: 4, form: Form::Logits, mask: Some(&mask) };
    state.update_options(&options, &labels, Some(&weights)).unwrap();

    let total: f64 = weights.iter().sum();
    let rows: Vec<Vec<Option<f64>>> = probs
        .chunks(3)
        .zip(mask.chunks(4))
        .map(|(p, mask)| {
            let sum: f64 = (0..3).filter(|&k| mask[k]).map(|k| p[k]).sum();
            (0..4).map(|k| mask[k].then(|| p[k] / sum)).collect()
        })
        .collect();
    let bin = |p: f64| (p * 5.0).ceil().max(1.0) as usize - 1;
    let add = |bins: &mut [(f64, f64, f64)], p: f64, hit: bool, weight: f64| {
        let sums = &mut bins[bin(p)];
        *sums = (sums.0 + weight, sums.1 + weight * f64::from(u8::from(hit)), sums.2 + weight * p);
    };
    let filled = |bins: &[(f64, f64, f64)]| bins.iter().copied().filter(|bin| bin.0 > 0.0).collect::<Vec<_>>();
    let (mut top_bins, mut classes) = (vec![(0.0, 0.0, 0.0); 5], vec![vec![(0.0, 0.0, 0.0); 5]; 3]);
    let tops: Vec<usize> = rows
        .iter()
        .map(|row| (0..4).filter(|&k| row[k].is_some()).fold(0, |top, k| if row[k] > row[top] { k } else { top }))
        .collect();
    for (i, row) in rows.iter().enumerate() {
        let label = labels[i] as usize;
        add(&mut top_bins, row[tops[i]].unwrap(), tops[i] == label, weights[i]);
        for (k, bins) in classes.iter_mut().enumerate() {
            if let Some(p) = row[k] {
                add(bins, p, label == k, weights[i]);
            }
        }
    }
    let by_class: Vec<[f64; 3]> = classes.iter().map(|bins| norms(&filled(bins), total)).collect();
    let mean = |of: fn(&[f64; 3]) -> f64| by_class.iter().map(of).sum::<f64>() / 3.0;
    let classwise = [mean(|n| n[0]), mean(|n| n[1] * n[1]).sqrt(), by_class.iter().map(|n| n[2]).fold(0.0, f64::max)];
    let confidence = norms(&filled(&top_bins), total);
    for (norm, i) in [(Norm::L1, 0), (Norm::L2, 1), (Norm::Max, 2)] {
        assert!(close(state.confidence_error(norm).unwrap(), confidence[i]));
        assert!(close(state.classwise_error(norm).unwrap(), classwise[i]));
    }
    assert_eq!(state.error(), state.classwise_error(Norm::L2));

    let accuracy =
        (0..50).map(|i| weights[i] * f64::from(u8::from(tops[i] == labels[i] as usize))).sum::<f64>() / total;
    let (mut brier, mut nll, mut own, mut base) = (0.0, 0.0, 0.0, (0.0, 0.0));
    for (i, row) in rows.iter().enumerate() {
        let (label, weight) = (labels[i] as usize, weights[i] / total);
        let present: Vec<usize> = (0..4).filter(|&k| row[k].is_some()).collect();
        let says = |k: usize| match present.len() {
            1 => 1.0,
            n if k != tops[i] => (1.0 - accuracy) / (n - 1) as f64,
            _ => accuracy,
        };
        let square = |p: f64, k: usize| (p - f64::from(u8::from(k == label))).powi(2);
        brier += weight * present.iter().map(|&k| square(row[k].unwrap(), k)).sum::<f64>();
        own += weight * (row[tops[i]].unwrap() - f64::from(u8::from(tops[i] == label))).powi(2);
        nll -= weight * row[label].unwrap().ln();
        base.0 += weight * present.iter().map(|&k| square(says(k), k)).sum::<f64>();
        base.1 -= weight * says(label).ln();
    }
    let summary = state.summary().unwrap();
    let scores = summary.scores.unwrap();
    assert!(close(scores.brier, brier) && close(scores.nll, nll) && close(scores.confidence_brier, own));
    let found = summary.base_rate.unwrap();
    assert!(close(found.0, base.0) && close(found.1, base.1));
    assert!(close(summary.total.accuracy(), accuracy) && close(summary.conf_ece, confidence[0]));
    assert!(close(summary.cw_ece.unwrap(), classwise[0]));
    assert!(close(summary.rmsce, confidence[1]) && close(summary.mce, confidence[2]));
}
