//! A snapshot may be taken anywhere: in a callback, in a drop, after a panic, with several reactors on a thread.

use crate::at;
use std::{cell::RefCell, rc::Rc, sync::mpsc, thread, time::Duration};
use twistor::{
    Reactor,
    defer::{Deferred, pending},
    report,
    snapshot::{Entry, Kind, Snapshot, State},
    task::defer_later,
    testing::{Simulation, on_both},
};

fn made(entry: &Entry) -> String {
    format!("{}:{}", entry.made.file(), entry.made.line())
}

/// What was seen, each time somebody looked.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Vec<Snapshot>>>);

impl Seen {
    fn look(&self) {
        let reactor = Reactor::current();
        self.0.borrow_mut().push(reactor.snapshot());
    }
}

/// Looks when it is dropped.
struct AtDrop(Seen);

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.look();
    }
}

/// Runs `f` inside a run, and gives what was seen.
fn in_a_run(reactor: &Reactor, f: impl FnOnce(&Seen) + 'static) -> Vec<Snapshot> {
    let seen = Seen::default();
    let looks = seen.clone();
    reactor.call_when_running(move || {
        f(&looks);
        Reactor::current().stop().expect("it runs");
    });
    reactor.run_without_signal_handlers().expect("it ends");
    seen.0.take()
}

on_both!(in_a_callback_its_own_chain_is_being_fired);
fn in_a_callback_its_own_chain_is_being_fired(reactor: &Reactor) {
    let seen = in_a_run(reactor, |seen| {
        let looks = seen.clone();
        let (deferred, promise) = Deferred::<()>::pending(); // @fired
        deferred.map(move |()| looks.look()).or_log("it");
        promise.callback(());
        seen.look();
    });
    let [inside, after] = &seen[..] else { panic!("{seen:?}") };
    let [fired] = &inside.entries[..] else { panic!("{inside}") };
    assert_eq!((made(fired), &fired.kind), (at!("fired"), &Kind::Chain(State::Firing)));
    assert!(inside.to_string().ends_with("  is being fired\n"), "{inside}");
    assert!(after.is_empty(), "{after}");
}

on_both!(in_the_drop_of_a_captured_value_and_in_the_drop_of_a_chain);
fn in_the_drop_of_a_captured_value_and_in_the_drop_of_a_chain(reactor: &Reactor) {
    let seen = in_a_run(reactor, |seen| {
        let (other, fires_other) = Deferred::<u8>::pending(); // @other
        let captured = AtDrop(seen.clone());
        let (deferred, promise) = Deferred::<u8>::pending();
        // Dropped by the stage, when it has run.
        let deferred = deferred.map(move |n| {
            drop(captured);
            n
        });
        promise.callback(1);
        // Dropped with a chain that is cancelled.
        let captured = AtDrop(seen.clone());
        let (dropped, _dropped) = Deferred::<u8>::pending();
        let dropped = dropped.map(move |n| (captured, n).1);
        dropped.cancel();
        assert!(deferred.now().is_ok() && dropped.now().is_ok());
        fires_other.callback(1);
        drop(other);
    });
    assert_eq!(seen.len(), 2);
    for snapshot in &seen {
        let others = snapshot.entries.iter().filter(|entry| made(entry) == at!("other"));
        assert_eq!(others.count(), 1, "{snapshot}");
    }
}

on_both!(after_a_panic_what_was_pending_is_still_there);
fn after_a_panic_what_was_pending_is_still_there(reactor: &Reactor) {
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    let told = reports.clone();
    let _hook = report::hook(move |report| told.borrow_mut().push(report.failure.to_string()));
    let seen = in_a_run(reactor, |seen| {
        let (pending, _promise) = Deferred::<u8>::pending(); // @pending
        let looks = seen.clone();
        let (fails, promise) = Deferred::<()>::pending();
        let fails =
            fails.map(|()| panic!("in a callback")).add_both(move |_: twistor::Result<()>| looks.look());
        promise.callback(());
        seen.look();
        drop((pending, fails));
    });
    let [inside, after] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(inside.entries.len(), 2, "{inside}");
    assert_eq!(after.entries.iter().map(made).collect::<Vec<_>>(), [at!("pending")], "{after}");
}

on_both!(a_snapshot_in_a_report_and_in_a_task_that_is_polled);
fn a_snapshot_in_a_report_and_in_a_task_that_is_polled(reactor: &Reactor) {
    let seen = in_a_run(reactor, |seen| {
        let looks = seen.clone();
        let task = Reactor::current().spawn(async move {
            looks.look();
            Ok(())
        }); // spawned tasks begin in the next turn
        task.or_log("the task");
        let looks = seen.clone();
        let _hook = report::hook(move |_| looks.look());
        drop(twistor::defer::fail::<()>(twistor::Failure::msg("nobody handles this")));
    });
    let states: Vec<_> = seen.iter().map(|snapshot| snapshot.entries[0].kind.clone()).collect();
    assert_eq!(states, [Kind::Task(State::Unfired), Kind::Task(State::Running)]);
}

on_both!(a_record_names_its_reactor);
fn a_record_names_its_reactor(reactor: &Reactor) {
    let another = || Reactor::new().expect("another");
    let two = if reactor.is_virtual() { Simulation::new().reactor() } else { another() };
    let one = reactor;
    let made_by = |reactor: &Reactor| {
        let (sender, kept) = (Rc::new(RefCell::new(None)), Rc::new(RefCell::new(None)));
        let (keep, kept_too) = (sender.clone(), kept.clone());
        reactor.call_later(Duration::ZERO, move || {
            let (deferred, promise) = Deferred::<u8>::pending();
            keep.replace(Some(promise));
            kept_too.replace(Some(deferred));
        });
        reactor.iterate(Duration::ZERO).expect("a turn");
        (sender.take().expect("it was made"), kept.take().expect("it was made"))
    };
    let (fires_one, of_one) = made_by(one);
    assert_eq!((one.snapshot().entries.len(), two.snapshot().entries.len()), (1, 0));
    let (fires_two, of_two) = made_by(&two);
    assert_eq!((one.snapshot().entries.len(), two.snapshot().entries.len()), (1, 1));
    assert_ne!(one.snapshot().entries[0].id, two.snapshot().entries[0].id);
    assert_eq!(pending().len(), 2, "the thread has both");
    for (fires, deferred) in [(fires_one, of_one), (fires_two, of_two)] {
        fires.callback(1);
        drop(deferred);
    }
}

/// On the system's clock alone: it counts turns while a thread is at work, which takes no virtual time.
#[test]
fn a_call_of_a_thread_and_a_thread_that_is_blocked() {
    let reactor = Reactor::new().expect("a reactor");
    let (remote, seen) = (reactor.remote(), Seen::default());
    let (told, waits) = mpsc::channel();
    let thread = thread::spawn(move || {
        let left = remote.call_from_thread(|_| ()); // @left
        left.expect("it is there");
        told.send(()).expect("the test waits");
        remote.blocking_call_from_thread(|reactor| {
            let (answer, promise) = Deferred::<u8>::pending();
            reactor.call_later(Duration::from_millis(1), move || {
                promise.callback(7);
            });
            answer
        })
    });
    waits.recv_timeout(Duration::from_secs(20)).expect("the thread runs");
    let waiting = reactor.snapshot();
    let is_left = |e: &&Entry| e.kind == Kind::Call && made(e) == at!("left");
    let call = waiting.entries.iter().find(is_left).unwrap_or_else(|| panic!("it waits: {waiting}"));
    let other = reactor.snapshot();
    assert_eq!(other.entries.iter().find(is_left), Some(call), "it has one number, however often one looks");

    let looks = seen.clone();
    let blocked = move |snapshot: &Snapshot| snapshot.entries.iter().any(|e| e.kind == Kind::Blocked);
    // Looked at in each turn until the thread's call was made.
    fn again(looks: Seen, blocked: impl Fn(&Snapshot) -> bool + 'static, left: usize) {
        assert!(left > 0, "the call never came");
        looks.look();
        if looks.0.borrow().last().is_some_and(&blocked) {
            return;
        }
        Reactor::current().call_later(Duration::from_micros(100), move || again(looks, blocked, left - 1));
    }
    reactor.call_later(Duration::ZERO, move || again(looks, blocked, 100_000));
    let stops = reactor.clone();
    let over = thread::spawn({
        let remote = reactor.remote();
        move || {
            let answer = thread.join().expect("no panic");
            remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it is there");
            answer
        }
    });
    stops.run_without_signal_handlers().expect("it ends");
    assert_eq!(over.join().expect("no panic").expect("an answer"), 7);

    let seen = seen.0.take();
    let seen = seen.last().expect("it was looked at");
    let blocked = seen.entries.iter().find(|entry| entry.kind == Kind::Blocked).expect("it was seen");
    let children: Vec<_> = seen.children(Some(blocked.id)).map(|entry| &entry.kind).collect();
    let answer = children.iter().any(|kind| matches!(kind, Kind::Chain(State::Unfired)));
    assert!(answer, "its Deferred stands under it: {seen}");
    assert!(children.iter().any(|kind| matches!(kind, Kind::Timer { .. })), "and its timer: {seen}");
    assert!(reactor.snapshot().is_empty(), "{}", reactor.snapshot());
}

on_both!(what_was_closed_is_not_shown);
fn what_was_closed_is_not_shown(reactor: &Reactor) {
    reactor.call_later(Duration::from_secs(60), || ());
    let waits = reactor.spawn(async { futures::future::pending::<twistor::Result<()>>().await });
    assert_eq!(reactor.snapshot().entries.len(), 2);
    reactor.call_when_running(|| Reactor::current().stop().expect("it runs"));
    reactor.run_without_signal_handlers().expect("it ends");
    assert!(reactor.snapshot().is_empty(), "{}", reactor.snapshot());
    assert!(waits.now().expect("it was dropped").is_err());
}

/// What the library will fire names what will do so.
#[test]
fn a_delay_and_an_attempt_to_connect_name_what_holds_their_promises() {
    let reactor = Simulation::new().reactor();
    let later = defer_later(&reactor, Duration::from_secs(30), || Ok(())); // @later
    let stream = reactor.connect_stream(("127.0.0.1", 80)); // @stream
    let seen = reactor.snapshot();
    let holder = |place: String| {
        let chain = seen.entries.iter().find(|e| made(e) == place && matches!(e.kind, Kind::Chain(_)));
        let holder = chain.and_then(|chain| seen.get(chain.holder?)).expect("it is held");
        assert_eq!(made(holder), place, "{seen}");
        &holder.kind
    };
    assert!(matches!(holder(at!("later")), Kind::Timer { .. }), "{seen}");
    assert!(matches!(holder(at!("stream")), Kind::Client { .. }), "{seen}");
    let held = format!("  held by timer due in 30000 ms #{}", seen.entries[1].id);
    assert!(seen.to_string().contains(&held), "{seen}");
    later.cancel();
    stream.cancel();
    assert!(later.now().expect("it was cancelled").is_err());
    assert!(stream.now().expect("it was cancelled").is_err());
}
