//! The reactor as the guest of other executors: each host drives it through the same program.
//!
//! Real only: what has threads, timers and sockets of async-io, or a guest that is to sleep while its host is at work. The clock of a virtual
//! reactor jumps instead.

use async_io::{Async, Timer};
use futures::{channel::oneshot, executor::LocalPool, task::LocalSpawnExt};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::{Cell, RefCell},
    future::Future,
    net::{Ipv4Addr, TcpListener, TcpStream},
    pin::Pin,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};
use twistor::{
    Context, Protocol, Reactor, Result,
    defer::{Deferred, Promise},
    error::ReactorAlreadyRunning,
    factory,
    testing::{Peer, Simulation, on_both},
};

type Guest = Pin<Box<dyn Future<Output = ()>>>;

/// Polls both to the end of the second.
type Host = fn(Guest, Guest);

fn local_pool(guest: Guest, program: Guest) {
    let mut pool = LocalPool::new();
    pool.spawner().spawn_local(guest).unwrap();
    pool.run_until(program);
}

fn local_executor(guest: Guest, program: Guest) {
    let executor = async_executor::LocalExecutor::new();
    executor.spawn(guest).detach();
    async_io::block_on(executor.run(program));
}

fn plain_block_on(guest: Guest, program: Guest) {
    let executor = async_executor::LocalExecutor::new();
    executor.spawn(guest).detach();
    futures_lite::future::block_on(executor.run(program));
}

fn tokio_local_set(guest: Guest, program: Guest) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let set = tokio::task::LocalSet::new();
    set.spawn_local(guest);
    set.block_on(&runtime, program);
}

/// Without a `LocalSet`: both are one future.
fn tokio_current_thread(guest: Guest, program: Guest) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(futures_lite::future::or(program, async {
        guest.await;
        std::future::pending().await
    }));
}

const HOSTS: [Host; 5] = [local_pool, local_executor, plain_block_on, tokio_local_set, tokio_current_thread];

/// Has each host drive the reactor beside a program of its own, which stops it at its end.
fn on_each_host<F: Future<Output = Result<()>> + 'static>(reactor: &Reactor, program: impl Fn(Reactor) -> F) {
    for host in HOSTS {
        let reactor = reactor.clone();
        let drive = reactor.drive();
        let (ended, end) = Deferred::<()>::pending();
        let guest = Box::pin(async move {
            drive.await.unwrap();
            end.callback(());
        });
        let program = program(reactor.clone());
        let whole = Box::pin(async move {
            program.await.unwrap();
            reactor.stop().unwrap();
            ended.await.unwrap();
        });
        host(guest, whole);
    }
}

/// What fires after so long, on the reactor's clock.
fn after(reactor: &Reactor, delay: Duration) -> Deferred<()> {
    let (deferred, promise) = Deferred::pending();
    reactor.call_later(delay, move || {
        promise.callback(());
    });
    deferred
}

/// Gives the host a turn in which the guest goes to sleep.
async fn guest_sleeps() {
    for _ in 0..50 {
        futures_lite::future::yield_now().await;
    }
}

const SOON: Duration = Duration::from_millis(5);
/// Nobody waits so long: what comes after it was not woken in time.
const LATE: Duration = Duration::from_secs(30);

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

on_both!(timers_sockets_and_tasks);
fn timers_sockets_and_tasks(reactor: &Reactor) {
    on_each_host(reactor, |reactor| async move {
        after(&reactor, SOON).await?;
        let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo))?;
        let mut peer = Peer::connect(&reactor, port.get_host()?.as_inet().unwrap())?;
        let mut byte = [0];
        for n in 0..100 {
            peer.write_all(&[n]).await?;
            peer.read_exact(&mut byte).await?;
            assert_eq!(byte, [n]);
        }
        assert_eq!(reactor.spawn(async { Ok(6 * 7) }).await?, 42);
        Ok(())
    });
}

#[test]
fn calls_of_threads() {
    thread_local!(static DONE: Cell<Option<Promise<u8>>> = const { Cell::new(None) });
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        after(&reactor, SOON).await?; // it runs: else the calls are refused
        let (done, promise) = Deferred::pending();
        DONE.set(Some(promise));
        let remote = reactor.remote();
        thread::spawn(move || {
            for _ in 0..100 {
                remote.blocking_call_from_thread(|_| Ok(())).unwrap();
            }
            let last = |_: &Reactor| {
                DONE.take().unwrap().callback(99);
            };
            remote.call_from_thread(last).unwrap();
        });
        assert_eq!(done.add_timeout(LATE, &reactor).await?, 99);
        Ok(())
    });
}

/// Between two polls of the guest the host's code asks for something: it happens without another wake.
#[test]
fn what_the_host_asks_for_between_two_polls_takes_effect() {
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        let begun = Instant::now();
        guest_sleeps().await;
        // A task.
        assert_eq!(reactor.spawn(async { Ok(1) }).await?, 1);
        guest_sleeps().await;
        // A timer.
        after(&reactor, SOON).await?;
        // A timer that is to come sooner than what the guest sleeps for.
        let (deferred, promise) = Deferred::<()>::pending();
        let call = reactor.call_later(LATE, move || {
            promise.callback(());
        });
        guest_sleeps().await;
        call.reset(SOON)?;
        deferred.await?;
        // A call, as from a thread.
        let (deferred, promise) = Deferred::<()>::pending();
        let promise = Rc::new(Cell::new(Some(promise)));
        guest_sleeps().await;
        reactor.call_later(Duration::ZERO, move || {
            promise.take().map(|p| p.callback(()));
        });
        deferred.await?;
        assert!(begun.elapsed() < LATE);
        Ok(())
    });
}

on_both!(what_the_host_writes_between_two_polls_leaves);
fn what_the_host_writes_between_two_polls_leaves(reactor: &Reactor) {
    struct Keeping(Rc<RefCell<Option<Context<Keeping>>>>);
    impl Protocol for Keeping {
        fn connection_made(&mut self, cx: &Context<Self>) {
            self.0.replace(Some(cx.clone()));
        }
    }
    on_each_host(reactor, |reactor| async move {
        let kept: Rc<RefCell<Option<Context<Keeping>>>> = Rc::default();
        let keep = kept.clone();
        let port = reactor.listen_tcp(("127.0.0.1", 0), factory(move |_| Keeping(keep.clone())))?;
        let mut peer = Peer::connect(&reactor, port.get_host()?.as_inet().unwrap())?;
        while kept.borrow().is_none() {
            futures_lite::future::yield_now().await;
        }
        guest_sleeps().await;
        let cx = kept.take().unwrap();
        cx.write("hello");
        cx.lose_connection();
        let mut text = String::new();
        peer.read_to_string(&mut text).await?;
        assert_eq!(text, "hello");
        Ok(())
    });
}

#[test]
fn futures_of_async_io_beside_it_and_inside_it() {
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        Timer::after(SOON).await;
        for _ in 0..20 {
            let inside = reactor.spawn(async {
                Timer::after(Duration::from_millis(1)).await;
                Ok(())
            });
            inside.await?;
        }
        Ok(())
    });
}

/// Two ends of a connection whose futures are woken by a thread that the reactor knows nothing of; one in a task of the reactor, one in the host's.
#[test]
fn sockets_of_async_io_beside_it_and_inside_it() {
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))?;
        let to = listener.get_ref().local_addr()?;
        let inside = reactor.spawn(async move {
            let mut socket = Async::<TcpStream>::connect(to).await?;
            let mut bytes = [0; 4];
            for _ in 0..20 {
                socket.read_exact(&mut bytes).await?;
                bytes.reverse();
                socket.write_all(&bytes).await?;
            }
            Ok(bytes)
        });
        let (mut beside, _) = listener.accept().await?;
        let mut bytes = *b"ping";
        for _ in 0..20 {
            guest_sleeps().await;
            beside.write_all(&bytes).await?;
            beside.read_exact(&mut bytes).await?;
        }
        assert_eq!((inside.await?, bytes), (*b"ping", *b"ping"));
        Ok(())
    });
}

/// The host's other tasks get their turn beside a reactor that is never done.
#[test]
fn a_busy_guest_does_not_starve_its_host() {
    fn again(reactor: Reactor, until: Rc<Cell<bool>>) {
        if !until.get() {
            let next = reactor.clone();
            reactor.call_later(Duration::ZERO, move || again(next, until));
        }
    }
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        let done = Rc::new(Cell::new(false));
        again(reactor.clone(), done.clone());
        for _ in 0..20 {
            futures_lite::future::yield_now().await;
        }
        Timer::after(SOON).await;
        done.set(true);
        Ok(())
    });
}

/// Two reactors of one host, side by side on its thread.
#[test]
fn two_guests() {
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        let other = Reactor::new()?;
        let drive = other.drive();
        let (first, second) = (after(&reactor, SOON), after(&other, SOON));
        let both = async {
            first.await?;
            second.await?;
            Ok(other.stop()?)
        };
        let (ended, both) = futures_lite::future::zip(drive, both).await;
        ended.and(both)
    });
}

/// Connections as streams, where the host's own code reads one end and a task of the reactor the other; and a protocol on foreign I/O.
#[test]
fn streams_on_both_sides() {
    use twistor::{Stream, serve, stream::attach};
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        let port = reactor.listen_tcp(
            ("127.0.0.1", 0),
            serve(|mut stream: Stream| async move {
                let mut all = vec![];
                stream.read_to_end(&mut all).await?;
                all.reverse();
                stream.write_all(&all).await?;
                Ok(())
            }),
        )?;
        let mut stream = reactor.connect_stream(&port.get_host()?).await?;
        let data: Vec<u8> = (0..500_000_u32).map(|n| n as u8).collect();
        for piece in data.chunks(50_000) {
            guest_sleeps().await;
            stream.write_all(piece).await?;
        }
        stream.close().await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        assert!(answer.iter().rev().eq(&data));

        let (here, there) = std::os::unix::net::UnixStream::pair()?;
        let (here, mut there) = (Async::new(here)?, Async::new(there)?);
        reactor.spawn(async move { attach(Echo, here).map(drop) }).await?;
        there.write_all(b"hello").await?;
        let mut echo = [0; 5];
        there.read_exact(&mut echo).await?;
        assert_eq!(&echo, b"hello");
        Ok(())
    });
}

on_both!(tasks_end_in_every_way);
/// A task of the reactor: cancelled, its future is dropped; its panic is a failure; and it goes with the run.
fn tasks_end_in_every_way(reactor: &Reactor) {
    struct Told(Rc<Cell<u32>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    on_each_host(reactor, |reactor| async move {
        let dropped = Rc::new(Cell::new(0));
        let told = Told(dropped.clone());
        let task = reactor.spawn(async move {
            let _told = told;
            std::future::pending::<Result<()>>().await
        });
        guest_sleeps().await;
        task.cancel();
        assert_eq!(dropped.get(), 1, "inside the cancel");
        assert!(task.await.unwrap_err().check::<twistor::error::CancelledError>());

        let panics = reactor.spawn::<()>(async { panic!("oh") });
        assert!(panics.await.unwrap_err().check::<twistor::error::Panicked>());

        let told = Told(dropped.clone());
        reactor.spawn_local(async move {
            let _told = told;
            std::future::pending().await
        })?;
        guest_sleeps().await;
        reactor.add_system_event_trigger(twistor::reactor::Phase::After, "shutdown", move || {
            assert_eq!(dropped.get(), 1, "it is dropped when the run is over");
        });
        Ok(())
    });
}

/// A second drive of a reactor that runs got the first one up while it slept, and no task woke it any more.
#[test]
fn a_drive_that_is_dropped_or_refused_leaves_the_one_that_runs_alone() {
    on_each_host(&Reactor::new().unwrap(), |reactor| async move {
        // While there is a task, a new one wakes the guest itself. Else async-io's thread does it, in its own time.
        reactor.spawn(std::future::pending::<Result<()>>()).or_log("a task that waits");
        for refused in [false, true] {
            let (sender, receiver) = oneshot::channel();
            let waits = reactor.spawn(async move { Ok(receiver.await?) });
            guest_sleeps().await;
            let second = reactor.drive();
            match refused {
                false => drop(second),
                true => assert!(second.await.unwrap_err().check::<ReactorAlreadyRunning>()),
            }
            sender.send(7).unwrap();
            guest_sleeps().await;
            // Nothing is asked of the reactor before this: that would get it to look.
            assert!(waits.is_fired(), "refused: {refused}");
            assert_eq!(waits.await?, 7);
        }
        Ok(())
    });
}

/// Each is a task of its own, which the other one's bytes wake; and no time goes by while one has something to do.
#[test]
fn two_guests_of_one_simulation_talk() {
    /// However its owner ends.
    struct Stops(Reactor);
    impl Drop for Stops {
        fn drop(&mut self) {
            self.0.stop().unwrap();
        }
    }
    for host in HOSTS {
        let sim = Simulation::new();
        let (server, client) = (sim.reactor(), sim.reactor());
        server.listen_tcp(7, factory(|_| Echo)).unwrap();
        // Else who is not woken would wait for ever.
        client.call_later(LATE, || Reactor::current().stop().unwrap());
        let (serving, running) = (server.drive(), client.drive());
        let echoed = Rc::new(Cell::new(0));
        let count = echoed.clone();
        let script = async move {
            let _server = Stops(server);
            let mut stream = client.connect_stream(("127.0.0.1", 7)).await.unwrap();
            for n in 0..100 {
                stream.write_all(&[n]).await.unwrap();
                let mut echo = [0];
                stream.read_exact(&mut echo).await.unwrap();
                assert_eq!(echo, [n]);
                count.set(count.get() + 1);
            }
            client.stop().unwrap();
        };
        let talking = async { futures_lite::future::zip(running, script).await.0.unwrap() };
        // Hosts poll the second one first: a reactor that was never polled is none that time would wait for.
        host(Box::pin(talking), Box::pin(async { serving.await.unwrap() }));
        assert_eq!((echoed.get(), sim.now()), (100, Duration::ZERO));
    }
}
