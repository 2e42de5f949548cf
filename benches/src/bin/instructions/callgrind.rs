//! Runs this program under valgrind, and reads what it took.

use std::{
    env, fs, io, process,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// Instructions of a run, or of a unit of its work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    /// Of this program's own code.
    pub(crate) own: f64,
    /// With those of the libraries that it is linked with at run time.
    pub(crate) all: f64,
}

/// Does a work so many times in another process.
pub(crate) fn count(work: &str, times: usize) -> io::Result<Count> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let name = format!("twistor-bench-{}-{}.callgrind", process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let (program, profile) = (env::current_exe()?, env::temp_dir().join(name));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(&program)
        .args([work, &times.to_string()])
        .env("RUST_BACKTRACE", "0") // with it a failure takes as long as ten connections
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind does not start: {error}")))?;
    let told = fs::read_to_string(&profile);
    let _ = fs::remove_file(&profile); // there is none if it has failed
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{work} failed under valgrind:\n{why}")));
    }
    read(&told?, &program.display().to_string()).ok_or_else(|| {
        io::Error::other(format!("the profile of {work} has no costs of {}", program.display()))
    })
}

/// Adds up a profile in callgrind's format, uncompressed: `ob=` names the object that the next lines are of, and each of them is a position and its
/// cost. The line after `calls=` is not: it is what a call took inside.
fn read(profile: &str, program: &str) -> Option<Count> {
    let (mut count, mut is_own, mut is_call) = (Count::default(), false, false);
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = object == program;
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit()) && !std::mem::take(&mut is_call) {
            let cost: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
            count.all += cost;
            count.own += if is_own { cost } else { 0.0 };
        }
    }
    (count.own > 0.0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
version: 1
positions: line
events: Ir

ob=/lib/libc.so.6
fl=malloc.c
fn=malloc
3323 100

ob=/bin/works
fl=works.rs
fn=works::run
12 7
fi=chain.rs
13 5
cob=/lib/libc.so.6
cfi=malloc.c
cfn=malloc
calls=4 3323
14 100
15 1

totals: 113
";

    #[test]
    fn what_a_function_calls_is_not_counted_twice_and_the_libraries_apart() {
        assert_eq!(read(PROFILE, "/bin/works"), Some(Count { own: 13.0, all: 113.0 }));
    }

    #[test]
    fn a_profile_without_costs_of_the_program_is_none() {
        assert_eq!(read(PROFILE, "/bin/others"), None);
        assert_eq!(read("", "/bin/works"), None);
    }
}
