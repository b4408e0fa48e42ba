//! The one door to vector instructions: work runs on the best level that the machine has.
//!
//! No level changes a bit of any answer: the environment variable [`SIMD_VARIABLE`] forces one, to test and to measure.

use std::sync::LazyLock;

use pulp::{Arch, WithSimd};

use crate::error::{Error, Result};

/// Environment variable that forces a level: `baseline`, `avx2`, `avx512` or `neon`. Read once, at first use.
pub const SIMD_VARIABLE: &str = "CALIBFAST_SIMD";

/// A level that this machine has, and its name.
type Level = (&'static str, Arch);

static LEVEL: LazyLock<Result<Level>> =
    LazyLock::new(|| std::env::var(SIMD_VARIABLE).map_or_else(|_| Ok(best()), |name| find(&name)));

/// Do `work`, compiled for the level chosen; what is to be compiled so must be inlined into its `with_simd`.
///
/// Where [`level`] fails, it is the machine's best.
#[inline]
pub(crate) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    LEVEL.as_ref().map_or_else(|_| Arch::new(), |level| level.1).dispatch(work)
}

/// The level that work runs on, as [`SIMD_VARIABLE`] names it.
///
/// # Errors
/// [`Error::Level`] where that asks for a level that there is not, or that this machine lacks.
pub fn level() -> Result<&'static str> {
    LEVEL.as_ref().map(|level| level.0).map_err(Clone::clone)
}

fn best() -> Level {
    let best = levels().into_iter().rev().find_map(|(name, level)| Some((name, level?)));
    best.unwrap_or(("baseline", Arch::Scalar))
}

fn find(name: &str) -> Result<Level> {
    let levels = levels();
    let found = levels.iter().find(|level| level.0 == name);
    found.and_then(|&(name, level)| Some((name, level?))).ok_or_else(|| {
        let have: Vec<&str> = levels.iter().filter(|level| level.1.is_some()).map(|level| level.0).collect();
        let why = if found.is_some() { "which this machine lacks" } else { "which is no instruction set" };
        Error::Level(format!("{SIMD_VARIABLE} is {name:?}, {why}; here it may be {}, or unset", have.join(", ")))
    })
}

/// The names of all levels, the best last, and those that this machine has.
fn levels() -> [(&'static str, Option<Arch>); 4] {
    #[cfg(target_arch = "x86_64")]
    let [avx2, avx512, neon] = [pulp::x86::V3::try_new().map(Arch::V3), pulp::x86::V4::try_new().map(Arch::V4), None];
    #[cfg(target_arch = "aarch64")]
    let [avx2, avx512, neon] = [None, None, pulp::aarch64::Neon::try_new().map(Arch::Neon)];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let [avx2, avx512, neon] = [None; 3];
    [("baseline", Some(Arch::Scalar)), ("avx2", avx2), ("avx512", avx512), ("neon", neon)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_found_by_its_name_or_refused_in_one_line() {
        assert!(find("baseline").is_ok());
        assert_eq!(std::mem::discriminant(&best().1), std::mem::discriminant(&Arch::new()));
        for (name, level) in levels() {
            assert_eq!(find(name).is_ok(), level.is_some());
        }
        let Err(Error::Level(message)) = find("sse9") else { panic!("there is no such level") };
        assert!(message.contains("CALIBFAST_SIMD is \"sse9\"") && message.contains("baseline"));
    }
}
