//! A thread without a reactor calls the first one of the process. One test, for a process has one first reactor.

use std::thread;
use twisted::internet::{
    error::{NoReactor, ReactorNotRunning},
    reactor, threads,
};

#[test]
fn a_thread_without_a_reactor_calls_the_first_one_of_the_process() -> twistor::Result<()> {
    let early = thread::spawn(|| reactor::call_from_thread(|| ())).join().expect("no panic");
    assert!(early.unwrap_err().check::<NoReactor>());

    let here = thread::current().id();
    let asking = reactor::get(); // from here on there is one, and calls wait for its run
    let asks = thread::spawn(move || {
        let answer = threads::blocking_call_from_thread(move || Ok(thread::current().id() == here));
        reactor::call_from_thread(reactor::stop).expect("it runs");
        answer
    });
    asking.run_without_signal_handlers()?;
    assert!(asks.join().expect("no panic")?);

    let late = thread::spawn(|| reactor::call_from_thread(|| ())).join().expect("no panic");
    assert!(late.unwrap_err().check::<ReactorNotRunning>());
    Ok(())
}
