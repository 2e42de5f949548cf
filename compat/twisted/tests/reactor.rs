//! The thread's reactor behind free functions. Each test has a thread, and so a reactor, of its own.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread,
    time::Duration,
};
use twisted::internet::{
    address::Address,
    defer::{AlreadyCalledError, Deferred, inline_callbacks},
    error::{CannotListenError, NotActive, ReactorAlreadyInstalledError, ReactorNotRunning, WouldDeadlock},
    protocol::{Context, Protocol, factory},
    reactor::{self, Phase},
    threads,
};
use twistor::{Failure, Reactor, Result, report};

/// Runs it. A run that does not end by itself fails, and so does one that somebody tells of a failure.
fn run() -> Result<()> {
    let told = Rc::new(RefCell::new(vec![]));
    let seen = told.clone();
    let guard = report::hook(move |report| seen.borrow_mut().push(report.to_string()));
    let over = reactor::call_later(Duration::from_secs(20), reactor::stop);
    reactor::run_without_signal_handlers()?;
    drop(guard);
    assert_eq!(
        (over.cancel(), &*told.borrow()),
        (Err(NotActive::AlreadyCancelled), &vec![]),
        "it does not end by itself"
    );
    Ok(())
}

/// Runs `f` in a thread with no reactor yet.
fn fresh<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(f).join().expect("no panic")
}

#[test]
fn a_reactor_is_made_at_first_use_and_not_installed_over() -> Result<()> {
    fresh(|| {
        assert!(!reactor::running());
        let late = reactor::install(Reactor::new()?).unwrap_err();
        assert!(late.check::<ReactorAlreadyInstalledError>());
        assert!(late.to_string().contains("call install() before"));
        Ok(())
    })
}

#[test]
fn an_installed_reactor_is_the_threads() -> Result<()> {
    fresh(|| {
        let mine = Reactor::new()?;
        reactor::install(mine.clone())?;
        let seen = Rc::new(Cell::new(false));
        let called = seen.clone();
        mine.call_later(Duration::ZERO, move || {
            called.set(reactor::running());
            reactor::stop().expect("it runs");
        });
        run()?;
        assert!(seen.get());
        assert!(reactor::install(Reactor::new()?).is_err());
        Ok(())
    })
}

/// So ported code runs in a test with a reactor of its own, and in a world of several.
#[test]
fn inside_a_callback_the_reactor_is_the_one_that_calls() -> Result<()> {
    fresh(|| {
        let (other, seen) = (Reactor::new()?, Rc::new(Cell::new(0)));
        let waiting = seen.clone();
        other.call_later(Duration::ZERO, move || {
            reactor::call_later(Duration::from_secs(60), || ());
            waiting.set(Reactor::current().get_delayed_calls().len());
            reactor::stop().expect("the other one runs");
        });
        other.run_without_signal_handlers()?;
        assert_eq!((seen.get(), reactor::get_delayed_calls().len()), (1, 0));
        Ok(())
    })
}

#[test]
fn it_runs_again_after_it_was_stopped_and_says_when_it_does_not_run() -> Result<()> {
    fresh(|| {
        for _ in 0..2 {
            assert!(reactor::stop().unwrap_err().check::<ReactorNotRunning>());
            let before = reactor::seconds();
            reactor::call_when_running(|| drop(reactor::call_later(Duration::from_millis(1), reactor::stop)));
            run()?;
            assert!(reactor::seconds() > before);
        }
        Ok(())
    })
}

#[test]
fn triggers_wait_for_a_shared_deferred() -> Result<()> {
    fresh(|| {
        let order = Rc::new(RefCell::new(vec![]));
        let note = |word: &'static str| {
            let order = order.clone();
            move || order.borrow_mut().push(word)
        };
        let (done, last) = (Deferred::new(), note("done"));
        let waited = done.clone();
        reactor::add_system_event_trigger(Phase::Before, "shutdown", move || {
            reactor::call_later(Duration::from_millis(1), move || {
                last();
                done.callback(())
            });
            waited
        });
        reactor::add_system_event_trigger(Phase::After, "shutdown", note("after"));
        let never = reactor::add_system_event_trigger(Phase::After, "shutdown", note("never"));
        assert!(reactor::remove_system_event_trigger(never));
        reactor::call_later(Duration::ZERO, reactor::stop);
        run()?;
        assert_eq!(*order.borrow(), ["done", "after"]);
        Ok(())
    })
}

#[test]
fn what_a_call_fails_with_is_told() -> Result<()> {
    fresh(|| {
        let told = Rc::new(RefCell::new(vec![]));
        let seen = told.clone();
        let guard = report::hook(move |report| {
            seen.borrow_mut().push((report.origin, report.failure.check::<AlreadyCalledError>()));
        });
        let d = Deferred::new();
        d.callback(1)?;
        reactor::call_later(Duration::ZERO, move || d.callback(2));
        reactor::call_later(Duration::ZERO, reactor::stop);
        reactor::run_without_signal_handlers()?;
        drop(guard);
        assert_eq!(*told.borrow(), [("a delayed call", true)]);
        Ok(())
    })
}

#[test]
fn a_thread_of_the_pool_calls_the_reactor_that_its_work_is_for() -> Result<()> {
    fresh(|| {
        let (here, order) = (thread::current().id(), Rc::new(RefCell::new(vec![])));
        let seen = order.clone();
        reactor::call_when_running(move || {
            let d = threads::defer_to_thread(move || {
                reactor::call_from_thread(move || assert_eq!(thread::current().id(), here))?;
                threads::blocking_call_from_thread(move || Ok(thread::current().id() == here))
            });
            d.add_callback(move |in_the_reactors: bool| {
                seen.borrow_mut().push(in_the_reactors);
                threads::defer_to_thread(|| Err::<(), _>(Failure::msg("no disk")))
            })
            .add_both(|result| {
                assert_eq!(result.unwrap_err().to_string(), "no disk");
                assert!(threads::blocking_call_from_thread(|| ()).unwrap_err().check::<WouldDeadlock>());
                reactor::stop()
            });
        });
        run()?;
        assert_eq!(*order.borrow(), [true]);
        Ok(())
    })
}

#[test]
fn a_port_in_use_is_a_named_error() -> Result<()> {
    struct Nothing;
    impl Protocol for Nothing {}
    fresh(|| {
        let port = reactor::listen_tcp(("127.0.0.1", 0), factory(|_peer: &Address| Nothing))?;
        let taken = port.get_host()?.as_inet().expect("it is TCP");
        let again = reactor::listen_tcp(taken, factory(|_peer: &Address| Nothing));
        assert!(again.unwrap_err().check::<CannotListenError>());
        Ok(())
    })
}

/// A shared Deferred in a protocol's method, in async code and as what a stage waits for, over real sockets.
#[test]
fn a_client_and_a_server_of_one_program() -> Result<()> {
    struct Answer;
    impl Protocol for Answer {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            cx.write(data.to_ascii_uppercase());
            cx.lose_connection();
        }
    }
    struct Ask {
        heard: Vec<u8>,
        told: Deferred<Vec<u8>>,
    }
    impl Protocol for Ask {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.write("hello");
        }

        fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
            self.heard.extend(data);
        }

        fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
            self.told.callback(std::mem::take(&mut self.heard)).expect("it is fired here alone");
        }
    }
    fresh(|| {
        let port = reactor::listen_tcp(("127.0.0.1", 0), factory(|_peer| Answer))?;
        let (at, answer) = (port.get_host()?.as_inet().expect("it is TCP"), Deferred::new());
        let told = answer.clone();
        reactor::connect_tcp(at, factory(move |_peer| Ask { heard: vec![], told: told.clone() }));
        let length = reactor::spawn(async move {
            let heard = answer.await?;
            assert_eq!(heard, b"HELLO");
            inline_callbacks(async move { Ok(heard.len()) }).await
        });
        length.add_both(|length: Result<usize>| {
            assert_eq!(length.unwrap(), 5);
            reactor::stop()
        });
        run()
    })
}
