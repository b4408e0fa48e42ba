//! Rows shared among threads. States are integers, so how rows are shared changes no bit of the answer.
//!
//! Threads live for one call: nothing outlasts it, so a process may fork between calls.

use std::num::NonZero;
use std::ops::Range;
use std::sync::LazyLock;

use crate::error::Result;

/// Environment variable that sets the number of threads.
pub const THREADS_VARIABLE: &str = "CALIBFAST_NUM_THREADS";

/// Asked once: the answer is read from files, which takes longer than a small call.
static MACHINE: LazyLock<Option<NonZero<usize>>> = LazyLock::new(|| std::thread::available_parallelism().ok());

/// The number of threads to use: as asked for, else by the environment, else as many as the machine runs at once.
#[must_use]
pub fn threads(asked: Option<NonZero<usize>>) -> usize {
    let by_environment = || std::env::var(THREADS_VARIABLE).ok()?.parse().ok();
    asked.or_else(by_environment).or_else(|| *MACHINE).map_or(1, NonZero::get)
}

/// Split `rows` into at most `threads` ranges of at least `least` rows, work on each in a thread of its own, and
/// return the results in the order of the ranges.
///
/// # Errors
/// The error of the first range that has one.
///
/// # Panics
/// Where `work` does.
pub fn map<S: Send>(
    rows: usize,
    threads: usize,
    least: usize,
    work: impl Fn(Range<usize>) -> Result<S> + Sync,
) -> Result<Vec<S>> {
    let parts = (rows / least.max(1)).clamp(1, threads.max(1));
    if parts == 1 {
        return Ok(vec![work(0..rows)?]);
    }
    let bound = |part: usize| rows / parts * part + (rows % parts).min(part);
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = (0..parts).map(|part| scope.spawn(move || work(bound(part)..bound(part + 1)))).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Sort in place, halves in threads of their own. The order of equal keys cannot be told, so threads change nothing.
pub fn sort<K: Copy + Ord + Send>(keys: &mut [K], threads: usize) {
    /// Keys that are worth a thread.
    const LEAST: usize = 1 << 16;
    if threads < 2 || keys.len() < 2 * LEAST {
        keys.sort_unstable();
        return;
    }
    let (left, right) = keys.split_at_mut(keys.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| sort(left, threads / 2));
        sort(right, threads - threads / 2);
    });
    // Two sorted runs: the stable sort finds and merges them.
    keys.sort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_in_order() {
        let parts = |rows, threads, least| map(rows, threads, least, Ok).unwrap();
        assert_eq!(parts(11, 4, 3), [0..4, 4..8, 8..11]);
        assert_eq!(parts(12, 3, 0), [0..4, 4..8, 8..12]);
        assert_eq!(parts(2, 9, 1), [0..1, 1..2]);
        assert_eq!((threads(NonZero::new(3)), threads(None) > 0), (3, true));
        assert_eq!([parts(0, 4, 1), parts(5, 4, 3), parts(5, 0, 1)].concat(), [0..0, 0..5, 0..5]);
    }
}
