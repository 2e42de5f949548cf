//! A snapshot as JSON: one record a line.

use super::{Entry, Kind, Snapshot, State};
use crate::trace::{At, Place};
use std::{
    fmt::{self, Display},
    time::Duration,
};

impl Snapshot {
    /// One JSON object a line: that of the reactor first, with the id 0, then one for each entry.
    ///
    /// `waiter`, `made_in` and `holder` are ids, or 0 for none; a missing field has no value. With `id` and the first two of them it is the tree.
    /// Times are whole milliseconds.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::Reactor;
    /// let reactor = Reactor::new()?;
    /// reactor.call_later(Duration::from_secs(30), || ());
    /// let json = reactor.snapshot().to_json();
    /// let timer = json.lines().nth(1).expect("one entry");
    /// assert!(timer.contains(r#""kind":"timer","#) && timer.contains(r#""due_ms":"#), "{timer}");
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(64 + self.entries.len() * 192);
        let mut reactor = Object::begin(&mut out, 0, if self.up.is_some() { "reactor" } else { "thread" });
        reactor.time("up_ms", self.up);
        reactor.end();
        for entry in &self.entries {
            record(&mut out, entry);
        }
        out
    }
}

fn record(out: &mut String, entry: &Entry) {
    let mut object = Object::begin(out, entry.id, name(&entry.kind));
    object.place("made", Some(entry.made));
    object.time("age_ms", entry.age);
    object.number("waiter", entry.waiter.unwrap_or(0) as usize);
    object.number("made_in", entry.made_in.unwrap_or(0) as usize);
    object.number("holder", entry.holder.unwrap_or(0) as usize);
    object.place("at", entry.at);
    if let Kind::Chain(state) | Kind::Task(state) = &entry.kind {
        object.text("state", state_name(*state));
        object.places("then", &entry.then);
        object.number("more", entry.more);
    }
    match &entry.kind {
        Kind::Chain(_) | Kind::Task(_) | Kind::Call | Kind::Blocked => {}
        Kind::Timer { due } => object.time("due_ms", *due),
        Kind::Listener { address, connections } => {
            object.text("address", address);
            object.number("connections", *connections);
        }
        Kind::Connection { peer, incoming, outgoing, reading_paused, producer_paused, closing } => {
            object.text("peer", peer);
            object.number("in", *incoming);
            object.number("out", *outgoing);
            object.time("reading_paused_ms", *reading_paused);
            object.time("producer_paused_ms", *producer_paused);
            object.flag("closing", *closing);
        }
        Kind::Client { to, connected } => {
            object.text("to", to);
            object.flag("connected", *connected);
        }
        Kind::Udp { address } => object.text("address", address),
        Kind::Process { executable, pid, open, outgoing } => {
            object.text("executable", executable);
            if let Some(pid) = pid {
                object.number("pid", *pid as usize);
            }
            object.number("open", open.len());
            object.number("out", *outgoing);
        }
        Kind::Job { what } => object.text("what", what),
    }
    object.end();
}

fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Chain(_) => "deferred",
        Kind::Task(_) => "task",
        Kind::Timer { .. } => "timer",
        Kind::Listener { .. } => "listener",
        Kind::Connection { .. } => "connection",
        Kind::Client { .. } => "connector",
        Kind::Udp { .. } => "datagrams",
        Kind::Process { .. } => "process",
        Kind::Job { .. } => "job",
        Kind::Call => "call",
        Kind::Blocked => "blocked",
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Unfired => "unfired",
        State::Combined => "combined",
        State::InLine => "in_line",
        State::Queued => "queued",
        State::Waiting => "waiting",
        State::Firing => "firing",
        State::Paused => "paused",
        State::Running => "running",
    }
}

/// A JSON object that is being written. Its keys are ours, and need no escaping.
struct Object<'a>(&'a mut String);

impl Object<'_> {
    fn begin<'a>(out: &'a mut String, id: u32, kind: &str) -> Object<'a> {
        push(out, format_args!("{{\"id\":{id},\"kind\":\"{kind}\""));
        Object(out)
    }

    fn key(&mut self, key: &str) {
        for part in [",\"", key, "\":"] {
            self.0.push_str(part);
        }
    }

    fn number(&mut self, key: &str, value: usize) {
        self.key(key);
        if value == 0 { self.0.push('0') } else { push(self.0, format_args!("{value}")) }
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn time(&mut self, key: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.key(key);
            push(self.0, format_args!("{}", value.as_millis()));
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        quote(self.0, value);
    }

    fn place(&mut self, key: &str, value: Option<Place>) {
        if let Some(place) = value {
            self.key(key);
            quote(self.0, At(place));
        }
    }

    fn places(&mut self, key: &str, places: &[Place]) {
        self.key(key);
        self.0.push('[');
        for (index, place) in places.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            quote(self.0, At(place));
        }
        self.0.push(']');
    }

    fn end(self) {
        self.0.push_str("}\n");
    }
}

/// A `String` takes all that is written.
fn push(out: &mut impl fmt::Write, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn quote(out: &mut String, text: impl Display) {
    out.push('"');
    push(&mut Escaped(out), format_args!("{text}"));
    out.push('"');
}

/// What is written to it is escaped.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c < ' ' => write!(self.0, "\\u{:04x}", c as u32)?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_must_not_hold_is_escaped() {
        let mut out = String::new();
        quote(&mut out, "C:\\src\\\"a\".rs\n\u{1}é");
        assert_eq!(out, "\"C:\\\\src\\\\\\\"a\\\".rs\\u000a\\u0001é\"");
    }
}
