//! The system's resolver: what it asks, how often, and who is told.

use super::{hosts::Hosts, *};
use crate::{
    error::{CancelledError, ReactorNotRunning},
    testing::{self, assert_no_result, failure_result_of},
};
use futures_lite::future::yield_now;
use std::{
    collections::BTreeMap,
    sync::{Condvar, LazyLock, Mutex},
};

const LIMIT: Duration = Duration::from_secs(20);

/// A getaddrinfo that answers when it is told to, and counts who asks: each test has names of its own.
#[derive(Default)]
struct Slow {
    names: Mutex<BTreeMap<String, Asked>>,
    change: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    times: usize,
    answered: bool,
}

static SLOW: LazyLock<Slow> = LazyLock::new(Slow::default);

fn slow(name: &str) -> io::Result<Vec<SocketAddr>> {
    let mut names = SLOW.names.lock().expect("no panic");
    names.entry(name.to_string()).or_default().times += 1;
    SLOW.change.notify_all();
    let silent = |names: &mut BTreeMap<String, Asked>| !names[name].answered;
    let waited = SLOW.change.wait_timeout_while(names, LIMIT, silent).expect("no panic");
    drop(waited);
    if name.ends_with("unknown") {
        return Err(io::Error::new(io::ErrorKind::NotFound, "in its own words"));
    }
    Ok(vec![([10, 0, 0, 1], 0).into(), ([10, 0, 0, 2], 0).into()])
}

fn times(name: &str) -> usize {
    SLOW.names.lock().expect("no panic").get(name).map_or(0, |asked| asked.times)
}

fn answer(name: &str) {
    SLOW.names.lock().expect("no panic").entry(name.to_string()).or_default().answered = true;
    SLOW.change.notify_all();
}

/// Waits until somebody asks.
fn wait_for(name: &str) {
    let names = SLOW.names.lock().expect("no panic");
    let unasked = |names: &mut BTreeMap<String, Asked>| !names.contains_key(name);
    let (names, waited) = SLOW.change.wait_timeout_while(names, LIMIT, unasked).expect("no panic");
    drop(names);
    assert!(!waited.timed_out(), "nobody asks for {name}");
}

fn reactor() -> Reactor {
    let reactor = Reactor::new().expect("a reactor");
    let resolver = SystemResolver::with(&reactor.core, None, slow);
    reactor.install_name_resolver(resolver);
    reactor
}

#[test]
fn who_asks_for_the_same_name_shares_one_lookup_each_with_its_port() {
    let reactor = reactor();
    let one = reactor.resolve_all("Shared", 1);
    let two = reactor.resolve_all("shared", 2);
    let three = reactor.resolve("SHARED");
    testing::run(&reactor, LIMIT, async move {
        wait_for("shared");
        answer("shared");
        assert_eq!(one.await?, [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()]);
        assert_eq!(two.await?, [([10, 0, 0, 1], 2).into(), ([10, 0, 0, 2], 2).into()]);
        assert_eq!(three.await?, IpAddr::from([10, 0, 0, 1]));
        Ok(())
    })
    .expect("they are told");
    assert_eq!(times("shared"), 1);
    // What is over is not kept: the next one asks again.
    testing::run(&reactor, LIMIT, reactor.resolve("shared")).expect("it is told");
    assert_eq!(times("shared"), 2);
}

#[test]
fn a_failure_has_the_resolvers_words_for_each_who_waits() {
    let reactor = reactor();
    let both = [reactor.resolve("is.unknown"), reactor.resolve("is.unknown")];
    answer("is.unknown");
    testing::run(&reactor, LIMIT, async move {
        for deferred in both {
            let failure = deferred.await.unwrap_err();
            assert_eq!(failure.message(), "cannot look up \"is.unknown\": in its own words");
            let error = failure.trap::<DnsLookupError>()?;
            assert_eq!((error.name(), error.cause().kind()), ("is.unknown", io::ErrorKind::NotFound));
        }
        Ok(())
    })
    .expect("they are told");
}

#[test]
fn a_lookup_that_has_not_begun_is_taken_back_by_the_last_cancel() {
    let reactor = reactor();
    // Before the run nothing is begun.
    let (one, two) = (reactor.resolve("taken.back"), reactor.resolve("taken.back"));
    one.cancel();
    assert!(failure_result_of(one).check::<CancelledError>());
    assert_no_result(&two);
    two.cancel();
    assert!(failure_result_of(two).check::<CancelledError>());
    answer("after");
    testing::run(&reactor, LIMIT, reactor.resolve("after")).expect("it is told");
    assert_eq!(times("taken.back"), 0);
}

#[test]
fn one_that_has_begun_is_let_go_and_the_next_who_asks_begins_another() {
    let reactor = reactor();
    let first = reactor.resolve("let.go");
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        wait_for("let.go");
        first.cancel();
        assert!(first.await.unwrap_err().check::<CancelledError>());
        let second = r.resolve("let.go");
        while times("let.go") < 2 {
            yield_now().await;
        }
        answer("let.go");
        second.await.map(drop)
    })
    .expect("the second is told");
}

#[test]
fn a_receiver_may_cancel_the_next_while_it_is_told() {
    struct Cancels(Rc<RefCell<Option<HostResolution>>>, Rc<RefCell<Vec<&'static str>>>);
    impl ResolutionReceiver for Cancels {
        fn address_resolved(&mut self, _address: SocketAddr) {}

        fn resolution_complete(self: Box<Self>, _result: Result<()>) {
            self.1.borrow_mut().push("first");
            let next = self.0.take();
            next.expect("it waits").cancel();
        }
    }
    struct Never(Rc<RefCell<Vec<&'static str>>>);
    impl ResolutionReceiver for Never {
        fn address_resolved(&mut self, _address: SocketAddr) {
            self.0.borrow_mut().push("never");
        }

        fn resolution_complete(self: Box<Self>, _result: Result<()>) {
            self.0.borrow_mut().push("never");
        }
    }
    let (reactor, told, next) = (reactor(), Rc::default(), Rc::default());
    reactor.resolve_host_name("cancels", 0, Cancels(Rc::clone(&next), Rc::clone(&told)));
    next.replace(Some(reactor.resolve_host_name("cancels", 0, Never(Rc::clone(&told)))));
    let third = reactor.resolve("cancels");
    answer("cancels");
    testing::run(&reactor, LIMIT, third).expect("it is told");
    assert_eq!(*told.borrow(), ["first"]);
}

/// Else two who try again without a delay would be told the same for ever, in one turn.
#[test]
fn who_asks_again_while_it_is_told_begins_another_lookup() {
    let reactor = reactor();
    let again = || {
        let r = reactor.clone();
        reactor.resolve("again").add_callback(move |_| r.resolve("again"))
    };
    let (one, two) = (again(), again());
    answer("again");
    testing::run(&reactor, LIMIT, async move { Ok((one.await?, two.await?)) }).expect("they are told");
    assert_eq!(times("again"), 2, "both share the second too");
}

#[test]
fn a_receiver_that_panics_is_told_of_and_hurts_no_other() {
    struct Panics;
    impl ResolutionReceiver for Panics {
        fn address_resolved(&mut self, _address: SocketAddr) {
            crate::report::hushed(|| panic!("in the receiver"));
        }

        fn resolution_complete(self: Box<Self>, _result: Result<()>) {}
    }
    let reports = Rc::new(RefCell::new(vec![]));
    let told = reports.clone();
    let _hook = crate::report::hook(move |report| told.borrow_mut().push(report.origin));
    let reactor = reactor();
    let first = reactor.resolve("panics");
    reactor.resolve_host_name("panics", 0, Panics);
    let last = reactor.resolve("panics");
    answer("panics");
    testing::run(&reactor, LIMIT, async move { Ok((first.await?, last.await?)) }).expect("they are told");
    assert_eq!(*reports.borrow(), ["a receiver of addresses"]);
}

/// As many as there are threads are silent, and one more waits for a thread: the work of the program is done all the same.
#[test]
fn silent_servers_keep_nothing_waiting_but_names_and_not_the_end_of_the_run() {
    let reactor = reactor();
    let names: Vec<_> = (0..20).map(|n| reactor.resolve(&format!("silent{n}"))).collect();
    let r = reactor.clone();
    reactor
        .defer_to_thread(|| Ok(()))
        .add_callback(move |()| {
            wait_for("silent0");
            Ok(r.stop()?)
        })
        .or_log("the job");
    reactor.run_without_signal_handlers().expect("it ends");
    for name in names {
        assert!(failure_result_of(name).check::<ReactorNotRunning>());
    }
    // None of those that waited for a thread is begun by one that is left.
    (0..20).for_each(|n| answer(&format!("silent{n}")));
    drop(reactor);
    assert!((8..20).all(|n| times(&format!("silent{n}")) == 0));
}

#[test]
fn a_name_of_the_hosts_file_needs_no_thread_and_no_run() {
    let path = std::env::temp_dir().join(format!("twistor-names-{}", std::process::id()));
    std::fs::write(&path, "10.1.2.3 printer\n10.1.2.4 printer\n").expect("a file");
    let reactor = Reactor::new().expect("a reactor");
    reactor.install_name_resolver(SystemResolver::with(&reactor.core, Some(Hosts::new(&path)), slow));
    let found = reactor.resolve_all("Printer", 9100).now().expect("at once").expect("it is there");
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(found, [([10, 1, 2, 3], 9100).into(), ([10, 1, 2, 4], 9100).into()]);
    assert_eq!(times("printer"), 0);
}

#[test]
fn the_systems_getaddrinfo() {
    let reactor = Reactor::new().expect("a reactor");
    reactor.install_name_resolver(SystemResolver::with(&reactor.core, None, system::get_addr_info));
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        let found = r.resolve_all("localhost", 80).await?;
        assert!(!found.is_empty());
        assert!(found.iter().all(|at| at.ip().is_loopback() && at.port() == 80), "{found:?}");
        // An address keeps its scope.
        assert_eq!(r.resolve_all("fe80::1%lo", 80).await?, ["[fe80::1%1]:80".parse()?]);
        for name in ["no-such-host.invalid", "no such host", "", "nul\0"] {
            let failure = r.resolve(name).await.unwrap_err();
            let error = failure.trap::<DnsLookupError>()?;
            assert_eq!(error.cause().kind(), io::ErrorKind::NotFound, "{name}: {failure}");
            assert!(!error.cause().to_string().is_empty());
        }
        Ok(())
    })
    .expect("they are told");
}

#[test]
fn an_address_is_its_own_answer_and_no_resolver_is_asked() {
    let reactor = reactor();
    for address in ["192.0.2.1", "2001:db8::1"] {
        let found = reactor.resolve(address).now().expect("at once").expect("it is one");
        assert_eq!(found.to_string(), address);
    }
}
