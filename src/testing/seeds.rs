//! The seed runner: one test in many simulations, and of a failure the least that is needed for it.

use super::simulation::{Fault, Faults, Simulation, Strike, Trace};
use crate::report::{self, Report};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    env, fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    rc::Rc,
    thread,
};

/// At most so many runs look for a smaller set of faults.
const TRIES: usize = 300;
/// So many lines of the trace are shown.
const TAIL: usize = 40;

/// Runs a test with so many seeds, from 0, each in a [`Simulation`] of its own under these faults.
///
/// A seed fails if the test panics, or anything that a reactor calls does, or a failure is left that nobody has handled; a test which expects those has
/// a [hook](crate::report::hook) of its own. Then the faults are taken away, kind by kind and one by one, for as
/// long as it still fails; and it is told by a panic, with what failed, the faults that it needs, the end of the trace, and the command that
/// runs this seed again. The command does not know of `--features` or `--release`: put in those with which the test was built.
///
/// `TWISTOR_SEED=n` in the environment runs that seed alone, and prints its whole trace; `TWISTOR_SEEDS=n` runs so many seeds.
///
/// # Panics
/// If a seed fails; or if one of the two is not a number.
///
/// # Examples
/// ```
/// use twistor::{Context, Protocol, factory, testing::{Fault, Faults, seeds}};
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
/// }
/// let faults = Faults::none().with(Fault::Delay, 0.5).with(Fault::PartialRead, 0.5);
/// seeds(20, faults, |sim| {
///     let reactor = sim.reactor();
///     reactor.listen_tcp(7, factory(|_peer| Echo)).expect("it is free");
///     let peer = sim.connect(([127, 0, 0, 1], 7)).expect("it listens");
///     peer.send("hello").expect("there is room");
///     sim.run_until_idle();
///     assert_eq!(peer.received(), b"hello");
/// });
///
/// // A test that takes one read for all of it. To one byte there is no part, so that kind is not needed.
/// let told = std::panic::catch_unwind(|| seeds(100, Faults::all(), |sim| {
///     let reactor = sim.reactor();
///     reactor.listen_tcp(7, factory(|_peer| Echo)).expect("it is free");
///     let peer = sim.connect(([127, 0, 0, 1], 7)).expect("it listens");
///     peer.send("x").expect("there is room");
///     sim.run_until_idle();
///     assert!(!peer.is_at_end(), "it has ended");
/// }));
/// let text = *told.unwrap_err().downcast::<String>().expect("a text");
/// assert!(text.contains("it has ended") && text.contains("TWISTOR_SEED="), "{text}");
/// ```
#[track_caller]
pub fn seeds(count: u64, faults: Faults, test: impl Fn(&Simulation)) {
    let plan = Plan::read(count, |name| env::var(name).ok());
    let runner = Runner { faults, test };
    for seed in plan.seeds.clone() {
        let run = runner.run(seed, &runner.faults, None);
        if plan.tells {
            println!("{}", run.trace);
        }
        if let Err(why) = run.result {
            let failing =
                Failing { seed, of: plan.seeds.end - plan.seeds.start, why, command: command(seed) };
            panic!("{}", runner.shrunk(failing, run.struck));
        }
    }
}

/// Which seeds are run.
struct Plan {
    seeds: std::ops::Range<u64>,
    /// Whether the trace is printed.
    tells: bool,
}

impl Plan {
    fn read(count: u64, variable: impl Fn(&str) -> Option<String>) -> Plan {
        let number = |name: &str| {
            let text = variable(name)?;
            let number = text.trim().parse::<u64>().ok().filter(|number| *number < u64::MAX);
            Some(number.unwrap_or_else(|| {
                panic!("{name} is to be a number, and is {text:?}: set it to one, or unset it")
            }))
        };
        match number("TWISTOR_SEED") {
            Some(seed) => Plan { seeds: seed..seed + 1, tells: true },
            None => Plan { seeds: 0..number("TWISTOR_SEEDS").unwrap_or(count), tells: false },
        }
    }
}

struct Runner<F> {
    faults: Faults,
    test: F,
}

/// One run of a test.
struct Run {
    result: Result<(), String>,
    struck: Vec<Strike>,
    trace: Trace,
}

impl<F: Fn(&Simulation)> Runner<F> {
    /// Runs the test once. What panics is the run's result, and prints nothing.
    fn run(&self, seed: u64, faults: &Faults, only: Option<&[Strike]>) -> Run {
        let sim = Simulation::from_seed(seed);
        sim.faults(faults.clone());
        only.into_iter().for_each(|only| sim.only(only.iter().copied()));
        let unhandled: Rc<RefCell<Vec<String>>> = Rc::default();
        let told = unhandled.clone();
        let hook = report::hook(move |report: &Report| {
            // The text first: it is made by the program's code, which may report as well.
            let text = report.to_string();
            told.borrow_mut().push(text);
        });
        let result = report::hushed(|| catch_unwind(AssertUnwindSafe(|| (self.test)(&sim))));
        let (struck, trace) = (sim.strikes(), sim.trace());
        report::hushed(|| drop(catch_unwind(AssertUnwindSafe(|| drop(sim)))));
        drop(hook);
        let result = result.map_err(|payload| report::panicked(&*payload).message().to_string());
        let result = result.and_then(|()| unhandled.take().into_iter().next().map_or(Ok(()), Err));
        Run { result, struck, trace }
    }

    /// The least that still fails.
    fn shrunk(&self, failing: Failing, struck: Vec<Strike>) -> Told {
        let mut search = Search {
            runner: self,
            seed: failing.seed,
            faults: self.faults.clone(),
            only: None,
            struck,
            tries: TRIES,
        };
        search.without_kinds();
        search.without_strikes();
        // Once more, for its trace.
        let least = self.run(failing.seed, &search.faults, search.only.as_deref());
        Told { failing, faults: search.struck, trace: least.trace }
    }
}

/// Looks for fewer faults with which a seed still fails.
struct Search<'a, F> {
    runner: &'a Runner<F>,
    seed: u64,
    faults: Faults,
    /// The only ones that may strike; none for all.
    only: Option<Vec<Strike>>,
    /// Those that struck in the run that failed last.
    struck: Vec<Strike>,
    tries: usize,
}

impl<F: Fn(&Simulation)> Search<'_, F> {
    /// Whether it fails with these; then they are the ones from here on.
    fn fails_with(&mut self, faults: Faults, only: Option<Vec<Strike>>) -> bool {
        if self.tries == 0 {
            return false;
        }
        self.tries -= 1;
        let run = self.runner.run(self.seed, &faults, only.as_deref());
        let fails = run.result.is_err();
        if fails {
            (self.faults, self.only, self.struck) = (faults, only, run.struck);
        }
        fails
    }

    fn without_kinds(&mut self) {
        for kind in Fault::ALL {
            if self.faults.kinds().any(|other| other == kind) {
                self.fails_with(self.faults.clone().without(kind), None);
            }
        }
    }

    /// Takes them away by halves, quarters and so on, down to single ones.
    fn without_strikes(&mut self) {
        let mut size = self.struck.len();
        while size > 0 {
            let mut from = 0;
            while from < self.struck.len() {
                let rest = self.struck.iter().enumerate().filter(|(at, _)| !(from..from + size).contains(at));
                let rest: Vec<Strike> = rest.map(|(_, strike)| *strike).collect();
                if !self.fails_with(self.faults.clone(), Some(rest)) {
                    from += size;
                }
            }
            size /= 2;
        }
    }
}

/// A seed that fails.
struct Failing {
    seed: u64,
    /// How many seeds were to be run.
    of: u64,
    why: String,
    command: String,
}

/// What is said of it.
struct Told {
    failing: Failing,
    faults: Vec<Strike>,
    trace: Trace,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failing { seed, of, why, command } = &self.failing;
        writeln!(f, "seed {seed} of {of} fails: {why}")?;
        writeln!(f, "run it again: {command}")?;
        let mut kinds: BTreeMap<Fault, Vec<String>> = BTreeMap::new();
        for (kind, number) in &self.faults {
            kinds.entry(*kind).or_default().push(format!("#{number}"));
        }
        match kinds.is_empty() {
            true => writeln!(f, "it needs no fault")?,
            false => writeln!(f, "it needs these faults, and no others:")?,
        }
        for (kind, numbers) in kinds {
            writeln!(f, "  {kind} {}", numbers.join(", "))?;
        }
        let shown = self.trace.len().min(TAIL as u64);
        writeln!(
            f,
            "with them, the last {shown} of {} lines of its trace (hash {:016x}):",
            self.trace.len(),
            self.trace.hash()
        )?;
        self.trace.tail(TAIL).try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What runs the test that calls this again, with that seed.
fn command(seed: u64) -> String {
    let package = env::var("CARGO_PKG_NAME").ok();
    let program = env::current_exe().ok();
    let target = target(package.as_deref(), program.as_deref());
    // The test harness names its threads after the tests, unless there is one alone.
    let thread = thread::current();
    let test = thread.name().filter(|name| *name != "main").map(|name| format!("--exact {name} "));
    format!("TWISTOR_SEED={seed} cargo test{target} -- {}--nocapture", test.unwrap_or_default())
}

/// How cargo is told which program of tests that is: its file is called as the target, with a hash behind.
fn target(package: Option<&str>, program: Option<&Path>) -> String {
    let Some(package) = package else { return String::new() };
    let program = program.and_then(Path::file_stem).and_then(|stem| stem.to_str());
    match program.and_then(|stem| stem.rsplit_once('-')) {
        Some((name, _)) if name == package.replace('-', "_") => format!(" -p {package} --lib"),
        Some((name, _)) => format!(" -p {package} --test {name}"),
        None => format!(" -p {package}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Protocol, Reactor, factory};
    use std::time::Duration;

    fn told(f: impl Fn()) -> String {
        let panic = report::hushed(|| catch_unwind(AssertUnwindSafe(f)).expect_err("a seed fails"));
        *panic.downcast::<String>().expect("a text")
    }

    /// Fails as soon as it has been cut in two.
    struct Whole;

    impl Protocol for Whole {
        fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
            assert_eq!(data.len(), 1000, "in parts");
        }
    }

    fn whole(sim: &Simulation) {
        let reactor = sim.reactor();
        reactor.listen_tcp(7, factory(|_| Whole)).unwrap();
        let peer = sim.connect(([127, 0, 0, 1], 7)).unwrap();
        for _ in 0..20 {
            let _ = peer.send([7; 1000]); // it may have been reset
            sim.advance(Duration::from_secs(1));
        }
    }

    #[test]
    fn a_failing_seed_is_told_with_the_one_fault_it_needs() {
        let text = told(|| seeds(100, Faults::all(), whole));
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("seed ")
                && lines[0].contains(" of 100 fails: ")
                && text.contains("in parts"),
            "{text}"
        );
        let needed =
            lines.iter().position(|line| *line == "it needs these faults, and no others:").expect("some");
        assert!(lines[needed + 1].starts_with("  partial read #"), "{text}");
        assert_eq!(lines[needed + 1].matches('#').count(), 1, "{text}");
        assert!(lines[needed + 2].starts_with("with them, the last "), "{text}");
        assert!(text.contains("fault: partial read"), "{text}");
    }

    /// A test that sets faults of its own, and takes them away before it fails. Once it "needed no fault".
    #[test]
    fn faults_that_the_test_sets_itself_are_told_too() {
        let itself = |sim: &Simulation| {
            sim.faults(Faults::none().with(Fault::PartialRead, 0.3));
            let unhandled = std::panic::catch_unwind(AssertUnwindSafe(|| whole(sim)));
            sim.faults(Faults::none());
            unhandled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        };
        let text = told(|| seeds(100, Faults::none(), itself));
        assert!(text.contains("it needs these faults, and no others:\n  partial read #"), "{text}");
        let line = text.lines().find(|line| line.starts_with("  partial read")).unwrap();
        assert_eq!(line.matches('#').count(), 1, "{text}");
    }

    #[test]
    fn one_that_fails_without_faults_says_so() {
        let text = told(|| seeds(3, Faults::all(), |_| panic!("always")));
        assert!(text.starts_with("seed 0 of 3 fails: ") && text.contains("always"), "{text}");
        assert!(text.contains("it needs no fault\n"), "{text}");
    }

    #[test]
    fn a_panic_in_a_callback_fails_the_seed() {
        let in_a_timer = |sim: &Simulation| {
            let reactor = sim.reactor();
            reactor.call_later(Duration::from_secs(1), || assert!(Reactor::current().running(), "fine"));
            reactor.call_later(Duration::from_secs(2), || panic!("in a timer"));
            sim.run_until_idle();
        };
        assert!(told(|| seeds(1, Faults::none(), in_a_timer)).contains("in a timer"));
    }

    /// Once only panics were; all other failures were swallowed.
    #[test]
    fn a_failure_that_nobody_handles_fails_the_seed() {
        let lost = |_: &Simulation| drop(crate::defer::fail::<()>(crate::Failure::msg("nobody looks")));
        let text = told(|| seeds(1, Faults::none(), lost));
        assert!(text.contains("unhandled failure in Deferred: nobody looks"), "{text}");
        seeds(1, Faults::none(), |sim| {
            let _hook = report::hook(|_| ());
            lost(sim);
        });
    }

    /// An error whose text is made by code that reports, too. Once that was a borrow of what was borrowed.
    #[test]
    fn a_failure_may_report_another_while_it_is_shown() {
        #[derive(Debug)]
        struct Chatty;
        impl std::error::Error for Chatty {}
        impl fmt::Display for Chatty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                drop(crate::defer::fail::<()>(crate::Failure::msg("while it is shown")));
                f.write_str("chatty")
            }
        }
        let lost = || drop(crate::defer::fail::<()>(crate::Failure::new(Chatty)));
        let text = told(|| seeds(1, Faults::none(), |_| lost()));
        assert!(text.contains("while it is shown"), "{text}");

        let guard = crate::testing::Guard::new();
        lost();
        let left = guard.check().unwrap_err();
        assert!(left.unhandled()[0].contains("while it is shown"), "{left}");
        assert!(left.unhandled().iter().any(|told| told.contains("chatty")), "{left}");
    }

    #[test]
    fn the_environment_says_which_seeds() {
        let plan = |seed: Option<&str>, seeds: Option<&str>| {
            let (seed, seeds) = (seed.map(str::to_string), seeds.map(str::to_string));
            let plan =
                Plan::read(200, |name| if name == "TWISTOR_SEED" { seed.clone() } else { seeds.clone() });
            (plan.seeds, plan.tells)
        };
        assert_eq!(plan(None, None), (0..200, false));
        assert_eq!(plan(None, Some("10000")), (0..10_000, false));
        assert_eq!(plan(Some("17"), Some("10000")), (17..18, true));
        let wrong = told(|| assert!(!plan(Some("seventeen"), None).1));
        assert_eq!(wrong, "TWISTOR_SEED is to be a number, and is \"seventeen\": set it to one, or unset it");
    }

    #[test]
    fn the_command_names_the_program_and_the_test() {
        let of = |program: &str| target(Some("my-package"), Some(Path::new(program)));
        assert_eq!(of("/target/debug/deps/simulation-0123"), " -p my-package --test simulation");
        assert_eq!(of("/target/debug/deps/my_package-0123"), " -p my-package --lib");
        assert_eq!(target(None, None), "");
        let text = command(17);
        assert!(text.starts_with("TWISTOR_SEED=17 cargo test -p twistor --lib -- "), "{text}");
        assert!(text.ends_with("the_command_names_the_program_and_the_test --nocapture"), "{text}");
    }
}
