//! A connection of the reactor as tokio's I/O and hyper's, and hyper's timer and executor.

#[allow(dead_code, reason = "not all of it is for this test")]
mod support;

use hyper::rt::{Executor, Timer};
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};
use support::run_until;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use twistor::{Reactor, Result, Stream, serve, task::defer_later, testing::Simulation};
use twistor_tokio::{OnReactor, StreamExt, Tokio, error::VirtualReactor};

/// Twice the real thing: a reactor, and what waits on it for a result.
fn on_both<F: Future<Output = Result<()>> + 'static>(program: impl Fn(Reactor) -> F) {
    let reactor = Reactor::new().unwrap();
    run_until(&reactor, reactor.spawn(program(reactor.clone()))).unwrap();
    let sim = Simulation::new();
    let reactor = sim.reactor();
    sim.wait_for(reactor.spawn(program(reactor.clone()))).unwrap();
}

/// Answers each line in capitals, with tokio's I/O, until the peer's end; then says so.
async fn shout(stream: Stream) -> Result<()> {
    let mut stream = BufReader::new(stream.into_tokio());
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        stream.write_all(line.to_uppercase().as_bytes()).await?;
        line.clear();
    }
    stream.write_all(b"bye").await?;
    stream.shutdown().await?;
    Ok(())
}

#[test]
fn a_connection_is_read_and_written_with_tokios_traits() {
    on_both(|reactor| async move {
        let port = reactor.listen_tcp(("127.0.0.1", 0), serve(shout))?;
        let mut stream = reactor.connect_stream(&port.get_host()?).await?.into_tokio();
        stream.write_all(b"hello\nworld\n").await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert_eq!(answer, "HELLO\nWORLD\nbye");
        Ok(())
    });
}

#[test]
fn much_data_goes_through_in_order() {
    const MUCH: usize = 1 << 20;
    on_both(|reactor| async move {
        let echo = serve(|stream: Stream| async move {
            let (mut from, mut to) = tokio::io::split(stream.into_tokio());
            tokio::io::copy(&mut from, &mut to).await?;
            Ok(to.shutdown().await?)
        });
        let port = reactor.listen_tcp(("127.0.0.1", 0), echo)?;
        let stream = reactor.connect_stream(&port.get_host()?).await?.into_tokio();
        let (mut from, mut to) = tokio::io::split(stream);
        let sent: Vec<u8> = (0..MUCH).map(|n| (n % 251) as u8).collect();
        let sends = reactor.spawn({
            let sent = sent.clone();
            async move {
                to.write_all(&sent).await?;
                Ok(to.shutdown().await?)
            }
        });
        let mut received = vec![];
        from.read_to_end(&mut received).await?;
        sends.await?;
        assert!(received == sent);
        Ok(())
    });
}

#[test]
fn a_virtual_reactor_has_no_tokio_and_says_what_to_do() {
    let failure = Tokio::new(&Simulation::new().reactor()).unwrap_err();
    assert!(failure.check::<VirtualReactor>());
    assert!(failure.to_string().contains("test on Reactor::new()"), "{failure}");
}

// ---- hyper's timer and executor ---------------------------------------------------------------------------------

#[test]
fn a_sleep_of_hyper_ends_on_the_clock_of_the_reactor() {
    const HOUR: Duration = Duration::from_secs(3600);
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let slept = reactor.spawn(async {
        let begun = OnReactor.now();
        OnReactor.sleep(HOUR).await;
        OnReactor.sleep_until(begun + 2 * HOUR).await;
        OnReactor.sleep_until(begun).await; // that is over
        Ok(OnReactor.now() - begun)
    });
    assert_eq!(sim.wait_for(slept).unwrap(), 2 * HOUR);
    assert_eq!(sim.now(), 2 * HOUR);
}

#[test]
fn a_sleep_that_is_dropped_leaves_no_timer() {
    let reactor = Reactor::new().unwrap();
    let timers = reactor.clone();
    let counted = reactor.spawn(async move {
        let sleep = OnReactor.sleep(Duration::from_secs(3600));
        let with = timers.get_delayed_calls().len();
        drop(sleep);
        Ok(with - timers.get_delayed_calls().len())
    });
    assert_eq!(run_until(&reactor, counted).unwrap(), 1);
}

#[test]
fn a_sleep_may_go_to_another_thread_and_be_dropped_there() {
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    let went = reactor.spawn(async move {
        let sleep = OnReactor.sleep(Duration::from_millis(1));
        std::thread::spawn(move || drop(sleep)).join().expect("it drops it");
        // Its call is made, and finds nobody.
        defer_later(&r, Duration::from_millis(2), || Ok(())).await
    });
    run_until(&reactor, went).unwrap();
}

#[test]
fn the_executor_runs_what_is_not_send() {
    let reactor = Reactor::new().unwrap();
    let ran = Rc::new(Cell::new(false));
    let runs = ran.clone();
    let (done, promise) = twistor::defer::Deferred::pending();
    reactor.call_when_running(move || {
        OnReactor.execute(async move {
            OnReactor.sleep(Duration::from_millis(1)).await;
            runs.set(true);
            promise.callback(());
        });
    });
    run_until(&reactor, done).unwrap();
    assert!(ran.get());
}

#[test]
fn where_no_reactor_calls_the_timer_panics_and_says_why() {
    let panic = catch_unwind(AssertUnwindSafe(|| OnReactor.sleep(Duration::ZERO))).err().expect("it panics");
    let text = panic.downcast_ref::<&str>().expect("a text");
    assert!(text.contains("no reactor calls this"), "{text}");
}
