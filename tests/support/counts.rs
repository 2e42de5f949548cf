//! Things done many times over, and what they leave open.

use std::{env, fs};

/// The descriptors that are open.
pub(crate) fn descriptors() -> Vec<String> {
    let mut open: Vec<String> = fs::read_dir("/proc/self/fd")
        .expect("Linux")
        .map(|entry| entry.expect("a name").file_name().into_string().expect("a number"))
        .collect();
    open.sort();
    open
}

/// A tenth of what is asked for, or so many tenths as `TWISTOR_COUNTS` says.
pub(crate) fn count(whole: usize) -> usize {
    let tenths = env::var("TWISTOR_COUNTS").map_or(1, |tenths| tenths.parse().expect("a number of tenths"));
    whole / 10 * tenths
}
