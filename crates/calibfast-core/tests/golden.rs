//! What every machine must count, to the bit: SHA-256 of the states of rows that integer arithmetic makes.
//!
//! `tests/golden.py` makes the same rows in NumPy and counts them through Python, against the same `golden.txt`.

use std::fmt::Write;
use std::process::Command;

use calibfast_core::{
    Distinct, DistinctOptions, Edges, Float, Form, Kde, Norm, Options, Parts, Result, Score, Skce, State, aurc, auroc,
    corp, cumulative, estep, mmce_squared, murphy, parallel, simd, smece, sweep,
};
use half::{bf16, f16};
use sha2::{Digest, Sha256};

const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
const CLASSES: [usize; 4] = [2, 4, 17, 100];

/// Number `at` of a stream of `SplitMix64` (Steele, Lea and Flood 2014).
fn bits(stream: usize, at: usize) -> u64 {
    let mut z = ((stream << 32 | at) as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// A double in [0, 1).
fn share(stream: usize, at: usize) -> f64 {
    (bits(stream, at) >> 11) as f64 / (1_u64 << 53) as f64
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// Ties on edges, ends of [0, 1], values down to 2^-159, and values of all digits, most of them small.
fn confidence(at: usize) -> f64 {
    let (kind, more) = (bits(0, at) % 8, bits(0, at) >> 8);
    let p = share(1, at);
    match kind {
        0 => (more % 31) as f64 / 30.0,
        1 => [0.0, 1.0, 0.1, 0.5, f64::from_bits(1), 1.0 - f64::EPSILON / 2.0][(more % 6) as usize],
        2 => power_of_two(-((more % 160) as i64)),
        3 => 1.0 - p * p,
        _ => p * p * p * p,
    }
}

/// Of ordinary size, and now and then 0 or of any size.
fn weight(at: usize) -> f64 {
    let (kind, more) = (bits(2, at) % 8, bits(2, at) >> 8);
    match kind {
        0 => 0.0,
        1 => power_of_two((more % 200) as i64 - 100),
        _ => 4.0 * share(3, at),
    }
}

fn label(at: usize, classes: usize) -> i64 {
    (bits(4, at) % classes as u64) as i64
}

/// Whether option `k` of a row is there; the label always is.
fn is_present(row: usize, k: usize, classes: usize) -> bool {
    !bits(5, row * classes + k).is_multiple_of(8) || k as i64 == label(row, classes)
}

/// Ties, an option of next to no probability, and values of all digits in [-8, 8).
fn logit(at: usize) -> f64 {
    let (kind, more) = (bits(6, at) % 16, bits(6, at) >> 8);
    match kind {
        0 | 1 => (more % 7) as f64 - 3.0,
        2 => -800.0,
        _ => 16.0 * share(7, at) - 8.0,
    }
}

fn probabilities(row: usize, classes: usize, masked: bool) -> Vec<f64> {
    let count = |k: usize| {
        let there = !masked || is_present(row, k, classes);
        if there {
            (bits(8, row * classes + k) % 1024 + u64::from(k as i64 == label(row, classes))) as f64
        } else {
            0.0
        }
    };
    let counts: Vec<f64> = (0..classes).map(count).collect();
    let sum: f64 = counts.iter().sum();
    counts.into_iter().map(|count| count / sum).collect()
}

/// The state of rows shared among threads.
fn on_threads(
    rows: usize,
    threads: usize,
    fresh: &State,
    update: impl Fn(&mut State, std::ops::Range<usize>) -> Result<()> + Sync,
) -> State {
    let parts = parallel::map(rows, threads, 1, |range| {
        let mut part = fresh.fresh();
        update(&mut part, range)?;
        Ok(part)
    });
    let mut state = fresh.fresh();
    parts.unwrap().iter().for_each(|part| state.merge(part).unwrap());
    state
}

fn edges() -> Vec<Edges> {
    let numbers = [1, 10, 15, 100, 127, 535, 1000].map(Edges::equal_width);
    numbers.into_iter().chain([Edges::explicit(vec![0.0, 0.2, 0.9, 1.0])]).collect::<Result<_>>().unwrap()
}

fn confidences<T: Float>(digest: &mut Sha256, threads: usize, weighted: bool) {
    // The last is enough for rows of 16 bits to be counted by their bits.
    for rows in [1, 63, 1000, if weighted { 5_003 } else { 70_001 }] {
        let p: Vec<T> = (0..rows).map(|at| T::nearest(confidence(at))).collect();
        let y: Vec<u8> = (0..rows).map(|at| label(at, 2) as u8).collect();
        let weights: Vec<f64> = (0..rows).map(weight).collect();
        for edges in edges() {
            for scores in [false, true] {
                let fresh = State::new(edges.clone(), Parts { scores, ..Parts::default() });
                let state = on_threads(rows, threads, &fresh, |part, range| {
                    let weights = weighted.then_some(&weights[range.clone()]);
                    part.update_confidences(&p[range.clone()], &y[range], weights)
                });
                digest.update(state.to_bytes());
            }
        }
    }
}

fn options<T: Float>(digest: &mut Sha256, threads: usize, form: Form, masked: bool, weighted: bool) {
    for classes in CLASSES {
        let rows = 20_011 / classes;
        let labels: Vec<i64> = (0..rows).map(|row| label(row, classes)).collect();
        let weights: Vec<f64> = (0..rows).map(weight).collect();
        let values: Vec<T> = match form {
            Form::Probabilities => {
                (0..rows).flat_map(|row| probabilities(row, classes, masked)).map(T::nearest).collect()
            }
            Form::Logits => (0..rows * classes).map(|at| T::nearest(logit(at))).collect(),
        };
        let mask: Vec<bool> = (0..rows * classes).map(|at| is_present(at / classes, at % classes, classes)).collect();
        for edges in [Edges::equal_width(15), Edges::equal_width(127), Edges::explicit(vec![0.0, 0.2, 0.9, 1.0])] {
            let edges = edges.unwrap();
            for all in [false, true] {
                let fresh = State::new(edges.clone(), Parts { classwise: all, scores: all, norm: Norm::L2 });
                let state = on_threads(rows, threads, &fresh, |part, range| {
                    let weights = weighted.then_some(&weights[range.clone()]);
                    let labels = &labels[range.clone()];
                    let range = range.start * classes..range.end * classes;
                    let mask = masked.then_some(&mask[range.clone()]);
                    part.update_options(&Options { values: &values[range], classes, form, mask }, labels, weights)
                });
                digest.update(state.to_bytes());
            }
        }
    }
}

/// A line for each kind of input: its name and the hash of its states.
fn states(threads: usize) -> String {
    let mut lines = String::new();
    macro_rules! each {
        ($($type:ty),*) => {$(
            let mut line = |kind: &str, count: &dyn Fn(&mut Sha256)| {
                let mut digest = Sha256::new();
                count(&mut digest);
                writeln!(lines, "{} {kind}: {:x}", <$type>::NAME, digest.finalize()).unwrap();
            };
            line("confidence", &|digest| confidences::<$type>(digest, threads, false));
            line("confidence, weights", &|digest| confidences::<$type>(digest, threads, true));
            for (name, form) in [("probabilities", Form::Probabilities), ("logits", Form::Logits)] {
                line(name, &|digest| options::<$type>(digest, threads, form, false, false));
                line(&format!("{name}, mask"), &|digest| options::<$type>(digest, threads, form, true, false));
                line(&format!("{name}, mask, weights"), &|digest| options::<$type>(digest, threads, form, true, true));
            }
        )*};
    }
    each!(f16, bf16, f32, f64);
    lines
}

/// The same of the numbers that metrics of rows in their order give, and of the E-step's targets.
fn numbers(threads: usize) -> String {
    let (rows, classes) = (2_000, 4);
    let p: Vec<f64> = (0..rows).map(confidence).collect();
    let y: Vec<u8> = (0..rows).map(|at| label(at, 2) as u8).collect();
    let sorted = Distinct::new(&p, &y, None, threads).unwrap();
    let walk = cumulative(&sorted);
    let mut found = vec![walk.max_abs, walk.range, walk.sigma, auroc(&sorted).unwrap(), aurc(&sorted)];
    found.extend([sweep(&sorted, Norm::L1).0, smece(&sorted), mmce_squared(&sorted, 0.2)]);
    let split = [corp(&sorted, Score::Brier), corp(&sorted, Score::Log), murphy(&sorted, Score::Brier)];
    found.extend(split.iter().flat_map(|split| [split.mcb, split.dsc, split.unc]));

    let probs: Vec<f64> = (0..rows).flat_map(|row| probabilities(row, classes, false)).collect();
    let labels: Vec<i64> = (0..rows).map(|row| label(row, classes)).collect();
    let pairs = DistinctOptions::new(&probs, classes, &labels, None).unwrap();
    let (width, kde) = (pairs.median_distance(), Kde::new(&pairs, 0.1));
    found.extend(kde.errors(0..kde.units(), threads).unwrap());
    let skce = Skce::new(&pairs, width);
    found.extend(skce.pairs(0..skce.units(), threads).unwrap());
    let options = Options { values: &probs, classes, form: Form::Probabilities, mask: None };
    let q: Vec<f64> = (1..=10).map(|m| f64::from(m) / 10.5).collect();
    found.extend(estep::targets(&options, &q, &Edges::equal_width(10).unwrap()).unwrap());

    let bytes: Vec<u8> = found.iter().flat_map(|number| number.to_bits().to_le_bytes()).collect();
    format!("metrics of sorted rows, pairs and targets: {:x}\n", Sha256::digest(bytes))
}

#[test]
fn states_are_those_written_down() {
    simd::level().unwrap_or_else(|error| panic!("{error}"));
    let written = std::fs::read_to_string(WRITTEN).unwrap();
    for threads in [1, 2, 7] {
        let found = states(threads) + &numbers(threads);
        if found != written {
            let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/golden.txt");
            std::fs::write(path, &found).unwrap();
            panic!("{threads} threads give other bytes; those found are in {path}");
        }
    }
}

/// Every instruction set in a process of its own, as it is chosen once.
#[test]
fn every_instruction_set_gives_them() {
    for level in ["baseline", "avx2", "avx512", "neon"] {
        let mut other = Command::new(std::env::current_exe().unwrap());
        let done = other.args(["--exact", "states_are_those_written_down"]).env(simd::SIMD_VARIABLE, level).output();
        let done = done.unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() || said.contains("which this machine lacks"), "{level}: {said}");
    }
}
