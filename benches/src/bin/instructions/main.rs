//! How many instructions the parts take: valgrind counts them, so a shared machine does not blur the figures.
//!
//! Each work runs twice, once long and once short; the difference is what one unit of it takes, without the start of the process. What counts is
//! this program's own code: what the C library does (`malloc`, `memcpy`) depends on the machine, and is told beside it.
//!
//! Without arguments it prints the table. With `--gate` it fails where a count is not that of the [baseline]; `--bless REASON` changes that.
//! Needs `valgrind`.

mod baseline;
mod callgrind;
mod sockets;
mod works;

use baseline::{Baseline, Verdict};
use callgrind::Count;
use std::{
    env, fs, io,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
};
use works::{LONGER, WORKS, Work};

const USAGE: &str = "usage: instructions [--gate | --bless REASON | WORK TIMES]";

/// What made this program: with another the counts are others, though nobody changed a line.
const COMPILER: &str = concat!(env!("RUSTC_VERSION"), ", ");

fn compiler() -> String {
    format!("{COMPILER}{}", env::consts::ARCH)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => table(),
        ["--gate"] => gate(),
        ["--bless", reason] => bless(reason),
        [name, times] => run(name, times),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Does a work, for valgrind to look at.
fn run(name: &str, times: &str) -> Result<(), String> {
    let work = WORKS.iter().find(|work| work.name == name).ok_or(USAGE)?;
    (work.run)(times.parse().map_err(|_| USAGE)?);
    Ok(())
}

fn table() -> Result<(), String> {
    println!("|what|instructions|with the C library's|\n|-|-|-|");
    for (work, count) in count_all()? {
        println!("|{}|{:.1}|{:.1}|", work.unit, count.own, count.all);
    }
    Ok(())
}

fn gate() -> Result<(), String> {
    let (baseline, counts) = (read_baseline()?, count_all()?);
    let verdict = baseline.judge(&compiler(), &own(&counts));
    print!("{verdict}");
    let past = past_their_limits(&counts);
    if !past.is_empty() {
        return Err(past.join("\n"));
    }
    match verdict {
        Verdict { wrong: 0, .. } => Ok(()),
        _ => {
            Err(format!("{}\n{ADVICE}", "the counts are not those of the baseline, benches/instructions.txt"))
        }
    }
}

/// The paths that take more than they may, in words. No baseline allows that.
fn past_their_limits(counts: &[(&Work, Count)]) -> Vec<String> {
    let past = counts.iter().filter_map(|(work, count)| {
        let most = work.most.filter(|most| count.own > *most)?;
        Some(format!("{} takes {:.1} instructions, and {most} at most is its target", work.name, count.own))
    });
    past.collect()
}

const ADVICE: &str = "\
If a path takes more, find out why: `instructions` prints the table, `callgrind_annotate` tells where.
If the change is right, or a path takes less, commit with it the new baseline, and why:
    cargo run --release -p twistor-bench --bin instructions -- --bless \"REASON\"";

fn bless(reason: &str) -> Result<(), String> {
    let counts = own(&count_all()?);
    // There is none before the first, and what can not be read is written anew.
    let former = read_baseline().unwrap_or_default();
    let text = former.blessed(compiler(), &counts, reason)?.to_string();
    fs::write(path(), &text).map_err(|error| format!("{}: {error}", path().display()))?;
    print!("{text}");
    Ok(())
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "instructions.txt"].iter().collect()
}

fn read_baseline() -> Result<Baseline, String> {
    let text = fs::read_to_string(path()).map_err(|error| format!("{}: {error}", path().display()))?;
    text.parse()
}

fn own(counts: &[(&Work, Count)]) -> Vec<(&'static str, f64)> {
    counts.iter().map(|(work, count)| (work.name, count.own)).collect()
}

/// What one unit of each work takes. Two at a time: no other program changes a count.
fn count_all() -> Result<Vec<(&'static Work, Count)>, String> {
    if cfg!(debug_assertions) {
        return Err("this was built without --release: its counts tell nothing".into());
    }
    let (next, counts) = (Mutex::new(WORKS.iter().enumerate()), Mutex::new(Vec::new()));
    let worker = || -> io::Result<()> {
        loop {
            let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, work)) = taken else { return Ok(()) };
            let count = unit(work)?;
            counts.lock().unwrap_or_else(PoisonError::into_inner).push((index, work, count));
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(worker);
        let done = worker();
        done.and(other.join().expect("it does not panic"))
    })
    .map_err(|error| error.to_string())?;
    let mut counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    counts.sort_by_key(|(index, ..)| *index);
    Ok(counts.into_iter().map(|(_, work, count)| (work, count)).collect())
}

fn unit(work: &Work) -> io::Result<Count> {
    let brief = callgrind::count(work.name, work.times)?;
    let long = callgrind::count(work.name, work.times * LONGER)?;
    let units = (work.times * (LONGER - 1)) as f64;
    Ok(Count { own: (long.own - brief.own) / units, all: (long.all - brief.all) / units })
}
