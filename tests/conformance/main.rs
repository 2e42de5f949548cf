//! Programs that were run on real Twisted, run on twistor: the two must write the same trace.
//!
//! | file | idea |
//! |---|---|
//! | `case` | a case, and the files of them |
//! | `suites` | which modules speak which case; what is not built yet is skipped by name |
//! | `worker` | runs one case after the other, each within its time, on a small stack |
//! | `world` | one case while it runs: the tables, the trace, the reports |
//! | `waits` | which cancels Twisted loses, for one of the divergences |
//! | `handler` | what a program's handlers and cancellers do |
//! | `core`, `combinators`, `sync`, `clock` | the operations, a module for each part of the library |
//! | `looping`, `lines`, `reconnecting` | the same for loops and cooperators, the line receivers, and the factory that connects again |
//! | `val` | the values and errors of programs |
//! | `json` | the fields of an operation; times |
//! | `verdict` | whether two traces are the same |
//! | `divergences` | where twistor differs on purpose, and why |
//! | `tally` | what is printed |
//!
//! `tests/data/conformance` has the cases; its README says how they were made. To run further ones:
//!
//! ```sh
//! TWISTOR_CASES=more.jsonl cargo test --release --test conformance
//! ```
//!
//! `mutations.md` has lines of the library that, changed, make a case fail; `mutate.sh` changes them all again.

mod case;
mod clock;
mod combinators;
mod core;
mod divergences;
mod handler;
mod json;
mod lines;
mod looping;
mod reconnecting;
mod suites;
mod sync;
mod tally;
mod val;
mod verdict;
mod waits;
mod worker;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let chosen = std::env::var_os("TWISTOR_CASES").map(Into::into);
    let built_in = chosen.is_none();
    let files = chosen.map_or_else(case::built_in, |file| vec![file]);
    worker::quiet_panics();
    let mut tally = tally::Tally::default();
    let mut workers = worker::Workers::default();
    for case in files.iter().flat_map(|file| case::read(file)) {
        let verdict = match suites::of(&case) {
            Ok(vocabulary) => verdict::of(&case, |manner| workers.run(&case, vocabulary, manner)),
            Err(part) => verdict::Verdict::Skipped(part),
        };
        tally.count(&case, verdict);
    }
    if built_in {
        tally.expect_every_divergence();
    }
    tally.print()
}
