//! The targets: what twistor has to show, as data.

use twistor_bench::Limit;

use crate::results::{Measure, Results};
use crate::server::LIMIT;

/// A target.
pub struct Target {
    /// The workload.
    pub work: &'static str,
    /// Who has to meet it.
    pub server: &'static str,
    /// What is compared.
    pub measure: Measure,
    /// With whom; without one the value itself is limited.
    pub against: Option<&'static str>,
    /// Where the limit is.
    pub limit: Limit,
}

/// How a target came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// As it should be; the value.
    Met(f64),
    /// Not yet; the value.
    Missed(f64),
    /// One of the two servers has no run there.
    NotMeasured,
}

use Limit::{AtLeast, AtMost};
use Measure::{Cost, Median, Memory, Rate};

const EDGE: &str = "raw epoll --edge";
const SPIN: &str = "twistor --spin";
const FOREIGN: &str = "twistor --foreign";

/// In the order of the tables. The limits come from prototypes and peers on a machine of two virtual cores.
pub const TARGETS: &[Target] = &[
    to("echo1", "twistor", Cost, LIMIT, AtMost(1.10)),
    to("echo1", "twistor", Rate, LIMIT, AtLeast(0.97)),
    to("echo1", "twistor", Rate, "tokio", AtLeast(0.97)),
    to("echo1", SPIN, Rate, "raw epoll --spin", AtLeast(0.93)),
    // 8 microseconds where a server that sleeps takes 22.
    to("echo1", SPIN, Median, LIMIT, AtMost(8.0 / 22.0)),
    to("echo1", SPIN, Rate, "tokio", AtLeast(3.0)),
    to("echo50", "twistor", Cost, LIMIT, AtMost(1.03)),
    to("echo50", "twistor", Cost, "tokio", AtMost(1.02)),
    to("echo1000", "twistor", Cost, LIMIT, AtMost(1.10)),
    to("echo1000", "twistor", Cost, "tokio", AtMost(0.92)),
    to("stream1", "twistor", Cost, EDGE, AtMost(1.03)),
    to("stream1", "twistor", Cost, "tokio", AtMost(0.92)),
    to("stream8", "twistor", Cost, EDGE, AtMost(1.03)),
    to("stream8", "twistor", Cost, "tokio", AtMost(0.75)),
    to("line1", "twistor", Cost, LIMIT, AtMost(1.12)),
    to("line1", "twistor", Cost, "tokio", AtMost(1.0)),
    to("line1", "twistor", Cost, "tokio LinesCodec", AtMost(0.45)),
    to("line1", "twistor", Rate, "Twisted", AtLeast(15.0)),
    to("line50", "twistor", Cost, LIMIT, AtMost(1.10)),
    to("line50", "twistor", Cost, "tokio", AtMost(1.0)),
    to("line50", "twistor", Cost, "tokio LinesCodec", AtMost(0.45)),
    to("line50", "twistor", Rate, "Twisted", AtLeast(15.0)),
    to("conn32", "twistor", Cost, LIMIT, AtMost(1.06)),
    to("conn32", "twistor", Cost, "tokio", AtMost(0.85)),
    to("udp1", "twistor", Cost, LIMIT, AtMost(1.02)),
    to("udp1", "twistor", Cost, "tokio", AtMost(0.97)),
    to("udp32", "twistor", Cost, LIMIT, AtMost(1.03)),
    to("udp32", "twistor", Cost, "tokio", AtMost(0.97)),
    to("sparse33", "twistor", Cost, LIMIT, AtMost(1.4)),
    to("sparse33", "twistor", Cost, "smol", AtMost(0.4)),
    to("echo50", FOREIGN, Cost, LIMIT, AtMost(1.10)),
    Target { work: "idle9000", server: "twistor", measure: Memory, against: None, limit: AtMost(250.0) },
    to("idle9000", "twistor", Memory, "tokio", AtMost(1.0)),
    to("idle9000", "twistor", Memory, "smol", AtMost(1.0)),
    to("idle9000", "twistor", Memory, "uvloop", AtMost(1.0)),
    to("idle9000", "twistor", Memory, "Twisted", AtMost(1.0)),
    to("echo1", "twistor async", Cost, "twistor", AtMost(1.10)),
    to("echo1", "twistor async", Cost, "smol", AtMost(0.85)),
    to("echo50", "twistor async", Cost, "twistor", AtMost(1.10)),
    to("echo50", "twistor async", Cost, "smol", AtMost(0.85)),
    to("echo1", "twistor await", Cost, "twistor", AtMost(1.10)),
    to("echo1", "twistor await", Cost, "smol", AtMost(0.85)),
    to("echo50", "twistor await", Cost, "twistor", AtMost(1.10)),
    to("echo50", "twistor await", Cost, "smol", AtMost(0.85)),
];

const fn to(
    work: &'static str,
    server: &'static str,
    measure: Measure,
    against: &'static str,
    limit: Limit,
) -> Target {
    Target { work, server, measure, against: Some(against), limit }
}

impl Target {
    /// How it came out.
    pub fn verdict(&self, results: &Results) -> Verdict {
        match self.value(results) {
            None => Verdict::NotMeasured,
            Some(value) if self.limit.allows(value) => Verdict::Met(value),
            Some(value) => Verdict::Missed(value),
        }
    }

    fn value(&self, results: &Results) -> Option<f64> {
        let work = self.work.parse().ok()?;
        let own = results.find(work, self.server)?;
        match self.against {
            None => own.median(self.measure),
            Some(other) => own.ratio(results.find(work, other)?, self.measure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, Limit, Measure, TARGETS, Target, Verdict};
    use crate::results::{Cell, Results};
    use crate::run::Run;
    use crate::server::SERVERS;
    use crate::work::{WORKS, Work};
    use std::time::Duration;

    #[test]
    fn every_target_names_rows_that_are_measured() {
        for target in TARGETS {
            assert!(WORKS.contains(&target.work), "{}", target.work);
            let work: Work = target.work.parse().expect("a workload");
            for name in [Some(target.server), target.against].into_iter().flatten() {
                let server = SERVERS.iter().find(|server| server.name == name).expect(name);
                let takes = server.works.iter().any(|word| *word == target.work || *word == work.kind.name());
                assert!(takes, "{name} has no row in {}", target.work);
            }
        }
    }

    #[test]
    fn a_target_is_met_at_its_limit_missed_past_it_and_else_not_measured() {
        let work = "echo50".parse().expect("a workload");
        let cell = |server: &str, ran| Cell {
            work,
            server: server.to_owned(),
            runs: vec![Run { messages: 1, ran: Duration::from_micros(ran), ..Run::default() }],
            calls: None,
        };
        let target = |limit| Target {
            work: "echo50",
            server: "twistor",
            measure: Measure::Cost,
            against: Some(LIMIT),
            limit,
        };
        let results = Results { cells: vec![cell("twistor", 5), cell(LIMIT, 4)] };
        assert_eq!(target(Limit::AtMost(1.25)).verdict(&results), Verdict::Met(1.25));
        assert_eq!(target(Limit::AtMost(1.24)).verdict(&results), Verdict::Missed(1.25));
        assert_eq!(target(Limit::AtLeast(1.26)).verdict(&results), Verdict::Missed(1.25));
        let results = Results { cells: vec![cell("twistor", 5)] };
        assert_eq!(target(Limit::AtMost(1.25)).verdict(&results), Verdict::NotMeasured);
    }
}
