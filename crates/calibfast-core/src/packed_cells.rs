//! The cells of millions of groups in a few bytes each: sorted, packed, and read from the first to the last.
//!
//! A table of so many cells that is looked up for every row is a wait for the memory for every row. Here rows wait
//! unsorted until there are as many as there are cells, and then go in together: memory is only ever read in its order.

use serde::{Deserialize, Serialize};

use crate::bins::Cell;
use crate::error::{Error, Result};
use crate::state::MAX_ROWS;

/// Rows that wait however few cells there are.
const FEW: usize = 1 << 16;
/// Bytes of cells for each further row that waits: about those of a cell.
const BYTES: usize = 8;

/// Most bytes of a cell.
const CELL: usize = 5 + 10 + 10 + 19 + 1;

/// A row that waits.
#[derive(Clone, Copy, Debug)]
struct Row {
    group: u64,
    bin: u32,
    confidence: f64,
    hit: bool,
}

/// A cell as it is written.
#[derive(Serialize, Deserialize)]
struct Packed {
    bin: u32,
    count: u64,
    hits: u64,
    /// The sum of confidences without the zeros at its end, and how many these are.
    odd: u128,
    zeros: u8,
}

impl Packed {
    fn new(bin: u32, cell: &Cell) -> Self {
        let zeros = cell.confidence.trailing_zeros() % u128::BITS;
        Self { bin, count: cell.count, hits: cell.hits, odd: cell.confidence >> zeros, zeros: zeros as u8 }
    }

    fn cell(&self) -> Cell {
        Cell { count: self.count, hits: self.hits, confidence: self.odd << self.zeros }
    }

    /// Whether it can have come from rows.
    fn is_sound(&self) -> bool {
        self.count > 0
            && u32::from(self.zeros) <= self.odd.leading_zeros().min(u128::BITS - 1)
            && self.cell().is_sound()
    }
}

/// Cells by group and bin.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedCells {
    /// For each group how far it is from the last one, the length of its cells, and these.
    bytes: Vec<u8>,
    groups: usize,
    last: u64,
    waiting: Vec<Row>,
}

impl PackedCells {
    /// Add a row.
    #[inline]
    pub(crate) fn insert(&mut self, group: u64, bin: u32, confidence: f64, hit: bool) {
        self.waiting.push(Row { group, bin, confidence, hit });
        if self.waiting.len() >= FEW.max(self.bytes.len() / BYTES) {
            self.settle();
        }
    }

    /// Put the rows that wait where they belong, which all that is read here asks for.
    pub(crate) fn settle(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_unstable_by_key(|row| (row.group, row.bin));
        let of = |rows: &[Row]| {
            let mut cell = Cell::default();
            for row in rows {
                cell.insert(row.confidence, row.hit);
            }
            (rows[0].bin, cell)
        };
        let groups = waiting.chunk_by(|a, b| a.group == b.group);
        self.add(groups.map(|rows| (rows[0].group, rows.chunk_by(|a, b| a.bin == b.bin).map(of))));
        waiting.clear();
        self.waiting = waiting;
    }

    /// Number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// All cells as they are written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the groups are those from 0 to below this.
    pub(crate) fn are_numbered_to(&self, groups: usize) -> bool {
        self.groups == groups && (groups == 0 || self.last == groups as u64 - 1)
    }

    /// Every group and its cells, in the order of both.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Cells<'_>)> {
        groups(&self.bytes).map(|(group, cells)| (group, Cells(cells)))
    }

    /// Add the cells of others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.iter());
    }

    /// Add cells that come in the order of their groups and bins.
    fn add(&mut self, others: impl Iterator<Item = (u64, impl Iterator<Item = (u32, Cell)>)>) {
        let mut sum = Self { bytes: Vec::with_capacity(self.bytes.len()), ..Self::default() };
        let mut own = groups(&self.bytes).peekable();
        let mut cells = vec![0; CELL];
        for (group, others) in others {
            while let Some((before, cells)) = own.next_if(|own| own.0 < group) {
                sum.push(before, cells);
            }
            let mine = own.next_if(|own| own.0 == group).map_or(&[][..], |own| own.1);
            let (mut mine, mut others) = (Cells(mine).peekable(), others.peekable());
            let mut end = 0;
            while let Some(bin) = mine.peek().into_iter().chain(others.peek()).map(|cell| cell.0).min() {
                let mut cell = Cell::default();
                let both = [mine.next_if(|cell| cell.0 == bin), others.next_if(|cell| cell.0 == bin)];
                for (_, part) in both.into_iter().flatten() {
                    cell.merge(&part);
                }
                if cells.len() < end + CELL {
                    cells.resize(2 * cells.len(), 0);
                }
                let packed = postcard::to_slice(&Packed::new(bin, &cell), &mut cells[end..]);
                end += packed.expect("there is space").len();
            }
            sum.push(group, &cells[..end]);
        }
        for (group, cells) in own {
            sum.push(group, cells);
        }
        *self = sum;
    }

    /// The same cells of groups that have other numbers, no two the same.
    pub(crate) fn renumbered(&self, number: impl Fn(u64) -> u64) -> Self {
        let mut found: Vec<_> = groups(&self.bytes).map(|(group, cells)| (number(group), cells)).collect();
        found.sort_unstable_by_key(|&(group, _)| group);
        let mut renumbered = Self::default();
        for (group, cells) in found {
            renumbered.push(group, cells);
        }
        renumbered
    }

    /// The cells that [`PackedCells::bytes`] gave, and the number of their rows.
    ///
    /// # Errors
    /// [`Error::State`] where the bytes can be no cells of such bins.
    pub(crate) fn read(bytes: &[u8], bins: usize) -> Result<(Self, u64)> {
        let damaged = || Error::State("the groups' cells contradict themselves: they are damaged".to_owned());
        let mut found = Self::default();
        let (mut left, mut rows) = (bytes, 0_u128);
        while !left.is_empty() {
            let ((step, mut cells), rest) = postcard::take_from_bytes::<(u64, &[u8])>(left).map_err(|_| damaged())?;
            let group = found.last.checked_add(step).filter(|&group| group > found.last || found.groups == 0);
            (found.last, found.groups, left) = (group.ok_or_else(damaged)?, found.groups + 1, rest);
            let mut next = 0;
            loop {
                let (cell, rest) = postcard::take_from_bytes::<Packed>(cells).map_err(|_| damaged())?;
                if cell.bin < next || cell.bin as usize >= bins || !cell.is_sound() {
                    return Err(damaged());
                }
                rows += u128::from(cell.count);
                (next, cells) = (cell.bin + 1, rest);
                if cells.is_empty() {
                    break;
                }
            }
        }
        if rows > MAX_ROWS {
            return Err(damaged());
        }
        found.bytes = bytes.to_vec();
        Ok((found, rows as u64))
    }

    /// Write a group behind all that are before it.
    fn push(&mut self, group: u64, cells: &[u8]) {
        let mut space = [0; 20];
        let head = postcard::to_slice(&(group - self.last, cells.len()), &mut space);
        self.bytes.extend_from_slice(head.expect("two integers of ten bytes at most"));
        self.bytes.extend_from_slice(cells);
        self.groups += 1;
        self.last = group;
    }
}

/// The cells of a group, each with its bin.
pub(crate) struct Cells<'a>(&'a [u8]);

impl Iterator for Cells<'_> {
    type Item = (u32, Cell);

    fn next(&mut self) -> Option<(u32, Cell)> {
        if self.0.is_empty() {
            return None;
        }
        let (packed, left) = postcard::take_from_bytes::<Packed>(self.0).expect("cells that were packed or checked");
        self.0 = left;
        Some((packed.bin, packed.cell()))
    }
}

fn groups(mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut group = 0;
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let ((step, cells), left) = postcard::take_from_bytes::<(u64, &[u8])>(bytes).expect("groups that were packed");
        (bytes, group) = (left, group + step);
        Some((group, cells))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn rows_that_waited_are_counted_as_rows_that_were_looked_up() {
        let ends = [0, 1, u64::MAX - 1, u64::MAX];
        let row = |i: u64| {
            let mixed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let group = ends.get((mixed >> 48) as usize).copied().unwrap_or(mixed >> 30 & 0xffff);
            (group, (mixed >> 20 & 7) as u32, (mixed >> 11) as f64 / (1_u64 << 53) as f64, i.is_multiple_of(3))
        };
        let (mut packed, mut parts) = (PackedCells::default(), [PackedCells::default(), PackedCells::default()]);
        let mut counted: BTreeMap<u64, BTreeMap<u32, Cell>> = BTreeMap::new();
        for i in 0..5 * FEW as u64 {
            let (group, bin, confidence, hit) = row(i);
            packed.insert(group, bin, confidence, hit);
            parts[usize::from(i % 5 == 0)].insert(group, bin, confidence, hit);
            counted.entry(group).or_default().entry(bin).or_default().insert(confidence, hit);
        }
        packed.settle();
        let found = packed.iter().map(|(group, cells)| (group, cells.collect()));
        assert!(found.eq(counted.clone()));
        assert_eq!(packed.groups(), counted.len());
        let [mut one, mut other] = parts;
        one.settle();
        other.settle();
        one.merge(&other);
        assert_eq!(one.bytes(), packed.bytes());
        let (read, rows) = PackedCells::read(packed.bytes(), 8).unwrap();
        assert_eq!((read.groups(), rows), (counted.len(), 5 * FEW as u64));
        assert!(PackedCells::read(packed.bytes(), 7).is_err());
        let turned = packed.renumbered(|group| u64::MAX - group);
        assert!(turned.iter().map(|(group, _)| u64::MAX - group).eq(counted.keys().rev().copied()));
        assert_eq!(turned.renumbered(|group| u64::MAX - group).bytes(), packed.bytes());
    }
}
