//! A snapshot as a text for people.

use super::{Entry, Kind, Snapshot, State};
use crate::trace::{At, Place};
use std::{fmt, time::Duration};

/// What lies deeper is not moved further to the right: a chain of a million would be a text of a terabyte.
const INDENTED: usize = 32;

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = Tree::of(self);
        tree.header(f)?;
        let mut seen = vec![false; self.entries.len()];
        tree.write(f, &tree.roots, &mut seen)?;
        for at in 0..self.entries.len() {
            if !seen[at] && !tree.inlined[at] {
                f.write_str("cycle:\n")?;
                tree.write(f, &[at], &mut seen)?;
            }
        }
        Ok(())
    }
}

/// Who stands under whom, by their positions in the snapshot.
struct Tree<'a> {
    snapshot: &'a Snapshot,
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
    /// Timers and jobs that hold a Deferred are told of on its line.
    inlined: Vec<bool>,
}

impl Tree<'_> {
    fn of(snapshot: &Snapshot) -> Tree<'_> {
        let entries = &snapshot.entries;
        let mut inlined = vec![false; entries.len()];
        for holder in entries.iter().filter_map(|entry| entry.holder) {
            if let Some(at) = snapshot.position(holder) {
                inlined[at] |= matches!(entries[at].kind, Kind::Timer { .. } | Kind::Job { .. });
            }
        }
        let (mut roots, mut children) = (vec![], vec![vec![]; entries.len()]);
        for (at, entry) in entries.iter().enumerate().filter(|(at, _)| !inlined[*at]) {
            match snapshot.parent(entry).and_then(|parent| snapshot.position(parent.id)) {
                Some(parent) => children[parent].push(at),
                None => roots.push(at),
            }
        }
        Tree { snapshot, roots, children, inlined }
    }

    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = &self.snapshot.entries;
        let chains = |entry: &&Entry| matches!(entry.kind, Kind::Chain(_) | Kind::Task(_));
        let deferreds = entries.iter().filter(chains).count();
        match self.snapshot.up {
            Some(up) => write!(f, "reactor  up {}", Age(up))?,
            None => f.write_str("thread")?,
        }
        let s = if deferreds == 1 { "" } else { "s" };
        writeln!(f, "  {deferreds} deferred{s}  {} timers, sockets, jobs", entries.len() - deferreds)
    }

    /// Writes some nodes with all that stands under them. A node that was written before is named once more, and not gone into.
    fn write(&self, f: &mut fmt::Formatter<'_>, nodes: &[usize], seen: &mut [bool]) -> fmt::Result {
        // Of each node that is still to be written: where it is, its level, and whether it is the last of its siblings.
        let mut left: Vec<(usize, usize, bool)> = vec![];
        let push = |left: &mut Vec<_>, nodes: &[usize], level| {
            left.extend(nodes.iter().enumerate().rev().map(|(i, at)| (*at, level, i + 1 == nodes.len())));
        };
        push(&mut left, nodes, 0);
        let mut bars: Vec<bool> = vec![];
        while let Some((at, level, last)) = left.pop() {
            bars.truncate(level);
            indent(f, &bars, last)?;
            if bars.len() < INDENTED {
                bars.push(!last);
            }
            let entry = &self.snapshot.entries[at];
            if std::mem::replace(&mut seen[at], true) {
                writeln!(f, "{} #{} again", noun(&entry.kind), entry.id)?;
                continue;
            }
            self.node(f, entry, !self.children[at].is_empty())?;
            push(&mut left, &self.children[at], level + 1);
        }
        Ok(())
    }

    fn node(&self, f: &mut fmt::Formatter<'_>, entry: &Entry, has_children: bool) -> fmt::Result {
        match &entry.kind {
            Kind::Chain(_) | Kind::Task(_) | Kind::Blocked => {
                write!(f, "{} #{}", noun(&entry.kind), entry.id)?;
                age(f, entry.age)?;
            }
            Kind::Call => write!(f, "call from a thread #{}", entry.id)?,
            kind => write!(f, "{} #{}", Thing(kind), entry.id)?,
        }
        write!(f, "  made {}", At(entry.made))?;
        match &entry.kind {
            Kind::Task(state) => self.task(f, entry, *state, has_children)?,
            Kind::Chain(state) => self.deferred(f, entry, *state)?,
            _ => {}
        }
        f.write_str("\n")
    }

    fn task(&self, f: &mut fmt::Formatter<'_>, entry: &Entry, state: State, awaits: bool) -> fmt::Result {
        match (state, entry.at) {
            (State::Unfired, Some(at)) if awaits => write!(f, "  awaits at {}", At(at))?,
            (State::Unfired, Some(at)) => write!(f, "  last awaited at {}", At(at))?,
            (State::Unfired, None) => {}
            (State::Running, _) => f.write_str("  is being polled")?,
            _ => return self.deferred(f, entry, state),
        }
        stages(f, entry)?;
        if entry.holder.is_some() { self.held(f, entry) } else { Ok(()) }
    }

    fn deferred(&self, f: &mut fmt::Formatter<'_>, entry: &Entry, state: State) -> fmt::Result {
        if let (State::Waiting, Some(at)) = (state, entry.at) {
            write!(f, "  waits in callback {}", At(at))?;
        }
        stages(f, entry)?;
        match state {
            State::Unfired => self.held(f, entry),
            State::Waiting => Ok(()),
            State::Combined => f.write_str("  combines those below"),
            State::InLine => f.write_str("  waits in line"),
            State::Queued => f.write_str("  waits for its protocol's method to return"),
            State::Firing => f.write_str("  is being fired"),
            State::Paused => f.write_str("  paused"),
            State::Running => f.write_str("  runs"),
        }
    }

    fn held(&self, f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
        let Some(id) = entry.holder else { return f.write_str("  promise in user code") };
        match self.snapshot.get(id) {
            Some(holder) => {
                write!(f, "  held by {} #{id} ({})", Thing(&holder.kind), At(holder.made))
            }
            None => write!(f, "  held by #{id}"),
        }
    }
}

fn indent(f: &mut fmt::Formatter<'_>, bars: &[bool], last: bool) -> fmt::Result {
    for bar in bars {
        f.write_str(if *bar { "│  " } else { "   " })?;
    }
    f.write_str(if last { "└─ " } else { "├─ " })
}

fn age(f: &mut fmt::Formatter<'_>, age: Option<Duration>) -> fmt::Result {
    age.map_or(Ok(()), |age| write!(f, "  {}", Age(age)))
}

fn stages(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    if entry.then.is_empty() {
        return Ok(());
    }
    f.write_str("  then")?;
    entry.then.iter().try_for_each(|place: &Place| write!(f, " {}", At(place)))?;
    if entry.more > 0 {
        write!(f, " and {} more", entry.more)?;
    }
    Ok(())
}

fn noun(kind: &Kind) -> &'static str {
    match kind {
        Kind::Chain(_) => "deferred",
        Kind::Task(_) => "task",
        Kind::Timer { .. } => "timer",
        Kind::Listener { .. } => "listen",
        Kind::Connection { .. } => "conn",
        Kind::Client { .. } => "connect",
        Kind::Udp { address } if address.starts_with("unix:") => "datagrams",
        Kind::Udp { .. } => "listen udp",
        Kind::Process { .. } => "process",
        Kind::Job { .. } => "thread job",
        Kind::Call => "call from a thread",
        Kind::Blocked => "blocked thread",
    }
}

/// What it is, with what there is to say of it.
struct Thing<'a>(&'a Kind);

impl fmt::Display for Thing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(noun(self.0))?;
        match self.0 {
            Kind::Chain(_) | Kind::Task(_) | Kind::Call | Kind::Blocked => Ok(()),
            Kind::Timer { due: Some(due) } => write!(f, " due in {} ms", due.as_millis()),
            Kind::Timer { due: None } => f.write_str(" never due"),
            Kind::Listener { address, connections } => {
                write!(f, " tcp {address}  {connections} open")
            }
            Kind::Connection { peer, incoming, outgoing, reading_paused, producer_paused, closing } => {
                write!(f, " {peer}  in {}  out {}", Bytes(*incoming), Bytes(*outgoing))?;
                if let Some(age) = reading_paused {
                    write!(f, "  reading paused {}", Age(*age))?;
                }
                if let Some(age) = producer_paused {
                    write!(f, "  producer paused {}", Age(*age))?;
                }
                f.write_str(if *closing { "  closing" } else { "" })
            }
            Kind::Client { to, connected } => {
                write!(f, " tcp {to}  {}", if *connected { "connected" } else { "connecting" })
            }
            Kind::Udp { address } => write!(f, " {address}"),
            Kind::Process { executable, pid, open, outgoing } => {
                write!(f, " {executable}")?;
                match pid {
                    Some(pid) => write!(f, "  pid {pid}")?,
                    None => f.write_str("  exited")?,
                }
                f.write_str("  open")?;
                open.iter().try_for_each(|descriptor| write!(f, " {descriptor}"))?;
                write!(f, "  out {}", Bytes(*outgoing))
            }
            Kind::Job { what } => write!(f, " {what}"),
        }
    }
}

/// An age for people.
pub(super) struct Age(pub(super) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// A size for people.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1024 => write!(f, "{bytes} B"),
            bytes @ ..1_048_576 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            bytes => write!(f, "{:.1} MiB", bytes as f64 / 1_048_576.0),
        }
    }
}
