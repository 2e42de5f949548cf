//! What is printed.

use crate::{
    case::Case,
    divergences::{self, Excuse},
    verdict::Verdict,
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, process::ExitCode};

#[derive(Default)]
pub(crate) struct Tally {
    suites: BTreeMap<String, Count>,
    diverged: BTreeMap<&'static str, Diverged>,
    skipped: BTreeMap<String, usize>,
    /// Divergences that no case shows any more.
    rotten: bool,
}

/// The cases that differ for one reason.
#[derive(Default)]
struct Diverged {
    cases: usize,
    untagged: usize,
}

#[derive(Clone, Copy, Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    /// Counts a case; one that failed is shown at once.
    pub(crate) fn count(&mut self, case: &Case, verdict: Verdict) {
        let count = self.suites.entry(case.suite.clone()).or_default();
        match verdict {
            Verdict::Passed => count.passed += 1,
            Verdict::Diverged(excuses) => {
                count.passed += 1;
                excuses.into_iter().for_each(|excuse| self.excuse(&excuse));
            }
            Verdict::Failed(why) => {
                count.failed += 1;
                show(case, &why);
            }
            Verdict::Skipped(part) => {
                count.skipped += 1;
                *self.skipped.entry(part).or_default() += 1;
            }
        }
    }

    fn excuse(&mut self, excuse: &Excuse) {
        let diverged = self.diverged.entry(excuse.tag).or_default();
        diverged.cases += 1;
        diverged.untagged += usize::from(excuse.untagged);
    }

    /// Fails the run for every divergence that none of the cases has shown, so that the list cannot rot.
    pub(crate) fn expect_every_divergence(&mut self) {
        for divergence in divergences::ALL.iter().filter(|d| !self.diverged.contains_key(d.tag)) {
            println!("no case differs any more in this: {}", divergence.tag);
            self.rotten = true;
        }
    }

    pub(crate) fn print(&self) -> ExitCode {
        for divergence in divergences::ALL.iter().filter(|d| self.diverged.contains_key(d.tag)) {
            println!("{}: {}", self.diverged[divergence.tag], divergence.tag);
            println!("    in twistor {}", divergence.reason);
        }
        for (part, count) in &self.skipped {
            println!("{count} skipped: {part}");
        }
        let mut total = Count::default();
        for (suite, count) in &self.suites {
            println!("{suite}: {count}");
            total.add(*count);
        }
        println!("{total}");
        ExitCode::from(u8::from(self.rotten || total.failed > 0))
    }
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.untagged {
            0 => write!(f, "{} diverge", self.cases),
            untagged => write!(f, "{} diverge, {untagged} of them untagged", self.cases),
        }
    }
}

impl Count {
    fn add(&mut self, more: Count) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn show(case: &Case, why: &str) {
    println!("FAILED {}: {}", case.suite, case.name);
    if !case.quirks.is_empty() {
        println!("    quirk: {}", case.quirks.join("; "));
    }
    println!("    {}", Value::Array(case.program.clone()));
    println!("    {why}");
}
