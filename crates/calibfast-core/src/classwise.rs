//! Every class against the rest, into bins of its own (Kull et al. 2019; the CFT paper's cw-ECE).
#![allow(clippy::inline_always)] // into loops that are compiled for each instruction set

use crate::bins::{Cell, Cells};
use crate::edges::Lookup;
use crate::float::Float;
use crate::options::{Row, WIDE};
use crate::two_phase::{self, COUNT_SHIFT, ROWS as TILE, TwoPhase};
use crate::two_phase_wide::{self, COPIES, MAX_BINS, ROWS, TwoPhaseWide, Words, phase_two};

/// Put one row into the bins of every class that it has: class k's bins are `k * M .. (k + 1) * M`.
#[inline(always)]
pub(crate) fn insert(
    cells: &mut Cells,
    lookup: &Lookup,
    row: &Row,
    is_present: impl Fn(usize) -> bool,
    label: usize,
    weight: Option<f64>,
) {
    let bins = lookup.bins();
    match cells {
        Cells::Plain(cells) => insert_plain(cells, lookup, row, is_present, label),
        Cells::Weighted(cells) => {
            for (class, (p, cells)) in row.probs().zip(cells.chunks_exact_mut(bins)).enumerate() {
                if is_present(class) {
                    cells[lookup.bin(p)].insert(p, class == label, weight.unwrap_or(1.0));
                }
            }
        }
    }
}

#[inline(always)]
fn insert_plain(cells: &mut [Cell], lookup: &Lookup, row: &Row, is_present: impl Fn(usize) -> bool, label: usize) {
    for (class, (p, cells)) in row.probs().zip(cells.chunks_exact_mut(lookup.bins())).enumerate() {
        if is_present(class) {
            cells[lookup.bin(p)].insert(p, class == label);
        }
    }
}

/// Many rows without weights, by the two phases of [`two_phase`] and [`two_phase_wide`].
pub(crate) struct Classwise<'a> {
    cells: &'a mut [Cell],
    lookup: &'a Lookup,
    phase_one: PhaseOne,
    /// Class by class, slot by slot: those of the bins, the one for 0, and one for options that are absent. Several
    /// copies of a slot where there are few classes.
    histogram: Vec<Words>,
    copies: usize,
    /// Digits under 2^-31 by class, where words do without: only values of the first bin have them.
    fine: Vec<u64>,
    /// Rows in the histogram.
    held: usize,
}

/// How slots are found: by arithmetic where it gives every edge as the type of the rows rounds it, else by the table.
enum PhaseOne {
    Double(TwoPhaseWide<f64>),
    Single(TwoPhaseWide<f32>),
    /// In few bins a confidence is one word; the two words of a slot are those of misses and of hits.
    Short(TwoPhase),
    Lookup,
}

/// A confidence and one row.
#[inline(always)]
fn short(word: u32) -> u64 {
    u64::from(word) + (1 << COUNT_SHIFT)
}

/// Rows after which the counts in the histogram could overflow.
const FLUSH: usize = 0xffff;

impl<'a> Classwise<'a> {
    /// Whether there are few enough bins.
    pub(crate) fn fits(lookup: &Lookup) -> bool {
        lookup.bins() <= MAX_BINS
    }

    pub(crate) fn new(cells: &'a mut [Cell], lookup: &'a Lookup) -> Self {
        let classes = cells.len() / lookup.bins();
        let single = || match (TwoPhaseWide::new(lookup), TwoPhase::new(lookup.bins())) {
            (Some(_), Some(short)) => PhaseOne::Short(short),
            (single, _) => single.map_or(PhaseOne::Lookup, PhaseOne::Single),
        };
        let phase_one = TwoPhaseWide::new(lookup).map_or_else(single, PhaseOne::Double);
        let copies = if classes < WIDE { COPIES } else { 1 };
        let histogram = vec![[0; 2]; classes * (lookup.bins() + 2) * copies];
        Self { cells, lookup, phase_one, histogram, copies, fine: vec![0; classes], held: 0 }
    }

    /// A row by itself.
    #[inline(always)]
    pub(crate) fn insert_plain(&mut self, row: &Row, is_present: impl Fn(usize) -> bool, label: usize) {
        insert_plain(self.cells, self.lookup, row, is_present, label);
    }

    /// Rows of few options, class by class; `is_present`, of row and class, where some are absent.
    #[inline(always)]
    pub(crate) fn insert_columns<P: Float>(
        &mut self,
        columns: &[[P; TILE]],
        labels: &[i64; TILE],
        is_present: Option<impl Fn(usize, usize) -> bool>,
    ) {
        self.hold(TILE);
        let absent = self.lookup.bins() + 1;
        let size = (absent + 1) * COPIES;
        for (class, column) in columns.iter().enumerate() {
            if let PhaseOne::Short(kernel) = &self.phase_one {
                let (p, hit) = (column.map(|p| p.to_f64() as f32), labels.map(|label| u8::from(label == class as i64)));
                let (mut ids, mut words) = ([0; TILE], [0; TILE]);
                if kernel.phase_one(&p, &hit, &mut ids, &mut words).is_fine() {
                    self.fine[class] += p.iter().map(|&p| two_phase::fine(p)).sum::<u64>();
                }
                if let Some(is_present) = &is_present {
                    for (i, id) in ids.iter_mut().enumerate() {
                        *id = if is_present(i, class) { *id } else { 2 * absent as u8 };
                    }
                }
                let histogram = self.histogram[class * size..(class + 1) * size].as_flattened_mut();
                for (ids, words) in ids.as_chunks::<COPIES>().0.iter().zip(words.as_chunks::<COPIES>().0) {
                    for copy in 0..COPIES {
                        histogram[copy * 2 * (absent + 1) + usize::from(ids[copy])] += short(words[copy]);
                    }
                }
                continue;
            }
            let blocks = column.as_chunks::<ROWS>().0.iter().zip(labels.as_chunks::<ROWS>().0);
            for (block, (p, labels)) in blocks.enumerate() {
                let hit = labels.map(|label| u8::from(label == class as i64));
                let (mut slots, words) = self.phase_one(p, &hit);
                if let Some(is_present) = &is_present {
                    for (i, slot) in slots.iter_mut().enumerate() {
                        *slot = if is_present(block * ROWS + i, class) { *slot } else { absent as u16 };
                    }
                }
                let histogram = &mut self.histogram[class * size..(class + 1) * size];
                phase_two(histogram.as_chunks_mut::<COPIES>().0, &slots, &words);
            }
        }
    }

    /// A row of many options, whose probabilities are the shares divided by `sum`; `is_present` where some are absent.
    #[inline(always)]
    pub(crate) fn insert_row<P: Float>(
        &mut self,
        shares: &[P],
        sum: f64,
        label: usize,
        is_present: Option<impl Fn(usize) -> bool>,
    ) {
        self.hold(1);
        let absent = self.lookup.bins() + 1;
        if let PhaseOne::Short(kernel) = &self.phase_one {
            let mut p = [0.0; TILE];
            for (block, shares) in shares.chunks(TILE).enumerate() {
                let first = block * TILE;
                p.iter_mut().zip(shares).for_each(|(p, &share)| *p = share.to_f64() as f32);
                let mut hit = [0; TILE];
                if let Some(hit) = hit.get_mut(label.wrapping_sub(first)) {
                    *hit = 1;
                }
                let (mut ids, mut words) = ([0; TILE], [0; TILE]);
                if kernel.phase_one(&p, &hit, &mut ids, &mut words).is_fine() {
                    self.fine[first..].iter_mut().zip(&p).for_each(|(fine, &p)| *fine += two_phase::fine(p));
                }
                if let Some(is_present) = &is_present {
                    for (i, id) in ids[..shares.len()].iter_mut().enumerate() {
                        *id = if is_present(first + i) { *id } else { 2 * absent as u8 };
                    }
                }
                let size = 2 * (absent + 1);
                let places: [u32; TILE] = std::array::from_fn(|i| (i * size) as u32 + u32::from(ids[i]));
                let histogram = &mut self.histogram.as_flattened_mut()[first * size..];
                for (&place, &word) in places[..shares.len()].iter().zip(&words) {
                    histogram[place as usize] += short(word);
                }
            }
            return;
        }
        let mut p = [0.0; ROWS];
        for (block, shares) in shares.chunks(ROWS).enumerate() {
            let first = block * ROWS;
            p.iter_mut().zip(shares).for_each(|(p, share)| *p = share.to_f64());
            if sum != 1.0 {
                for p in &mut p {
                    *p /= sum;
                }
            }
            let mut hit = [0; ROWS];
            if let Some(hit) = hit.get_mut(label.wrapping_sub(first)) {
                *hit = 1;
            }
            let (mut slots, words) = self.phase_one(&p, &hit);
            if let Some(is_present) = &is_present {
                for (i, slot) in slots[..shares.len()].iter_mut().enumerate() {
                    *slot = if is_present(first + i) { *slot } else { absent as u16 };
                }
            }
            let classes = self.histogram[first * (absent + 1)..].chunks_exact_mut(absent + 1);
            for (histogram, (&slot, words)) in classes.zip(slots.iter().zip(&words)) {
                let entry = &mut histogram[usize::from(slot)];
                entry[0] += words[0];
                entry[1] += words[1];
            }
        }
    }

    #[inline(always)]
    fn phase_one<P: Float>(&self, p: &[P; ROWS], hit: &[u8; ROWS]) -> ([u16; ROWS], [Words; ROWS]) {
        let (mut slots, mut words) = ([0; ROWS], [[0; 2]; ROWS]);
        match &self.phase_one {
            PhaseOne::Double(kernel) => _ = kernel.phase_one(p, hit, &mut slots, &mut words),
            PhaseOne::Single(kernel) => _ = kernel.phase_one(p, hit, &mut slots, &mut words),
            PhaseOne::Lookup | PhaseOne::Short(_) => {
                for i in 0..ROWS {
                    let p = p[i].to_f64();
                    slots[i] = self.lookup.bin(p) as u16 + 1;
                    words[i] = two_phase_wide::words(p, hit[i]);
                }
            }
        }
        (slots, words)
    }

    fn hold(&mut self, rows: usize) {
        self.held += rows;
        if self.held > FLUSH {
            self.flush();
            self.held = rows;
        }
    }

    /// Bring what the histogram holds into the cells.
    #[inline(never)]
    pub(crate) fn flush(&mut self) {
        let bins = self.lookup.bins();
        let classes = self.histogram.chunks_exact_mut((bins + 2) * self.copies);
        for ((histogram, cells), fine) in classes.zip(self.cells.chunks_exact_mut(bins)).zip(&mut self.fine) {
            if let PhaseOne::Short(_) = self.phase_one {
                for (id, word) in histogram.as_flattened_mut().iter_mut().enumerate() {
                    let (id, word) = (id % (2 * (bins + 2)), std::mem::take(word));
                    if id < 2 * (bins + 1) {
                        two_phase::flush_word(cells, id, word);
                    }
                }
                cells[0].confidence += u128::from(std::mem::take(fine));
                continue;
            }
            let (present, absent) = histogram.split_at_mut((bins + 1) * self.copies);
            absent.fill([0; 2]);
            match self.copies {
                1 => two_phase_wide::flush(present.as_chunks_mut::<1>().0, cells),
                _ => two_phase_wide::flush(present.as_chunks_mut::<COPIES>().0, cells),
            }
        }
    }
}
