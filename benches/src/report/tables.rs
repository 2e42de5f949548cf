//! The tables, as markdown.

use twistor_bench::figure;

use super::{Machine, verdicts};
use crate::results::{Cell, Measure, Results};
use crate::server::LIMIT;
use crate::targets::{Target, Verdict};
use crate::work::{Kind, Work};

/// The columns of the summary after the reference.
const COLUMNS: &[&str] = &["twistor", "tokio", "smol", "mio", "calloop", "uvloop", "Twisted"];

/// The server that shows what a workload costs at least.
pub fn reference(work: Work) -> &'static str {
    if work.kind == Kind::Stream { "raw epoll --edge" } else { LIMIT }
}

/// Everything, for a file of its own.
pub fn everything(results: &Results, machine: &Machine) -> String {
    let mut page = format!(
        "# Results\n\n{}\n\nHow they were measured, and what the columns mean: [README](../README.md).\n\n## Targets\n\n{}",
        machine.sentence(),
        targets(&verdicts(results))
    );
    for work in results.works() {
        page += &format!("\n## {}\n\n{}", work.title(), self::work(results, work));
    }
    page
}

/// The servers on one workload.
pub fn work(results: &Results, work: Work) -> String {
    let idle = work.kind == Kind::Idle;
    let mut table = format!(
        "|{work}|C us|min..max|C to {}|R|p50 us|p99 us|busy %|kept waiting %|loud runs|{}|\n|-|-|-|-|-|-|-|-|-|-|-|\n",
        reference(work),
        if idle { "bytes" } else { "system calls" },
    );
    for cell in results.of(work) {
        let last = if idle { number(cell.median(Measure::Memory)) } else { calls(cell) };
        let percent =
            |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1}", share * 100.0));
        table += &format!(
            "|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{last}|\n",
            cell.server,
            number(cell.median(Measure::Cost)),
            cell.range(Measure::Cost).map_or("-".to_owned(), |(min, max)| format!(
                "{}..{}",
                figure(min),
                figure(max)
            )),
            ratio(results, cell),
            number(cell.median(Measure::Rate)),
            number(cell.median(Measure::Median)),
            number(cell.median(Measure::Tail)),
            percent(cell.median_of(|run| run.share(run.ran))),
            percent(cell.median_of(|run| run.share(run.waited))),
            cell.loud(),
        );
    }
    table
}

/// C as a ratio to the reference; of idle connections, their bytes.
pub fn summary(results: &Results) -> String {
    let mut table = format!("|work|at least|{}|\n|-|-|{}\n", COLUMNS.join("|"), "-|".repeat(COLUMNS.len()));
    for work in results.works() {
        let idle = work.kind == Kind::Idle;
        let least = results.find(work, reference(work));
        let least =
            match least.and_then(|cell| cell.median(if idle { Measure::Memory } else { Measure::Cost })) {
                Some(value) if idle => format!("{} B", figure(value)),
                Some(value) => format!("{} us", figure(value)),
                None => "-".to_owned(),
            };
        table += &format!("|{}|{least}|", work.title());
        for server in COLUMNS {
            let cell = results.find(work, server);
            table += &match cell {
                Some(cell) if idle => {
                    cell.median(Measure::Memory).map_or("-".into(), |n| format!("{} B", figure(n)))
                }
                Some(cell) => ratio(results, cell),
                None => "-".to_owned(),
            };
            table += "|";
        }
        table += "\n";
    }
    table
}

/// What has to be shown, and how it came out.
pub fn targets(verdicts: &[(&Target, Verdict)]) -> String {
    let mut table = "|work|server|measure|against|limit|measured||\n|-|-|-|-|-|-|-|\n".to_owned();
    for (target, verdict) in verdicts {
        let (value, word) = match verdict {
            Verdict::Met(value) | Verdict::Missed(value) => (figure(*value), target.limit.verdict(*value)),
            Verdict::NotMeasured => ("-".to_owned(), "not measured"),
        };
        let (work, server, sign, limit) = (target.work, target.server, target.measure.sign(), target.limit);
        table +=
            &format!("|{work}|{server}|{sign}|{}|{limit}|{value}|{word}|\n", target.against.unwrap_or("-"));
    }
    table
}

fn ratio(results: &Results, cell: &Cell) -> String {
    let other = results.find(cell.work, reference(cell.work));
    let ratio = other.and_then(|other| cell.ratio(other, Measure::Cost));
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// The sum, and those that make up most of it.
fn calls(cell: &Cell) -> String {
    let Some(calls) = &cell.calls else { return "-".to_owned() };
    let sum: f64 = calls.iter().map(|(_, calls)| calls).sum();
    let most: Vec<String> = calls.iter().take(4).map(|(name, calls)| format!("{name} {calls:.2}")).collect();
    format!("{sum:.2}: {}", most.join(", "))
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), figure)
}

#[cfg(test)]
mod tests {
    use super::{summary, targets, work};
    use crate::report::verdicts;
    use crate::results::{Cell, Results};
    use crate::run::Run;
    use std::time::Duration;

    fn results() -> Results {
        let cell = |server: &str, ran, calls| Cell {
            work: "echo50".parse().expect("a workload"),
            server: server.to_owned(),
            runs: vec![Run {
                messages: 100,
                wall: Duration::from_millis(1),
                ran: Duration::from_micros(ran),
                ..Run::default()
            }],
            calls,
        };
        let calls = vec![("recvfrom".to_owned(), 1.0), ("epoll_wait".to_owned(), 0.02)];
        Results { cells: vec![cell("raw epoll", 400, Some(calls)), cell("twistor", 410, None)] }
    }

    #[test]
    fn a_table_has_a_row_for_each_server_that_took_part() {
        let results = results();
        let table = work(&results, results.works()[0]);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 4);
        assert!(rows[2].starts_with("|raw epoll|4.00|4.00..4.00|1.00|100.0k|-|-|40.0|"), "{}", rows[2]);
        assert!(rows[2].ends_with("|1.02: recvfrom 1.00, epoll_wait 0.02|"), "{}", rows[2]);
        assert!(rows[3].starts_with("|twistor|4.10|4.10..4.10|1.02|"), "{}", rows[3]);
        assert!(rows.iter().all(|row| row.matches('|').count() == 12));
        assert!(summary(&results).contains("|echo 64 B, 50 connections|4.00 us|1.02|-|"));
    }

    #[test]
    fn targets_of_workloads_that_were_not_run_are_not_named() {
        let table = targets(&verdicts(&results()));
        assert!(table.contains("|echo50|twistor|C|raw epoll|≤ 1.03|1.02|met|"), "{table}");
        assert!(table.contains("|echo50|twistor|C|tokio|≤ 1.02|-|not measured|"), "{table}");
        assert!(!table.contains("echo1"), "{table}");
    }
}
