//! A state as 64-bit integers whose elementwise sum is the merge: one sum over processes puts their states together.

use crate::bins::{Cell, Cells};
use crate::edges::Edges;
use crate::error::{Error, Result};
use crate::state::{Parts, State};

/// Binary digits of each limb of a sum of confidences: those of up to 2^42 states add up without overflow.
const DIGITS: u32 = 21;
/// 126 digits in all, enough for 2^63 confidences in units of 2^-62.
const LIMBS: usize = 6;
/// Count, hits, and the limbs of the sum of confidences, the lowest first.
const WORDS: usize = 2 + LIMBS;

impl State {
    /// The rows left out, then eight words for each bin: of the predicted option, then of each class, where the
    /// state keeps these.
    ///
    /// # Errors
    /// [`Error::State`] where rows have weights or scores are kept: sums of these have no fixed width.
    pub fn to_words(&self) -> Result<Vec<i64>> {
        let mut words = vec![self.ignored as i64];
        for cells in [Some(&self.confidence), self.classwise.as_ref()].into_iter().flatten() {
            let (Cells::Plain(cells), None) = (cells, &self.scores) else {
                return Err(Error::State("weights and scores have no words of fixed width".to_owned()));
            };
            words.extend(cells.iter().flat_map(to_words));
        }
        Ok(words)
    }

    /// The state whose words these are; a sum of words gives the merged state. `classes` is 0 for confidences.
    ///
    /// # Errors
    /// [`Error::State`] where the words can be no such state's.
    pub fn from_words(edges: Edges, parts: Parts, classes: usize, words: &[i64]) -> Result<Self> {
        let damaged = || Error::State("the words are not those of such a state, or they overflowed".to_owned());
        let (&ignored, words) = words.split_first().ok_or_else(damaged)?;
        let (cells, left) = words.as_chunks::<WORDS>();
        let cells: Option<Vec<Cell>> = cells.iter().map(from_words).collect();
        let mut confidence =
            cells.filter(|cells| left.is_empty() && cells.len() >= edges.bins()).ok_or_else(damaged)?;
        let classwise = confidence.split_off(edges.bins());
        if parts.scores || !parts.classwise && !classwise.is_empty() {
            return Err(damaged());
        }
        let mut state = Self::new(edges, parts);
        state.classes = Some(classes);
        state.ignored = u64::try_from(ignored).map_err(|_| damaged())?;
        state.confidence = Cells::Plain(confidence);
        state.classwise = parts.classwise.then_some(Cells::Plain(classwise));
        state.check()?;
        Ok(state)
    }
}

fn to_words(cell: &Cell) -> [i64; WORDS] {
    std::array::from_fn(|i| match i {
        0 => cell.count as i64,
        1 => cell.hits as i64,
        _ => (cell.confidence >> (DIGITS * (i as u32 - 2)) & ((1 << DIGITS) - 1)) as i64,
    })
}

fn from_words(words: &[i64; WORDS]) -> Option<Cell> {
    let mut cell =
        Cell { count: u64::try_from(words[0]).ok()?, hits: u64::try_from(words[1]).ok()?, ..Cell::default() };
    for &word in words[2..].iter().rev() {
        cell.confidence = cell.confidence.checked_mul(1 << DIGITS)?.checked_add(u128::try_from(word).ok()?)?;
    }
    Some(cell)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::options::{Form, Options};

    const PARTS: Parts = Parts { classwise: true, scores: false, norm: crate::Norm::L1 };

    fn state(rows: &[(f64, i64)]) -> State {
        let probs: Vec<f64> = rows.iter().flat_map(|&(p, _)| [p, 1.0 - p]).collect();
        let labels: Vec<i64> = rows.iter().map(|&(_, label)| label).collect();
        let mut state = State::new(Edges::equal_width(7).unwrap(), PARTS);
        let options = Options { values: &probs, classes: 2, form: Form::Probabilities, mask: None };
        state.update_options(&options, &labels, None).unwrap();
        state.ignore(rows.len() as u64);
        state
    }

    fn read(words: &[i64]) -> Result<State> {
        State::from_words(Edges::equal_width(7).unwrap(), PARTS, 2, words)
    }

    proptest! {
        #[test]
        fn a_sum_of_words_is_the_merged_state(
            parts in prop::collection::vec(prop::collection::vec((0.0..=1.0_f64, 0..2_i64), 1..40), 1..8),
        ) {
            let mut merged = state(&parts[0]);
            let mut sum = merged.to_words().unwrap();
            for part in &parts[1..] {
                let add = state(part);
                merged.merge(&add).unwrap();
                sum.iter_mut().zip(add.to_words().unwrap()).for_each(|(a, b)| *a += b);
            }
            prop_assert_eq!(read(&sum).unwrap(), merged);
        }
    }

    #[test]
    fn the_words_of_2_to_the_42_states_add_up() {
        let mut merged = state(&[(0.9, 0), (1.0, 1), (1.0 / 3.0, 1)]);
        let sum: Vec<i64> = merged.to_words().unwrap().iter().map(|word| word << 42).collect();
        for _ in 0..42 {
            merged.merge(&merged.clone()).unwrap();
        }
        assert_eq!(read(&sum).unwrap(), merged);
    }

    #[test]
    fn other_words_are_refused() {
        let sound = state(&[(0.9, 0), (0.2, 1)]).to_words().unwrap();
        for (at, value) in [(0, -1), (1, i64::MIN), (2, 1 << 40), (8, i64::MAX), (3, -1)] {
            let mut words = sound.clone();
            words[at] = value;
            assert!(read(&words).is_err(), "{at}");
        }
        for words in [&sound[..0], &sound[..1], &sound[..9], &sound[..sound.len() - 1], &sound[..sound.len() - 8]] {
            assert!(read(words).is_err());
        }
    }

    #[test]
    fn words_of_other_parts_are_refused() {
        let edges = || Edges::equal_width(7).unwrap();
        let read = |parts, words: &[i64]| State::from_words(edges(), parts, 2, words);
        let (plain, scores) = (Parts { classwise: false, ..PARTS }, Parts { scores: true, ..PARTS });
        let words = state(&[(0.9, 0)]).to_words().unwrap();
        assert!(read(plain, &words).is_err() && read(scores, &words).is_err());
        let words = &words[..=7 * WORDS];
        assert_eq!(read(plain, words).unwrap().to_words().unwrap(), words);
        assert!(read(scores, &State::new(edges(), plain).to_words().unwrap()).is_err());
    }

    #[test]
    fn weights_and_scores_have_no_words() {
        let mut weighted = State::new(Edges::equal_width(7).unwrap(), Parts::default());
        weighted.update_confidences(&[0.5], &[1], Some(&[2.0])).unwrap();
        let scored = State::new(Edges::equal_width(7).unwrap(), Parts { scores: true, ..Parts::default() });
        assert!(weighted.to_words().is_err() && scored.to_words().is_err());
    }
}
