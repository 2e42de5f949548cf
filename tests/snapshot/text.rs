//! A snapshot as a text and as JSON.

use crate::at;
use serde_json::Value;
use std::{cell::RefCell, rc::Rc, time::Duration};
use twistor::{
    Reactor,
    defer::{Deferred, pending},
    snapshot::{Kind, Snapshot},
    testing::on_both,
};

/// The thread's Deferreds.
fn snapshot() -> Snapshot {
    Snapshot::from(pending())
}

/// The same text with ids that begin at 1.
fn renumbered(text: &str, first: u32) -> String {
    let mut out = String::new();
    let mut parts = text.split('#');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        let id: u32 = part[..digits].parse().expect("a number");
        out.push_str(&format!("#{}{}", id - first + 1, &part[digits..]));
    }
    out
}

#[test]
fn two_that_wait_for_each_other_are_a_cycle() {
    let kept: Rc<RefCell<Option<Deferred<()>>>> = Rc::default();
    let (one, start_one) = Deferred::<()>::pending(); // @one
    let (two, start_two) = Deferred::<()>::pending(); // @two
    let taken = kept.clone();
    let two = two.add_callback(move |()| taken.take().expect("the other")); // @two waits
    let one = one.add_callback(move |()| two); // @one waits
    kept.replace(Some(one));
    start_one.callback(());
    start_two.callback(());
    let seen = snapshot();
    let (first, second) = (seen.entries[0].id, seen.entries[1].id);
    assert_eq!((seen.entries[0].waiter, seen.entries[1].waiter), (Some(second), Some(first)));
    let expected = format!(
        "thread  2 deferreds  0 timers, sockets, jobs\n\
         cycle:\n\
         └─ deferred #1  made {}  waits in callback {}\n   \
         └─ deferred #2  made {}  waits in callback {}\n      \
         └─ deferred #1 again\n",
        at!("one"),
        at!("one waits"),
        at!("two"),
        at!("two waits"),
    );
    assert_eq!(renumbered(&seen.to_string(), first), expected);
}

#[test]
fn a_chain_of_chains_is_as_deep_as_it_is_long_but_its_text_is_not_as_wide() {
    const LEVELS: usize = 100;
    let (mut inner, _promise) = Deferred::<()>::pending();
    for _ in 1..LEVELS {
        let (outer, start) = Deferred::<()>::pending();
        let waits = inner;
        inner = outer.add_callback(move |()| waits);
        start.callback(());
    }
    let text = snapshot().to_string();
    assert_eq!(text.lines().count(), LEVELS + 1, "{text}");
    let widest = text.lines().map(|line| line.chars().take_while(|c| *c == ' ').count()).max();
    assert_eq!(widest, Some(3 * 32));
}

#[test]
fn many_stages_are_counted_and_the_first_are_named() {
    let (mut deferred, _promise) = Deferred::<u8>::pending();
    for _ in 0..20 {
        deferred = deferred.map(|n| n + 1); // @stage
    }
    let seen = snapshot();
    assert_eq!((seen.entries[0].then.len(), seen.entries[0].more), (16, 4));
    assert!(seen.to_string().contains(&format!("then {}", at!("stage"))));
    assert!(seen.to_string().contains(" and 4 more  promise in user code"), "{seen}");
    drop(deferred);
}

#[test]
fn what_is_paused_says_so_and_shows_its_stages() {
    let (deferred, promise) = Deferred::<u8>::pending();
    let deferred = deferred.map(|n| n + 1).map(|n| n + 1);
    deferred.pause();
    let unfired = snapshot();
    promise.callback(1);
    let fired = snapshot();
    for seen in [&unfired, &fired] {
        assert!(seen.to_string().ends_with("  paused\n"), "{seen}");
        assert_eq!(seen.entries[0].then.len(), 2, "{seen}");
    }
    deferred.unpause();
    assert!(snapshot().is_empty());
}

on_both!(each_line_of_the_json_is_a_record_of_an_entry);
/// The JSON is the tree in two columns, and says what the entries say.
fn each_line_of_the_json_is_a_record_of_an_entry(reactor: &Reactor) {
    reactor.call_later(Duration::MAX, || ());
    let (inner, promise) = Deferred::<u8>::pending();
    let (outer, start) = Deferred::<()>::pending(); // @outer
    let outer = outer.add_callback(move |()| inner).map(|n| n + 1); // @stages
    start.callback(());
    let port = reactor.listen_tcp(("127.0.0.1", 0), twistor::factory(|_| Nothing)).expect("a free port");
    let seen = reactor.snapshot();
    let json = seen.to_json();
    let records: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert_eq!((&records[0]["id"], &records[0]["kind"]), (&0.into(), &"reactor".into()));
    assert!(records[0]["up_ms"].is_u64());
    assert_eq!(records.len(), seen.entries.len() + 1);
    for (record, entry) in records[1..].iter().zip(&seen.entries) {
        assert_eq!(record["id"], entry.id);
        assert_eq!(record["waiter"], entry.waiter.unwrap_or(0));
        assert_eq!(record["made"], format!("{}:{}", entry.made.file(), entry.made.line()));
        if let Kind::Listener { address, .. } = &entry.kind {
            assert_eq!(record["address"], address.as_str());
            assert_eq!(*address, port.get_host().expect("it listens").as_inet().expect("TCP").to_string());
        }
    }
    let timer = records.iter().find(|record| record["kind"] == "timer").expect("a timer");
    assert!(timer.get("due_ms").is_none(), "never: {timer}");
    let outer_line =
        records.iter().find(|record| record["made"] == at!("outer").as_str()).expect("the chain");
    assert_eq!((&outer_line["state"], &outer_line["at"]), (&"waiting".into(), &at!("stages").into()));
    assert_eq!(outer_line["then"], serde_json::json!([at!("stages")]));
    promise.callback(1);
    drop(outer);
}

struct Nothing;

impl twistor::Protocol for Nothing {}
