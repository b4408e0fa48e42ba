//! Rows by group, for millions of groups: of each only the bins that it has rows in, exact and mergeable as a state is.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::bins::Total;
use crate::codec::{open, seal};
use crate::edges::Edges;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::metrics::Norm;
use crate::packed_cells::{Cells, PackedCells};
use crate::state::MAX_ROWS;
use crate::sum;

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
        known: &'a mut [Option<Name>],
        /// One for each row.
        codes: &'a [i64],
    },
}

/// A group as cells know it.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    /// Digits.
    Integer(i64),
    /// Any other text, by its number.
    Text(u32),
}

const MAGIC: [u8; 4] = *b"CFSG";

/// The bins of every group.
#[derive(Clone, Debug)]
pub struct Groups {
    edges: Edges,
    rows: u64,
    integers: PackedCells,
    texts: PackedCells,
    numbers: HashMap<Box<str>, u32>,
}

/// Groups as they are written.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    edges: Edges,
    integers: &'a [u8],
    /// In their order, which is also the number of each in `texts`.
    names: Vec<&'a str>,
    texts: &'a [u8],
}

impl Groups {
    /// No rows yet.
    #[must_use]
    pub fn new(edges: Edges) -> Self {
        Self {
            edges,
            rows: 0,
            integers: PackedCells::default(),
            texts: PackedCells::default(),
            numbers: HashMap::new(),
        }
    }

    /// Whether there are more groups than these.
    #[must_use]
    pub fn has_more_than(&mut self, groups: usize) -> bool {
        let found = |all: &Self| all.integers.groups() + all.texts.groups();
        found(self) > groups || found(self.settled()) > groups
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
        let lookup = self.edges.lookup::<T>();
        let rows = confidence.iter().zip(correct).map(|(&p, &hit)| (lookup.bin(p) as u32, p, hit == 1));
        match keys {
            Keys::Integers(integers) => {
                for (&integer, (bin, confidence, hit)) in integers.iter().zip(rows) {
                    self.integers.insert(to_number(integer), bin, confidence, hit);
                }
            }
            Keys::Codes { names, known, codes } => {
                if codes.iter().any(|&code| usize::try_from(code).map_or(true, |code| code >= names.len())) {
                    return Err(Error::Mismatch("a row is of a group that has no name".to_owned()));
                }
                for (&code, (bin, confidence, hit)) in codes.iter().zip(rows) {
                    let code = code as usize;
                    match *known[code].get_or_insert_with(|| self.name(names[code].as_ref())) {
                        Name::Integer(integer) => self.integers.insert(to_number(integer), bin, confidence, hit),
                        Name::Text(number) => self.texts.insert(number.into(), bin, confidence, hit),
                    }
                }
            }
        }
        self.rows += confidence.len() as u64;
        Ok(())
    }

    /// Add all that another has seen.
    ///
    /// # Errors
    /// [`Error::State`] where the two differ in bins, or have seen more than 2^63 rows together.
    pub fn merge(&mut self, mut other: Self) -> Result<()> {
        if self.edges != other.edges {
            return Err(Error::State("groups with different bins do not merge".to_owned()));
        }
        if u128::from(self.rows) + u128::from(other.rows) > MAX_ROWS {
            return Err(Error::State("together the groups have seen more than 2^63 rows".to_owned()));
        }
        self.settled();
        other.settled();
        let mut mine = vec![0; other.numbers.len()];
        for (name, &theirs) in &other.numbers {
            mine[theirs as usize] = self.number(name).into();
        }
        self.rows += other.rows;
        self.integers.merge(&other.integers);
        self.texts.merge(&other.texts.renumbered(|theirs| mine[theirs as usize]));
        Ok(())
    }

    /// Every group: integers in their order, then all other names in theirs.
    #[must_use]
    pub fn table(&mut self) -> Vec<(String, Group)> {
        let groups = self.settled();
        let (names, texts) = groups.sorted_texts();
        let integers = groups.integers.iter().map(|(number, cells)| (to_integer(number).to_string(), group(cells)));
        let texts = names.into_iter().zip(texts.iter()).map(|(name, (_, cells))| (name.to_owned(), group(cells)));
        integers.chain(texts).collect()
    }

    /// The multicalibration gap: the largest `|hits - sum of confidences|` of a group in a bin, by its share of all rows
    /// (Hébert-Johnson et al. 2018).
    ///
    /// # Errors
    /// [`Error::Empty`] before the first row.
    pub fn gap(&mut self) -> Result<f64> {
        let groups = self.settled();
        let cells = groups.integers.iter().chain(groups.texts.iter()).flat_map(|(_, cells)| cells);
        let gaps = cells.map(|(_, cell)| (cell.hits as f64 - sum::from_fixed(cell.confidence)).abs());
        if groups.rows == 0 { Err(Error::Empty) } else { Ok(gaps.fold(0.0, f64::max) / groups.rows as f64) }
    }

    /// The same bytes for every way to the same rows, with a version and a checksum.
    #[must_use]
    pub fn to_bytes(&mut self) -> Vec<u8> {
        let groups = self.settled();
        let (names, texts) = groups.sorted_texts();
        let edges = groups.edges.clone();
        seal(MAGIC, &Saved { edges, integers: groups.integers.bytes(), names, texts: texts.bytes() })
    }

    /// The groups that [`Groups::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::State`] where the bytes are no groups, are damaged, or are of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let Saved { edges, integers, names, texts } = open(MAGIC, bytes)?;
        let (integers, rows) = PackedCells::read(integers, edges.bins())?;
        let (texts, more) = PackedCells::read(texts, edges.bins())?;
        let sorted = names.is_sorted_by(|a, b| a < b) && names.iter().all(|name| integer(name).is_none());
        let rows = rows.checked_add(more).filter(|&rows| u128::from(rows) <= MAX_ROWS);
        match rows {
            Some(rows) if sorted && texts.are_numbered_to(names.len()) => {
                let numbers = names.into_iter().map(Box::from).zip(0..).collect();
                Ok(Self { edges, rows, integers, texts, numbers })
            }
            _ => Err(Error::State("the groups' names or rows contradict themselves: they are damaged".to_owned())),
        }
    }

    fn settled(&mut self) -> &Self {
        self.integers.settle();
        self.texts.settle();
        self
    }

    /// The group of this name; digits are the integer that they spell.
    fn name(&mut self, name: &str) -> Name {
        integer(name).map_or_else(|| Name::Text(self.number(name)), Name::Integer)
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(name.into(), number);
        number
    }

    /// The names that are no integers, in their order, and their cells by their places in it.
    fn sorted_texts(&self) -> (Vec<&str>, PackedCells) {
        let mut names: Vec<(&str, u32)> = self.numbers.iter().map(|(name, &number)| (&**name, number)).collect();
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        for (place, &(_, number)) in names.iter().enumerate() {
            places[number as usize] = place as u64;
        }
        let texts = self.texts.renumbered(|number| places[number as usize]);
        (names.into_iter().map(|(name, _)| name).collect(), texts)
    }
}

/// The integer that this text is the digits of.
fn integer(name: &str) -> Option<i64> {
    name.parse().ok().filter(|integer: &i64| integer.to_string() == name)
}

/// Numbers run as the integers do.
fn to_number(integer: i64) -> u64 {
    integer as u64 ^ 1 << 63
}

fn to_integer(number: u64) -> i64 {
    (number ^ 1 << 63) as i64
}

fn group(cells: Cells<'_>) -> Group {
    let totals: Vec<Total> = cells.map(|(_, cell)| Total::from(&cell)).collect();
    let total: Total = totals.iter().copied().sum();
    Group { total, conf_ece: Norm::L1.of(&totals, total.weight) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::{Parts, State};

    const NAMES: [&str; 3] = ["art", "17", "zoology"];

    fn groups(rows: &[(usize, f32, bool)]) -> Groups {
        let mut groups = Groups::new(Edges::equal_width(7).unwrap());
        let names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
        let codes: Vec<i64> = rows.iter().map(|row| row.0 as i64).collect();
        let confidence: Vec<f64> = rows.iter().map(|row| row.1.into()).collect();
        let correct: Vec<u8> = rows.iter().map(|row| row.2.into()).collect();
        let keys = Keys::Codes { names: &names, known: &mut [None; 3], codes: &codes };
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
            merged.merge(groups(left)).unwrap();
            let mut whole = groups(&rows);
            prop_assert_eq!(merged.table(), whole.table());
            prop_assert_eq!(merged.to_bytes(), whole.to_bytes());
            prop_assert_eq!(Groups::from_bytes(&whole.to_bytes()).unwrap().to_bytes(), whole.to_bytes());
            prop_assert_eq!(merged.gap(), whole.gap());
            let found = merged.table().len();
            for mut groups in [merged.clone(), groups(&rows)] {
                prop_assert!(groups.has_more_than(found - 1) && !groups.has_more_than(found));
            }
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

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_refused_or_sound(
            edges in 0..4_usize,
            integers in prop::collection::vec(0..9_u8, 0..40),
            names in prop::collection::vec("[a-c1]?", 0..3),
            texts in prop::collection::vec(0..9_u8, 0..40),
        ) {
            let names = names.iter().map(String::as_str).collect();
            let edges = Edges::equal_width(edges + 1).unwrap();
            let bytes = seal(MAGIC, &Saved { edges, integers: &integers, names, texts: &texts });
            if let Ok(mut groups) = Groups::from_bytes(&bytes) {
                prop_assert_eq!(&Groups::from_bytes(&groups.to_bytes()).unwrap().to_bytes(), &groups.to_bytes());
                groups.merge(groups.clone()).unwrap();
                let _ = (groups.table(), groups.gap());
            }
        }
    }

    /// One cell each: the group or how far it is from the last, the cell's length, bin, rows, hits, confidence, zeros.
    #[test]
    fn bytes_that_contradict_themselves_are_refused() {
        let read = |integers: &[u8], names: &[&str], texts: &[u8]| {
            let edges = Edges::equal_width(3).unwrap();
            Groups::from_bytes(&seal(MAGIC, &Saved { edges, integers, names: names.to_vec(), texts }))
        };
        let sound = [0, 5, 2, 9, 9, 1, 62];
        assert!(read(&sound, &["a"], &sound).is_ok());
        for (at, lie) in [(1, 4), (1, 6), (1, 0), (2, 3), (3, 0), (3, 8), (5, 10), (6, 66), (6, 127), (6, 255)] {
            let mut bytes = sound;
            bytes[at] = lie;
            assert!(read(&bytes, &[], &[]).is_err(), "{at}: {lie}");
        }
        assert!(read(&[0, 5, 2, 0, 0, 0, 0], &[], &[]).is_err(), "no rows");
        assert!(read(&[0, 5, 2, 9, 9, 0, 128], &[], &[]).is_err(), "nothing, moved out of its word");
        let two = |step: u8| [&sound[..], &[step], &sound[1..]].concat();
        assert!(read(&two(1), &[], &[]).is_ok());
        assert!(read(&two(0), &[], &[]).is_err(), "a group twice");
        let bins = |bin: u8| [&[0, 10], &sound[2..], &[bin], &sound[3..]].concat();
        assert!(read(&bins(1), &[], &[]).is_err(), "bins that fall");
        assert!(read(&bins(2), &[], &[]).is_err(), "a bin twice");
        for names in [&[][..], &["1"], &["a", "b"]] {
            assert!(read(&[], names, &sound).is_err(), "{names:?}");
        }
        assert!(read(&[], &["a", "b"], &two(1)).is_ok());
        assert!(read(&[], &["a", "b"], &two(2)).is_err());
        assert!(read(&[], &["b", "a"], &two(1)).is_err());
        assert!(read(&[], &["a", "a"], &two(1)).is_err());
        let many = [&[0, 13, 2], &[0xff; 8][..], &[0x7f, 0, 0, 0]].concat(); // 2^63 - 1 rows
        let mut full = read(&many, &[], &[]).unwrap();
        assert!(full.merge(full.clone()).is_err());
        assert!(full.merge(read(&[0, 5, 2, 1, 1, 1, 62], &[], &[]).unwrap()).is_err());
        full.merge(read(&[], &[], &[]).unwrap()).unwrap();
        assert!(read(&many, &["a"], &sound).is_err());
    }

    #[test]
    fn a_group_of_ten_rows_takes_a_hundred_bytes_at_most() {
        let mut groups = Groups::new(Edges::equal_width(1000).unwrap());
        let users: Vec<i64> = (0..10_000).map(|row| row % 1000).collect();
        let confidence: Vec<f64> = (0..10_000).map(|row| f64::from(row as f32 / 10_007.0)).collect();
        groups.update::<f32>(Keys::<&str>::Integers(&users), &confidence, &[1; 10_000]).unwrap();
        assert!(groups.to_bytes().len() < 100 * 1000);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut one = groups(&[(0, 0.5, true)]);
        assert!(one.merge(Groups::new(Edges::equal_width(3).unwrap())).is_err());
        let mut update = |code, correct: &[u8]| {
            one.update::<f32>(Keys::Codes { names: &["a"], known: &mut [None], codes: &[code] }, &[0.5], correct)
        };
        assert!(update(1, &[1]).is_err());
        assert!(update(0, &[]).is_err());
        assert!(update(0, &[1]).is_ok());
    }

    #[test]
    fn a_number_and_its_digits_are_one_group() {
        let mut groups = Groups::new(Edges::equal_width(3).unwrap());
        groups.update::<f32>(Keys::<&str>::Integers(&[17, -1]), &[0.5, 0.5], &[1, 1]).unwrap();
        let keys = Keys::Codes { names: &["017", "17", "unused"], known: &mut [None; 3], codes: &[1, 0, 1] };
        groups.update::<f32>(keys, &[0.5; 3], &[0; 3]).unwrap();
        let mut merged = Groups::new(Edges::equal_width(3).unwrap());
        merged.merge(groups).unwrap();
        let counts: Vec<_> = merged.table().into_iter().map(|(name, group)| (name, group.total.count)).collect();
        assert_eq!(counts, [("-1".to_owned(), 1), ("17".to_owned(), 3), ("017".to_owned(), 1)]);
    }
}
