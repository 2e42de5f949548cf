//! The poll set as a guest of async-io.

use super::*;
use async_io::block_on;
use std::{
    future::poll_fn,
    io::Read,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Wake, Waker},
    thread,
};

/// Long enough for a few lines to run before it is over.
const SOON: Duration = Duration::from_millis(100);

/// Waits on async-io, for what must come.
async fn wait(driver: &EpollDriver) {
    let deadline = Instant::now() + PATIENCE;
    poll_fn(|cx| driver.poll_wait(cx, Some(deadline))).await.unwrap();
    assert!(Instant::now() < deadline, "nothing was told");
}

async fn wait_until(driver: &EpollDriver, deadline: Instant) {
    poll_fn(|cx| driver.poll_wait(cx, Some(deadline))).await.unwrap();
}

/// One poll, with a waker that counts.
fn poll(driver: &EpollDriver, waker: &Arc<Count>, deadline: Option<Instant>) -> Poll<()> {
    let waker = Waker::from(waker.clone());
    driver.poll_wait(&mut Context::from_waker(&waker), deadline).map(Result::unwrap)
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_socket_ends_it_and_the_next_wait_tells_which() {
    let driver = driver();
    let (key, mut peer) = connection(&driver);
    key.watch(&driver, READ);
    block_on(async {
        let writer = thread::spawn(move || peer.write_all(b"x").map(|()| peer));
        wait(&driver).await;
        assert_eq!(look(&driver), [ready(&key, READ)]);
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_ready_already_ends_it_at_once() {
    let driver = driver();
    let (key, _peer) = readable(&driver);
    let waker = Arc::default();
    assert!(poll(&driver, &waker, None).is_ready());
    assert!(poll(&driver, &waker, None).is_ready());
    assert_eq!(look(&driver), [ready(&key, READ)]);
}

#[test]
fn an_alarm_ends_it() {
    let driver = driver();
    let alarm = driver.alarm();
    block_on(async {
        let ringer = thread::spawn(move || alarm.ring());
        wait(&driver).await;
        ringer.join().unwrap();
    });
    assert_eq!(look(&driver), []);
    assert!(poll(&driver, &Arc::default(), None).is_pending());
}

#[test]
fn an_alarm_that_is_not_waited_for_stays_rung() {
    let driver = driver();
    driver.alarm().ring();
    let waker = Arc::default();
    assert!(poll(&driver, &waker, None).is_ready());
    assert!(poll(&driver, &waker, None).is_ready());
    driver.wait(None, &mut Vec::new()).unwrap();
    assert!(poll(&driver, &waker, None).is_pending());
}

#[test]
fn a_deadline_ends_it_and_never_early() {
    let driver = driver();
    block_on(async {
        for millis in [0, 1, 5, 20] {
            let deadline = Instant::now() + Duration::from_millis(millis);
            wait_until(&driver, deadline).await;
            assert!(Instant::now() >= deadline);
        }
    });
    assert_eq!(look(&driver), []);
}

#[test]
fn a_deadline_can_be_changed_while_it_is_pending() {
    let driver = driver();
    let start = Instant::now();
    for (first, second) in [(Some(PATIENCE), GRACE), (None, GRACE), (Some(GRACE), GRACE * 2)] {
        let now = Instant::now();
        let (first, second) = (first.map(|first| now + first), now + second);
        block_on(async {
            let _ = poll(&driver, &Arc::default(), first);
            wait_until(&driver, second).await;
        });
        assert!(Instant::now() >= second);
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn a_deadline_taken_back_wakes_nobody() {
    let driver = driver();
    let waker = Arc::<Count>::default();
    assert!(poll(&driver, &waker, Some(Instant::now() + SOON)).is_pending());
    assert!(poll(&driver, &waker, None).is_pending());
    driver.wait(Some(SOON + GRACE), &mut Vec::new()).unwrap();
    assert_eq!(waker.0.load(Ordering::SeqCst), 0);
}

/// What it has read is told once more, and looked at by nobody; then all is as it was asked for.
#[test]
fn what_it_has_read_is_told_late_and_never_again() {
    let driver = driver();
    let (closed, _peer) = readable(&driver);
    let (silent, _peer) = readable(&driver);
    let (other, _peer) = readable(&driver);
    assert!(poll(&driver, &Arc::default(), None).is_ready());
    driver.close(closed.handle);
    silent.watch(&driver, NONE);
    other.watch(&driver, BOTH);
    let late: Vec<_> = look(&driver).into_iter().map(|ready| ready.token).collect();
    assert_eq!(late, [closed.token, silent.token, other.token]);
    assert_eq!(look(&driver), [ready(&other, BOTH)]);
}

#[test]
fn messages_go_on_through_many_turns_of_one_period() {
    let driver = driver();
    let (key, mut peer) = connection(&driver);
    key.watch(&driver, READ);
    let echoes = thread::spawn(move || {
        for byte in 0..200_u8 {
            peer.write_all(&[byte]).unwrap();
            let mut back = [0];
            peer.read_exact(&mut back).unwrap();
            assert_eq!(back, [byte]);
        }
    });
    block_on(async {
        loop {
            wait(&driver).await;
            assert_eq!(look(&driver), [ready(&key, READ)]);
            let mut message = [0; 8];
            let received = driver.receive(&key, &mut message).unwrap();
            if received == 0 {
                break;
            }
            driver.send(&key, &[IoSlice::new(&message[..received])]).unwrap();
        }
    });
    echoes.join().unwrap();
}

#[test]
fn it_runs_beside_futures_of_async_io() {
    let driver = driver();
    let (key, peer) = connection(&driver);
    key.watch(&driver, READ);
    let peer = async_io::Async::new(peer).unwrap();
    block_on(async {
        let foreign = pin!(async {
            async_io::Timer::after(GRACE).await;
            peer.write_with(|mut peer| peer.write(b"x")).await.unwrap();
        });
        futures_lite::future::zip(wait(&driver), foreign).await;
    });
    assert_eq!(look(&driver), [ready(&key, READ)]);
}

#[test]
fn it_is_a_guest_of_any_executor() {
    let driver = driver();
    let (key, mut peer) = connection(&driver);
    key.watch(&driver, READ);
    let alarm = driver.alarm();
    // This executor knows nothing of async-io, whose own thread does all.
    futures_lite::future::block_on(async {
        let writer = thread::spawn(move || peer.write_all(b"x").map(|()| peer));
        wait(&driver).await;
        assert_eq!(look(&driver), [ready(&key, READ)]);
        writer.join().unwrap().unwrap();
    });
    key.watch(&driver, NONE);
    futures_lite::future::block_on(async {
        let ringer = thread::spawn(move || alarm.ring());
        wait(&driver).await;
        ringer.join().unwrap();
        look(&driver);
        let deadline = Instant::now() + GRACE;
        wait_until(&driver, deadline).await;
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn after_disarm_plain_waits_go_on_and_async_io_wakes_nobody() {
    let driver = driver();
    let (key, mut peer) = connection(&driver);
    key.watch(&driver, READ);
    let waker = Arc::<Count>::default();
    assert!(poll(&driver, &waker, Some(Instant::now() + SOON)).is_pending());
    driver.disarm();
    driver.disarm();

    peer.write_all(b"x").unwrap();
    assert_eq!(until(&driver, |_| true), ready(&key, READ));
    key.watch(&driver, NONE);
    driver.wait(Some(SOON + GRACE), &mut Vec::new()).unwrap();
    assert_eq!(waker.0.load(Ordering::SeqCst), 0);

    key.watch(&driver, READ);
    block_on(wait(&driver));
    assert_eq!(look(&driver), [ready(&key, READ)]);
}

#[test]
fn a_driver_may_go_while_it_is_nested() {
    let driver = driver();
    let waker = Arc::<Count>::default();
    assert!(poll(&driver, &waker, Some(Instant::now() + PATIENCE)).is_pending());
    let alarm = driver.alarm();
    drop(driver);
    alarm.ring();
    let next = super::driver();
    assert!(poll(&next, &waker, None).is_pending());
}
