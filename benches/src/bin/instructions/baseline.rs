//! The baseline: what each path took when somebody last said why, and how far a count may be from that.

use std::{fmt, str::FromStr};

/// How far a count may be from its baseline, either way: more is a loss that somebody has to justify, less a gain that somebody has to keep.
const BOUND: f64 = 0.05;

/// The same with another compiler than the baseline's, which inlines otherwise: only what can not be that is told.
const OTHER_COMPILER: f64 = 0.25;

/// What is less than that is the same: it is not worth a line in a diff.
const SAME: f64 = 0.01;

/// The file: the compiler, and a line for each path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Baseline {
    compiler: String,
    paths: Vec<Path>,
}

#[derive(Clone, Debug, PartialEq)]
struct Path {
    name: String,
    count: f64,
    /// Of its last change.
    reason: String,
}

const HEADER: &str = "\
# How many instructions of its own a unit of each path takes: name, count, and why the count changed last.
# Written by `instructions --bless REASON`; read by `instructions --gate`. See README.md, Instructions.
";

impl FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Result<Baseline, String> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let compiler = lines.next().and_then(|line| line.strip_prefix("compiler: "));
        let compiler = compiler.ok_or("the baseline does not begin with `compiler: NAME`")?.to_string();
        let paths = lines.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Baseline { compiler, paths })
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(line: &str) -> Result<Path, String> {
        let wrong = || format!("not `NAME COUNT REASON` in the baseline: {line}");
        let (name, rest) = line.split_once(' ').ok_or_else(wrong)?;
        let (count, reason) = rest.trim_start().split_once(' ').ok_or_else(wrong)?;
        let count = count.parse().ok().filter(|count: &f64| *count > 0.0).ok_or_else(wrong)?;
        Ok(Path { name: name.into(), count, reason: reason.trim().into() })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}compiler: {}", self.compiler)?;
        for Path { name, count, reason } in &self.paths {
            writeln!(f, "{name:<16} {count:>8.1}  {reason}")?;
        }
        Ok(())
    }
}

impl Baseline {
    fn path(&self, name: &str) -> Option<&Path> {
        self.paths.iter().find(|path| path.name == name)
    }

    /// Compares each count with its baseline.
    pub(crate) fn judge(&self, compiler: &str, counts: &[(&str, f64)]) -> Verdict {
        let same_compiler = compiler == self.compiler;
        let mut verdict = Verdict::default();
        if !same_compiler {
            verdict.say(format!(
                "the baseline is of {}, this of {compiler}: only a change of more than {}% counts",
                self.compiler,
                OTHER_COMPILER * 100.0
            ));
        }
        let bound = if same_compiler { BOUND } else { OTHER_COMPILER };
        for (name, count) in counts {
            match self.path(name) {
                Some(path) => verdict.compare(path, *count, bound),
                None => verdict.blame(format!("{name} takes {count:.1} and has no baseline")),
            }
        }
        for path in &self.paths {
            if !counts.iter().any(|(name, _)| *name == path.name) {
                verdict.blame(format!("{} has a baseline and is no path", path.name));
            }
        }
        verdict
    }

    /// The baseline with these counts. A path that takes what it took keeps its count and its reason.
    ///
    /// # Errors
    /// Without a reason, or with one of several lines.
    pub(crate) fn blessed(
        &self,
        compiler: String,
        counts: &[(&str, f64)],
        reason: &str,
    ) -> Result<Baseline, String> {
        let reason = reason.trim();
        if reason.is_empty() || reason.contains('\n') {
            return Err("say in one line why the counts changed".into());
        }
        let paths = counts.iter().map(|(name, count)| match self.path(name) {
            Some(path) if compiler == self.compiler && path.change(*count).abs() <= SAME => path.clone(),
            _ => Path { name: name.to_string(), count: *count, reason: reason.into() },
        });
        Ok(Baseline { paths: paths.collect(), compiler })
    }
}

impl Path {
    /// By how much of the baseline the count is more, or less.
    fn change(&self, count: f64) -> f64 {
        count / self.count - 1.0
    }
}

/// What the comparison came to: a line for each path, and how many are wrong.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    text: String,
    pub(crate) wrong: usize,
}

impl Verdict {
    fn compare(&mut self, path: &Path, count: f64, bound: f64) {
        let change = path.change(count);
        let line = format!("{:<16} {:>8.1} -> {count:>8.1}  {:+.1}%", path.name, path.count, change * 100.0);
        match change {
            change if change > bound => self.blame(format!("{line}  it takes more")),
            change if change < -bound => self.blame(format!(
                "{line}  it takes less: the baseline has to say so, or the gain can be lost again"
            )),
            _ => self.say(line),
        }
    }

    fn say(&mut self, line: String) {
        self.text.extend([&line, "\n"]);
    }

    fn blame(&mut self, line: String) {
        self.wrong += 1;
        self.say(format!("WRONG: {line}"));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# a note\ncompiler: rustc 1, here\nfired      30.5  no box\nechoes   3800.0  the first of all\n";

    fn baseline() -> Baseline {
        TEXT.parse().expect("it is well-formed")
    }

    fn judge(counts: &[(&str, f64)]) -> Verdict {
        baseline().judge("rustc 1, here", counts)
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(baseline().to_string().parse(), Ok(baseline()));
    }

    #[test]
    fn what_is_no_baseline_is_told_with_its_line() {
        for text in
            ["", "fired 30 why", "compiler: x\nfired", "compiler: x\nfired 30", "compiler: x\nfired 0 why"]
        {
            let error = text.parse::<Baseline>().expect_err(text);
            assert!(error.contains("baseline"), "{error}");
        }
    }

    #[test]
    fn five_percent_either_way_pass_and_more_does_not() {
        for (count, wrong) in [(3800.0, 0), (3985.0, 0), (3615.0, 0), (3995.0, 1), (3605.0, 1)] {
            assert_eq!(judge(&[("fired", 30.5), ("echoes", count)]).wrong, wrong, "{count}");
        }
    }

    #[test]
    fn more_and_less_are_told_apart() {
        let told = judge(&[("fired", 40.0), ("echoes", 3000.0)]).to_string();
        assert!(told.contains("WRONG: fired") && told.contains("+31.1%  it takes more"), "{told}");
        assert!(told.contains("WRONG: echoes") && told.contains("-21.1%  it takes less"), "{told}");
    }

    #[test]
    fn a_path_without_a_baseline_and_a_baseline_without_a_path_are_wrong() {
        let verdict = judge(&[("fired", 30.5), ("new", 1.0)]);
        assert_eq!(verdict.wrong, 2);
        assert!(verdict.to_string().contains("new takes 1.0 and has no baseline"), "{verdict}");
        assert!(verdict.to_string().contains("echoes has a baseline and is no path"), "{verdict}");
    }

    #[test]
    fn with_another_compiler_the_bound_is_wider_and_it_says_so() {
        let judge = |count| baseline().judge("rustc 2, here", &[("fired", 30.5), ("echoes", count)]);
        assert_eq!((judge(4600.0).wrong, judge(4800.0).wrong), (0, 1));
        let told = judge(3800.0).to_string();
        assert!(told.contains("the baseline is of rustc 1, here, this of rustc 2, here"), "{told}");
    }

    #[test]
    fn to_bless_changes_what_has_changed_and_keeps_the_reasons_of_the_rest() {
        let counts = [("fired", 30.6), ("echoes", 3000.0), ("new", 5.0)];
        let blessed =
            baseline().blessed("rustc 1, here".into(), &counts, "fewer calls").expect("it has a reason");
        let kept: Vec<_> =
            blessed.paths.iter().map(|p| (p.name.as_str(), p.count, p.reason.as_str())).collect();
        assert_eq!(
            kept,
            [("fired", 30.5, "no box"), ("echoes", 3000.0, "fewer calls"), ("new", 5.0, "fewer calls")]
        );
        assert_eq!(blessed.judge("rustc 1, here", &counts).wrong, 0);
    }

    #[test]
    fn another_compiler_changes_all_counts() {
        let blessed = baseline().blessed("rustc 2, here".into(), &[("fired", 30.6)], "a new compiler");
        assert_eq!(blessed.expect("it has a reason").paths[0].count, 30.6);
    }

    #[test]
    fn to_bless_needs_a_reason_of_one_line() {
        for reason in ["", "  ", "two\nlines"] {
            assert!(baseline().blessed("rustc 1, here".into(), &[], reason).is_err());
        }
    }
}
