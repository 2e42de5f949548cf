//! Where `run` sleeps while async-io futures of other crates are at work. On the system's driver: the one in memory has no async-io.

use super::*;
use crate::reactor::run::{Habit, PERIODS, Sleep};
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

/// Runs async code to its end on a reactor of its own, and gives how often it parked in async-io meanwhile.
fn run_with_reactor(task: impl Future<Output = crate::Result<()>> + 'static) -> usize {
    let reactor = Reactor::new().unwrap();
    let before = PERIODS.get();
    let done = reactor.spawn(async move {
        let result = task.await;
        Reactor::current().stop()?;
        result
    });
    reactor.run_without_signal_handlers().unwrap();
    done.now().unwrap().unwrap();
    PERIODS.get() - before
}

/// Sends bytes through a socket of async-io to a thread, which sends them back: each round is a wake.
async fn ping_pong(rounds: usize) -> crate::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let to = listener.local_addr()?;
    std::thread::spawn(move || {
        let (mut there, _) = listener.accept().unwrap();
        let mut byte = [0];
        while there.read_exact(&mut byte).and_then(|()| there.write_all(&byte)).is_ok() {}
    });
    let mut here = Async::<TcpStream>::connect(to).await?;
    for _ in 0..rounds {
        here.write_all(&[7]).await?;
        here.read_exact(&mut [0]).await?;
    }
    Ok(())
}

#[test]
fn a_foreign_future_works_at_its_first_use() {
    let parked = run_with_reactor(async {
        Timer::after(Duration::from_millis(1)).await;
        Ok(())
    });
    assert_eq!(parked, 0);
}

#[test]
fn many_foreign_wakes_make_it_park_in_async_io() {
    let parked = run_with_reactor(async {
        for _ in 0..100 {
            Timer::after(Duration::from_micros(100)).await;
        }
        Ok(())
    });
    assert_eq!(parked, 1);
}

#[test]
fn sockets_of_async_io_work_through_the_change() {
    run_with_reactor(ping_pong(200));
}

/// Foreign wakes, then timers of its own alone, and again: it goes there and comes back each time.
#[test]
fn it_comes_back_when_the_foreign_futures_are_done() {
    let parked = run_with_reactor(async {
        for _ in 0..2 {
            for _ in 0..20 {
                Timer::after(Duration::from_micros(100)).await;
            }
            own_timers(100).await?;
        }
        Ok(())
    });
    assert_eq!(parked, 2);
}

/// So many timers of the reactor, one after another, with no task woken meanwhile.
fn own_timers(count: usize) -> crate::defer::Deferred<()> {
    fn next(left: usize, promise: crate::defer::Promise<()>) {
        if left == 0 {
            promise.callback(());
            return;
        }
        Reactor::current().call_later(Duration::from_micros(50), move || next(left - 1, promise));
    }
    let (deferred, promise) = crate::defer::Deferred::pending();
    next(count, promise);
    deferred
}

/// While it is parked the loop's own sources work as before.
#[test]
fn sockets_timers_and_threads_of_the_reactor_work_while_it_is_parked() {
    struct Echo;
    impl Protocol for Echo {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            cx.write(data);
        }
    }
    let reactor = Reactor::new().unwrap();
    let before = PERIODS.get();
    reactor.spawn(foreign_wakes()).or_log("test");
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo)).unwrap();
    let to = port.get_host().unwrap().as_inet().unwrap();
    let (remote, log) = (reactor.remote(), Log::default());
    let call = log.note("call");
    reactor.call_later(Duration::from_millis(50), move || {
        assert!(PERIODS.get() > before, "it is parked");
        std::thread::spawn(move || {
            let mut peer = TcpStream::connect(to).unwrap();
            peer.write_all(b"x").unwrap();
            peer.read_exact(&mut [0]).unwrap();
            remote.blocking_call_from_thread(move |_| call()).unwrap();
            remote.call_from_thread(|reactor| reactor.stop().unwrap()).unwrap();
        });
    });
    reactor.run_without_signal_handlers().unwrap();
    assert_eq!(log.take(), ["call"]);
}

/// A timer of async-io after another, for ever.
async fn foreign_wakes() -> crate::Result<()> {
    loop {
        Timer::after(Duration::from_micros(100)).await;
    }
}

#[test]
fn a_stop_while_it_is_parked_ends_what_is_foreign() {
    let reactor = Reactor::new().unwrap();
    let before = PERIODS.get();
    let task = reactor.spawn(foreign_wakes());
    let socket = reactor.spawn(ping_pong(usize::MAX));
    reactor.call_later(Duration::from_millis(50), || Reactor::current().stop().unwrap());
    reactor.run_without_signal_handlers().unwrap();
    assert!(PERIODS.get() > before);
    for ended in [task, socket] {
        assert!(ended.now().unwrap().unwrap_err().check::<crate::error::ReactorNotRunning>());
    }
}

#[test]
fn a_habit_is_learned_from_wakes_in_a_row() {
    let mut habit = Habit::default();
    for _ in 0..3 {
        (1..Habit::ENTER).for_each(|_| assert!(habit.slept(true) == Sleep::Directly));
        assert!(habit.slept(false) == Sleep::Directly);
    }
    (1..Habit::ENTER).for_each(|_| assert!(habit.slept(true) == Sleep::Directly));
    assert!(habit.slept(true) == Sleep::InAsyncIo);
    (1..Habit::LEAVE).for_each(|_| assert!(habit.slept(false) == Sleep::InAsyncIo));
    assert!(habit.slept(true) == Sleep::InAsyncIo);
    (1..Habit::LEAVE).for_each(|_| assert!(habit.slept(false) == Sleep::InAsyncIo));
    assert!(habit.slept(false) == Sleep::Directly);
}
