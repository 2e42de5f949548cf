//! The workloads: what the client does, and with how much at once.

use std::fmt;
use std::str::FromStr;

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bytes back and forth on each of the connections.
    Echo,
    /// 64 KiB back and forth, 4 of them in flight on each of the connections.
    Stream,
    /// Lines of 40 bytes, CRLF included, 64 of them in flight on each of the connections.
    Line,
    /// A message is a connection: opened, 64 bytes back and forth, closed by the client in order; so many at once.
    Conn,
    /// Datagrams of 64 bytes on one socket, so many in flight.
    Udp,
    /// 64 bytes back and forth on one connection, so many times a second, by a client that sleeps.
    Sparse,
    /// So many connections that stay open and are silent after 64 bytes back and forth.
    Idle,
}

/// A kind with its number: `echo50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What the client does.
    pub kind: Kind,
    /// How many of it at once; of [`Kind::Sparse`], in a second.
    pub count: usize,
}

/// The rows of the tables, in their order.
pub const WORKS: &[&str] = &[
    "echo1", "echo50", "echo1000", "stream1", "stream8", "line1", "line50", "conn32", "udp1", "udp32",
    "sparse33", "idle9000",
];

/// Enough to see in a minute whether something went wrong.
pub const QUICK: &[&str] = &["echo1", "echo50", "line50", "conn32"];

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 7] =
        [Kind::Echo, Kind::Stream, Kind::Line, Kind::Conn, Kind::Udp, Kind::Sparse, Kind::Idle];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Echo => "echo",
            Kind::Stream => "stream",
            Kind::Line => "line",
            Kind::Conn => "conn",
            Kind::Udp => "udp",
            Kind::Sparse => "sparse",
            Kind::Idle => "idle",
        }
    }

    /// The mode in which a server is started for it.
    pub fn mode(self) -> &'static str {
        match self {
            Kind::Line => "line",
            Kind::Udp => "udp",
            _ => "echo",
        }
    }
}

impl Work {
    /// What it is, in the words of a table.
    pub fn title(&self) -> String {
        let count = self.count;
        let connections = if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") };
        match self.kind {
            Kind::Echo => format!("echo 64 B, {connections}"),
            Kind::Stream => format!("stream 64 KiB, {connections}"),
            Kind::Line => format!("lines 40 B, {connections}"),
            Kind::Conn => format!("connect, echo, close; {count} at once"),
            Kind::Udp => format!("UDP 64 B, {count} in flight"),
            Kind::Sparse => format!("{count} echoes a second"),
            Kind::Idle => format!("{connections}, idle"),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.name(), self.count)
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Work, String> {
        let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (name, count) = text.split_at(digits);
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        match (kind, count.parse()) {
            (Some(kind), Ok(count)) if count > 0 => Ok(Work { kind, count }),
            _ => {
                let names = Kind::ALL.map(Kind::name).join(", ");
                Err(format!("a workload is one of {names}, and a number: echo50"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{QUICK, WORKS, Work};

    #[test]
    fn every_row_is_a_workload_and_keeps_its_name() {
        for name in WORKS.iter().chain(QUICK) {
            assert_eq!(name.parse::<Work>().map(|work| work.to_string()).as_deref(), Ok(*name));
        }
    }

    #[test]
    fn what_is_no_workload_is_refused() {
        for name in ["", "echo", "echo0", "50", "ping3", "echo5x", "echo-1"] {
            assert!(name.parse::<Work>().is_err(), "{name}");
        }
    }
}
