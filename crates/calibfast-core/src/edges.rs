//! Bin edges: one contract for every input type.
//!
//! M bins on [0, 1], bin m = `(e_(m-1), e_m]`, and 0 belongs to the first bin (Guo et al. 2017; Algorithm 1 of the
//! CFT paper, arXiv 2505.01997). Equal-width edges are m/M rounded to the input's own type, so that 0.1 lands in
//! the same bin in whatever precision it is written.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::float::Float;

/// Most bins that a state may have.
pub const MAX_BINS: usize = 1 << 24;

/// How [0, 1] is cut into bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Edges(Raw);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Raw {
    EqualWidth(usize),
    Explicit(Vec<f64>),
}

impl TryFrom<Raw> for Edges {
    type Error = Error;

    fn try_from(raw: Raw) -> Result<Self> {
        match raw {
            Raw::EqualWidth(bins) => Self::equal_width(bins),
            Raw::Explicit(edges) => Self::explicit(edges),
        }
    }
}

impl From<Edges> for Raw {
    fn from(edges: Edges) -> Self {
        edges.0
    }
}

impl Edges {
    /// `bins` bins of equal width.
    ///
    /// # Errors
    /// [`Error::Edges`] where `bins` is 0 or above [`MAX_BINS`].
    pub fn equal_width(bins: usize) -> Result<Self> {
        if bins == 0 || bins > MAX_BINS {
            return Err(Error::Edges(format!("expected a number from 1 to {MAX_BINS}, got {bins}")));
        }
        Ok(Self(Raw::EqualWidth(bins)))
    }

    /// Bins between the given edges: 0, strictly rising, 1; where these are m/M, the M bins of equal width.
    ///
    /// # Errors
    /// [`Error::Edges`] where they do not run so.
    pub fn explicit(edges: Vec<f64>) -> Result<Self> {
        if edges.len() < 2 || edges.len() > MAX_BINS + 1 {
            return Err(Error::Edges(format!("explicit edges are at least 0 and 1, got {} numbers", edges.len())));
        }
        if edges[0] != 0.0 || edges[edges.len() - 1] != 1.0 {
            return Err(Error::Edges(format!(
                "explicit edges start at 0 and end at 1, got {} and {}",
                edges[0],
                edges[edges.len() - 1]
            )));
        }
        if let Some(i) = edges.windows(2).position(|pair| pair[0] >= pair[1] || pair[1].is_nan()) {
            return Err(Error::Edges(format!(
                "explicit edges rise strictly, but edge {} is {} after {}",
                i + 1,
                edges[i + 1],
                edges[i]
            )));
        }
        // One way to write the same bins: states of either merge.
        let equal_width = Self(Raw::EqualWidth(edges.len() - 1));
        Ok(if equal_width.values() == edges { equal_width } else { Self(Raw::Explicit(edges)) })
    }

    /// Number of bins.
    #[must_use]
    pub fn bins(&self) -> usize {
        match &self.0 {
            Raw::EqualWidth(bins) => *bins,
            Raw::Explicit(edges) => edges.len() - 1,
        }
    }

    /// The edges as numbers: `bins + 1` values from 0 to 1.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        match &self.0 {
            Raw::EqualWidth(bins) => (0..=*bins).map(|m| m as f64 / *bins as f64).collect(),
            Raw::Explicit(edges) => edges.clone(),
        }
    }

    /// The edges as values of type `T` meet them.
    #[must_use]
    pub fn rounded<T: Float>(&self) -> Vec<f64> {
        self.values().into_iter().map(T::round).collect()
    }

    /// The table that finds the bins of values of type `T`.
    pub(crate) fn lookup<T: Float>(&self) -> Lookup {
        let edges = self.rounded::<T>();
        let equal_width = match self.0 {
            Raw::EqualWidth(bins) => Some(bins),
            Raw::Explicit(_) => None,
        };
        // Where rounding moves no edge by more than a quarter of a bin, the nearest edge decides alone.
        let scale = equal_width.map(|bins| bins as f64).filter(|bins| bins * T::EPSILON <= 0.25);
        Lookup { edges, equal_width, scale }
    }
}

/// Edges rounded to an input type.
pub(crate) struct Lookup {
    pub(crate) edges: Vec<f64>,
    pub(crate) equal_width: Option<usize>,
    scale: Option<f64>,
}

impl Lookup {
    /// Number of bins.
    pub(crate) fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// Bin of `p` in [0, 1]: the first whose upper edge is not below it.
    #[inline(always)]
    #[allow(clippy::inline_always)] // into loops that are compiled for each instruction set
    pub(crate) fn bin(&self, p: f64) -> usize {
        /// Adding it to a number under 2^51 rounds to an integer, which then stands in the low bits.
        const MAGIC: f64 = 4_503_599_627_370_496.0; // 2^52
        let passed = match self.scale {
            Some(scale) => {
                let nearest = ((p * scale + MAGIC).to_bits() & 0xffff_ffff) as usize;
                nearest + usize::from(p > self.edges[nearest])
            }
            None => self.edges.partition_point(|&edge| edge < p),
        };
        passed.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    fn bin_of<T: Float>(bins: usize, p: T) -> usize {
        Edges::equal_width(bins).unwrap().lookup::<T>().bin(p.to_f64())
    }

    #[test]
    fn an_edge_lands_in_the_bin_below_it_in_every_type() {
        for bins in [1, 2, 3, 7, 10, 15, 100, 300] {
            for m in 1..=bins {
                let edge = m as f64 / bins as f64;
                assert_eq!(bin_of(bins, edge), m - 1);
                assert_eq!(bin_of(bins, edge as f32), m - 1);
                assert_eq!(bin_of(bins, f16::from_f64(edge)), m - 1);
                if bins <= 100 {
                    assert_eq!(bin_of(bins, bf16::from_f64(edge)), m - 1);
                }
            }
            assert_eq!(bin_of(bins, 0.0), 0);
        }
    }

    #[test]
    fn edges_that_a_coarse_type_cannot_tell_apart_leave_bins_empty() {
        assert_eq!(bin_of(100_000, f16::from_f64(1.0)), 99_975); // the first edge that rounds to 1 in float16
        assert_eq!(bin_of(100_000, 1.0), 99_999);
    }

    #[test]
    fn explicit_edges_follow_the_same_contract() {
        let lookup = Edges::explicit(vec![0.0, 0.2, 0.5, 1.0]).unwrap().lookup::<f32>();
        let bins = [0.0, 0.2, 0.21, 0.5, 0.51, 1.0].map(|p: f32| lookup.bin(f64::from(p)));
        assert_eq!(bins, [0, 0, 1, 1, 2, 2]);
        let edges = Edges::explicit(vec![0.0, 0.2, 0.5, 1.0]).unwrap();
        assert_eq!((edges.bins(), edges.values()), (3, vec![0.0, 0.2, 0.5, 1.0]));
        assert_eq!(Edges::explicit(vec![0.0, 1.0]).unwrap().bins(), 1);
        let tenths = Edges::equal_width(10).unwrap();
        assert_eq!(Edges::explicit(tenths.values()).unwrap(), tenths);
    }

    #[test]
    fn senseless_edges_are_refused() {
        assert!(Edges::equal_width(0).is_err() && Edges::equal_width(MAX_BINS + 1).is_err());
        assert_eq!(Edges::equal_width(MAX_BINS).unwrap().bins(), MAX_BINS);
        for edges in
            [vec![], vec![0.0], vec![0.0, 0.5], vec![0.1, 1.0], vec![0.0, 0.6, 0.6, 1.0], vec![0.0, f64::NAN, 1.0]]
        {
            assert!(Edges::explicit(edges).is_err());
        }
    }
}
