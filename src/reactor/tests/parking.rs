//! Where `run` sleeps while async-io futures of other crates are at work. On the system's driver: the one in memory has no async-io.

use super::*;
use crate::reactor::{
    habit::{Habit, Parking, Sleep},
    remote::Remote,
    run::PERIODS,
};
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

/// One reactor of a process parks in async-io at a time, so these tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _alone = alone();
    assert_eq!(run_with_reactor(until_parked()), 1);
}

#[test]
fn sockets_of_async_io_work_through_the_change() {
    let _alone = alone();
    run_with_reactor(ping_pong(200));
}

/// Foreign wakes, then timers of its own alone, and again: it goes there and comes back each time.
#[test]
fn it_comes_back_when_the_foreign_futures_are_done() {
    let _alone = alone();
    let parked = run_with_reactor(async {
        for _ in 0..2 {
            until_parked().await?;
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
    let _alone = alone();
    struct Echo;
    impl Protocol for Echo {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            cx.write(data);
        }
    }
    let reactor = Reactor::new().unwrap();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo)).unwrap();
    let to = port.get_host().unwrap().as_inet().unwrap();
    let (remote, log) = (reactor.remote(), Log::default());
    let call = log.note("call");
    let begin = move || {
        std::thread::spawn(move || {
            let mut peer = TcpStream::connect(to).unwrap();
            peer.write_all(b"x").unwrap();
            peer.read_exact(&mut [0]).unwrap();
            remote.blocking_call_from_thread(move |_| call()).unwrap();
            remote.call_from_thread(|reactor| reactor.stop().unwrap()).unwrap();
        });
    };
    let while_parked = async move {
        until_parked().await?;
        begin();
        foreign_wakes(usize::MAX).await
    };
    reactor.spawn(while_parked).or_log("test");
    reactor.run_without_signal_handlers().unwrap();
    assert_eq!(log.take(), ["call"]);
}

/// Timers of async-io, one after another, until the reactor has parked for them once more. Where the machine stalls, some more are needed.
async fn until_parked() -> crate::Result<()> {
    let before = PERIODS.get();
    for _ in 0..100_000 {
        if PERIODS.get() > before {
            return Ok(());
        }
        Timer::after(Duration::from_micros(100)).await;
    }
    panic!("it never parks");
}

/// So many timers of async-io, one after another.
async fn foreign_wakes(count: usize) -> crate::Result<()> {
    for _ in 0..count {
        Timer::after(Duration::from_micros(100)).await;
    }
    Ok(())
}

#[test]
fn a_stop_while_it_is_parked_ends_what_is_foreign() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let task = reactor.spawn(foreign_wakes(usize::MAX));
    let socket = reactor.spawn(ping_pong(usize::MAX));
    let stops = reactor.spawn(async {
        until_parked().await?;
        Reactor::current().stop()?;
        Ok(())
    });
    reactor.run_without_signal_handlers().unwrap();
    stops.now().expect("it was parked").unwrap();
    for ended in [task, socket] {
        assert!(ended.now().unwrap().unwrap_err().check::<crate::error::ReactorNotRunning>());
    }
}

/// A reactor of its own, whose task asks another one's again and again. How often it has parked meanwhile.
fn asking(mine: &mpsc::Sender<Remote>, other: &mpsc::Receiver<Remote>, left: Arc<AtomicUsize>) -> usize {
    let (reactor, before) = (Reactor::new().unwrap(), PERIODS.get());
    mine.send(reactor.remote()).unwrap();
    let other = other.recv().unwrap();
    let asked = reactor.spawn(async move {
        for n in 0..500 {
            assert_eq!(other.spawn(move || async move { Ok(n) }).await?, n);
        }
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            other.call_from_thread(|reactor| reactor.stop().unwrap())?;
            Reactor::current().stop()?;
        }
        Ok(())
    });
    reactor.run_without_signal_handlers().unwrap();
    asked.now().unwrap().unwrap();
    PERIODS.get() - before
}

/// Two reactors on two threads, whose tasks wake each other: they are no work for async-io, and do not meet in it.
#[test]
fn reactors_that_wake_each_others_tasks_never_park() {
    let _alone = alone();
    let ((to_one, of_two), (to_two, of_one)) = (mpsc::channel(), mpsc::channel());
    let left = Arc::new(AtomicUsize::new(2));
    let also_left = left.clone();
    let two = std::thread::spawn(move || asking(&to_one, &of_one, also_left));
    assert_eq!(asking(&to_two, &of_two, left), 0);
    assert_eq!(two.join().unwrap(), 0);
}

#[test]
fn while_one_reactor_parks_another_sleeps_directly() {
    let _alone = alone();
    let parking = Parking::claim();
    assert_eq!(run_with_reactor(foreign_wakes(100)), 0);
    drop(parking);
    assert_eq!(run_with_reactor(until_parked()), 1);
}

/// It once kept it until 64 other wakes had come: without traffic for ever.
#[test]
fn with_the_last_task_goes_the_right_to_park() {
    let _alone = alone();
    let (reactor, log) = (Reactor::new().unwrap(), Log::default());
    let noting = log.clone();
    let last_task = async move {
        until_parked().await?;
        noting.add(if Parking::claim().is_some() { "free" } else { "taken" });
        // The turn that its end makes may still be one of those inside async-io; the next one is not.
        Reactor::current().call_later(Duration::ZERO, move || {
            Reactor::current().call_later(Duration::ZERO, move || {
                noting.add(if Parking::claim().is_some() { "free" } else { "taken" });
                Reactor::current().stop().unwrap();
            });
        });
        Ok(())
    };
    reactor.spawn(last_task).or_log("test");
    reactor.run_without_signal_handlers().unwrap();
    assert_eq!(log.take(), ["taken", "free"]);
}

#[test]
fn wakes_that_are_far_apart_are_nothing_to_park_for() {
    let _alone = alone();
    let parked = run_with_reactor(async {
        for _ in 0..2 * Habit::ENTER {
            Timer::after(Habit::NEAR * 2).await;
        }
        Ok(())
    });
    assert_eq!(parked, 0);
}

/// A habit, and a clock that goes on by so much with each sleep.
#[derive(Default)]
struct Sleeper {
    habit: Habit,
    now: Duration,
    each: Duration,
}

impl Sleeper {
    fn slept(&mut self, by_async_io: bool) -> Sleep {
        self.now += self.each;
        self.habit.slept(by_async_io.then_some(self.now))
    }
}

#[test]
fn a_habit_is_learned_from_wakes_in_a_row() {
    let mut sleeper = Sleeper { each: Habit::NEAR, ..Sleeper::default() };
    for _ in 0..3 {
        (1..Habit::ENTER).for_each(|_| assert_eq!(sleeper.slept(true), Sleep::Directly));
        assert_eq!(sleeper.slept(false), Sleep::Directly);
        assert_eq!(sleeper.slept(true), Sleep::Directly, "the one before is two sleeps ago");
        assert_eq!(sleeper.slept(false), Sleep::Directly);
    }
    sleeper.each /= 2;
    sleeper.slept(true);
    (1..Habit::ENTER).for_each(|_| assert_eq!(sleeper.slept(true), Sleep::Directly));
    assert_eq!(sleeper.slept(true), Sleep::InAsyncIo);
    (1..Habit::LEAVE).for_each(|_| assert_eq!(sleeper.slept(false), Sleep::InAsyncIo));
    sleeper.now = sleeper.habit.woken;
    assert_eq!(sleeper.slept(true), Sleep::InAsyncIo);
    (1..Habit::LEAVE).for_each(|_| assert_eq!(sleeper.slept(false), Sleep::InAsyncIo));
    assert_eq!(sleeper.slept(false), Sleep::Directly);
}

/// Among a thousand messages in a second a timer that rings ten times is not heard; and it does not keep one parked who is.
#[test]
fn far_wakes_speak_neither_for_parking_nor_for_staying() {
    let mut sleeper = Sleeper { each: Habit::NEAR + Duration::from_nanos(1), ..Sleeper::default() };
    assert!((0..1000).all(|_| sleeper.slept(true) == Sleep::Directly));
    sleeper.each = Duration::from_micros(1);
    (1..Habit::ENTER).for_each(|_| assert_eq!(sleeper.slept(true), Sleep::Directly));
    assert_eq!(sleeper.slept(true), Sleep::InAsyncIo);
    sleeper.each = Duration::from_millis(1);
    let mut sleeps = 0;
    while sleeper.slept(sleeps % 100 == 99) == Sleep::InAsyncIo {
        sleeps += 1;
        assert!(sleeps < Habit::LEAVE);
    }
}
