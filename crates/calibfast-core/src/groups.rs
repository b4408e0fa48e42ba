//! Rows by group, for millions of groups: of each only the bins that it has rows in, exact and mergeable as a state is.

use std::collections::HashMap;
use std::hint::black_box;

use crate::bins::{Cell, Total};
use crate::edges::Edges;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::metrics::Norm;
use crate::sum;

/// Rows whose groups are looked up before they are counted.
const AHEAD: usize = 64;

/// A bin of a group; of the cell's size, without its padding.
#[derive(Clone, Copy, Debug)]
struct Bin {
    place: u32,
    count: u64,
    hits: u64,
    /// High and low half of the sum of confidences.
    confidence: [u64; 2],
}

impl Bin {
    fn new(place: u32) -> Self {
        Self { place, count: 0, hits: 0, confidence: [0, 0] }
    }

    fn cell(&self) -> Cell {
        let [high, low] = self.confidence;
        Cell { count: self.count, hits: self.hits, confidence: u128::from(high) << 64 | u128::from(low) }
    }

    fn merge(&mut self, other: &Cell) {
        let sum = self.cell().confidence + other.confidence;
        self.count += other.count;
        self.hits += other.hits;
        self.confidence = [(sum >> 64) as u64, sum as u64];
    }
}

/// What a group says in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// All its rows.
    pub total: Total,
    /// Its conf-ECE.
    pub conf_ece: f64,
}

/// Which group each row is of.
#[derive(Debug)]
pub enum Keys<'a, N> {
    /// The group's own number, whose name is its digits.
    Integers(&'a [i64]),
    /// The place in `names` of its name.
    Codes {
        /// Names of groups, some of which may have no row.
        names: &'a [N],
        /// What earlier calls learned of these names; one `None` for each at first.
        places: &'a mut [Option<u32>],
        /// One for each row.
        codes: &'a [i64],
    },
}

/// The bins of every group.
#[derive(Clone, Debug)]
pub struct Groups {
    edges: Edges,
    integers: HashMap<i64, u32>,
    names: HashMap<Box<str>, u32>,
    bins: Vec<Vec<Bin>>,
}

impl Groups {
    /// No rows yet.
    #[must_use]
    pub fn new(edges: Edges) -> Self {
        Self { edges, integers: HashMap::new(), names: HashMap::new(), bins: Vec::new() }
    }

    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bins.len()
    }

    /// Whether there are no rows yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// Add rows that a state has checked: the group of each, confidences that were given as `T`, zeros and ones.
    ///
    /// # Errors
    /// [`Error::Length`] where there is not one of each for a row, or a row is of no name; nothing is then counted.
    pub fn update<T: Float>(
        &mut self,
        keys: Keys<'_, impl AsRef<str>>,
        confidence: &[f64],
        correct: &[u8],
    ) -> Result<()> {
        let (Keys::Integers(keyed) | Keys::Codes { codes: keyed, .. }) = &keys;
        for found in [keyed.len(), correct.len()] {
            if found != confidence.len() {
                return Err(Error::Length { what: "groups", expected: confidence.len(), found });
            }
        }
        let places: Vec<u32> = match keys {
            Keys::Integers(integers) => integers.iter().map(|&integer| self.place_of_integer(integer)).collect(),
            Keys::Codes { names, places, codes } => {
                if codes.iter().any(|&code| usize::try_from(code).map_or(true, |code| code >= names.len())) {
                    return Err(Error::Mismatch("a row is of a group that has no name".to_owned()));
                }
                let place = |&code: &i64| {
                    let code = code as usize;
                    *places[code].get_or_insert_with(|| self.place(names[code].as_ref()))
                };
                codes.iter().map(place).collect()
            }
        };
        let lookup = self.edges.lookup::<T>();
        let chunks = places.chunks(AHEAD).zip(confidence.chunks(AHEAD)).zip(correct.chunks(AHEAD));
        for ((places, confidence), correct) in chunks {
            // Groups lie all over the memory: what is looked at here, of many rows at once, need not be waited for below.
            let first = |&place: &u32| self.bins[place as usize].first().map_or(0, |bin| bin.place);
            black_box(places.iter().map(first).fold(0, u32::wrapping_add));
            for ((&place, &confidence), &correct) in places.iter().zip(confidence).zip(correct) {
                let mut cell = Cell::default();
                cell.insert(confidence, correct == 1);
                add(&mut self.bins[place as usize], lookup.bin(confidence) as u32, &cell);
            }
        }
        Ok(())
    }

    /// Add all that another has seen.
    ///
    /// # Errors
    /// [`Error::State`] where the two differ in bins.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.edges != other.edges {
            return Err(Error::State("groups with different bins do not merge".to_owned()));
        }
        let integers = other.integers.iter().map(|(&integer, &place)| (self.place_of_integer(integer), place));
        let mut places: Vec<(u32, u32)> = integers.collect();
        places.extend(other.names.iter().map(|(name, &place)| (self.place(name), place)));
        for (mine, place) in places {
            for bin in &other.bins[place as usize] {
                add(&mut self.bins[mine as usize], bin.place, &bin.cell());
            }
        }
        Ok(())
    }

    /// Every group, in the order of their names.
    #[must_use]
    pub fn table(&self) -> Vec<(String, Group)> {
        let integers = self.integers.iter().map(|(integer, &place)| (integer.to_string(), place));
        let names = self.names.iter().map(|(name, &place)| (name.to_string(), place));
        let mut found: Vec<(String, u32)> = integers.chain(names).collect();
        found.sort_unstable();
        found.into_iter().map(|(name, place)| (name, group(&self.bins[place as usize]))).collect()
    }

    /// The multicalibration gap: the largest `|hits - sum of confidences|` of a group in a bin, by its share of all rows
    /// (Hébert-Johnson et al. 2018).
    ///
    /// # Errors
    /// [`Error::Empty`] before the first row.
    pub fn gap(&self) -> Result<f64> {
        let bins = || self.bins.iter().flatten();
        let rows: u64 = bins().map(|bin| bin.count).sum();
        let gap = |bin: &Bin| (bin.hits as f64 - sum::from_fixed(bin.cell().confidence)).abs();
        if rows == 0 { Err(Error::Empty) } else { Ok(bins().map(gap).fold(0.0, f64::max) / rows as f64) }
    }

    /// The place of a name; digits are the integer that they spell.
    fn place(&mut self, name: &str) -> u32 {
        if let Some(integer) = name.parse().ok().filter(|integer: &i64| integer.to_string() == name) {
            return self.place_of_integer(integer);
        }
        if let Some(&place) = self.names.get(name) {
            return place;
        }
        self.names.insert(name.into(), self.bins.len() as u32);
        self.next_place()
    }

    fn place_of_integer(&mut self, integer: i64) -> u32 {
        if let Some(&place) = self.integers.get(&integer) {
            return place;
        }
        self.integers.insert(integer, self.bins.len() as u32);
        self.next_place()
    }

    fn next_place(&mut self) -> u32 {
        self.bins.push(Vec::new());
        self.bins.len() as u32 - 1
    }
}

/// Bins are kept in their order: that of every sum over them.
fn add(bins: &mut Vec<Bin>, bin: u32, cell: &Cell) {
    let at = bins.partition_point(|other| other.place < bin);
    if bins.get(at).is_none_or(|other| other.place != bin) {
        bins.insert(at, Bin::new(bin));
    }
    bins[at].merge(cell);
}

fn group(bins: &[Bin]) -> Group {
    let totals: Vec<Total> = bins.iter().map(|bin| Total::from(&bin.cell())).collect();
    let total: Total = totals.iter().copied().sum();
    Group { total, conf_ece: Norm::L1.of(&totals, total.weight) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::{Parts, State};

    const NAMES: [&str; 3] = ["art", "law", "zoology"];

    fn groups(rows: &[(usize, f32, bool)]) -> Groups {
        let mut groups = Groups::new(Edges::equal_width(7).unwrap());
        let names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
        let codes: Vec<i64> = rows.iter().map(|row| row.0 as i64).collect();
        let confidence: Vec<f64> = rows.iter().map(|row| row.1.into()).collect();
        let correct: Vec<u8> = rows.iter().map(|row| row.2.into()).collect();
        let keys = Keys::Codes { names: &names, places: &mut [None; 3], codes: &codes };
        groups.update::<f32>(keys, &confidence, &correct).unwrap();
        groups
    }

    proptest! {
        #[test]
        fn a_group_says_what_its_state_says(
            rows in prop::collection::vec((0..3_usize, 0.0..=1.0_f32, any::<bool>()), 1..60),
        ) {
            let (left, right) = rows.split_at(rows.len() / 3);
            let mut merged = groups(right);
            merged.merge(&groups(left)).unwrap();
            let whole = groups(&rows);
            prop_assert_eq!(merged.table(), whole.table());
            prop_assert_eq!(merged.gap(), whole.gap());
            for (name, found) in merged.table() {
                let mine: Vec<_> = rows.iter().filter(|row| NAMES[row.0] == name).collect();
                let mut state = State::new(Edges::equal_width(7).unwrap(), Parts::default());
                let confidence: Vec<f32> = mine.iter().map(|row| row.1).collect();
                let correct: Vec<u8> = mine.iter().map(|row| row.2.into()).collect();
                state.update_confidences(&confidence, &correct, None).unwrap();
                prop_assert_eq!(found.total.count, state.rows());
                prop_assert_eq!(found.conf_ece, state.confidence_error(Norm::L1).unwrap());
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut one = groups(&[(0, 0.5, true)]);
        assert!(one.merge(&Groups::new(Edges::equal_width(3).unwrap())).is_err());
        let mut update = |code, correct: &[u8]| {
            one.update::<f32>(Keys::Codes { names: &["a"], places: &mut [None], codes: &[code] }, &[0.5], correct)
        };
        assert!(update(1, &[1]).is_err());
        assert!(update(0, &[]).is_err());
        assert!(update(0, &[1]).is_ok());
    }

    #[test]
    fn a_number_and_its_digits_are_one_group() {
        let mut groups = Groups::new(Edges::equal_width(3).unwrap());
        groups.update::<f32>(Keys::<&str>::Integers(&[17, -1]), &[0.5, 0.5], &[1, 1]).unwrap();
        let keys = Keys::Codes { names: &["017", "17", "unused"], places: &mut [None; 3], codes: &[1, 0, 1] };
        groups.update::<f32>(keys, &[0.5; 3], &[0; 3]).unwrap();
        let mut merged = Groups::new(Edges::equal_width(3).unwrap());
        merged.merge(&groups).unwrap();
        let counts: Vec<_> = merged.table().into_iter().map(|(name, group)| (name, group.total.count)).collect();
        assert_eq!(counts, [("-1".to_owned(), 1), ("017".to_owned(), 1), ("17".to_owned(), 3)]);
    }
}
