//! The threads themselves: made, refused, ended.

use super::*;
use crate::trace::Place;
use std::{
    cell::RefCell,
    panic::Location,
    sync::mpsc::{Receiver, Sender, channel},
};

const LIMIT: Duration = Duration::from_secs(20);

fn pool(spawn: Spawn, size: RangeInclusive<usize>, patience: Duration) -> Pool {
    Pool::with(Hands::Threads(spawn), "test".to_string(), size, Whose::Program, patience)
}

fn a_thread(thread: thread::Builder, life: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    thread.spawn(life)
}

#[track_caller]
fn put(pool: &Pool, work: impl FnOnce(Result<()>) -> After + Send + 'static) {
    let place: Place = Location::caller();
    pool.put(Birth::at(place), Box::new(work));
}

fn sending(result: Sender<Result<()>>) -> impl FnOnce(Result<()>) -> After {
    move |begun| {
        result.send(begun).expect("somebody waits");
        None
    }
}

#[test]
fn without_a_thread_what_waits_is_told_so_and_the_next_job_tries_again() {
    let none: Spawn = |_, _| Err(io::ErrorKind::WouldBlock.into());
    let pool = pool(none, 0..=2, PATIENCE);
    let (sender, results) = channel();
    put(&pool, sending(sender.clone()));
    put(&pool, sending(sender.clone()));
    assert!(results.try_recv().is_err(), "before the run nothing is tried");
    pool.open();
    put(&pool, sending(sender));
    for _ in 0..3 {
        let failure = results.try_recv().expect("it is told").unwrap_err();
        assert_eq!(failure.value::<io::Error>().map(io::Error::kind), Some(io::ErrorKind::WouldBlock));
    }
    assert!(pool.is_at_rest());
    pool.close();
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Tells that its thread has ended.
struct Last(Sender<()>);

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Has a thread tell when it ends.
fn put_last(pool: &Pool) -> Receiver<()> {
    let (sender, ends) = channel();
    put(pool, move |_| {
        LAST.set(Some(Last(sender)));
        None
    });
    ends
}

#[test]
fn a_thread_without_work_ends_unless_it_is_to_stay() {
    let pool = pool(a_thread, 0..=1, Duration::from_millis(1));
    pool.open();
    put_last(&pool).recv_timeout(LIMIT).expect("it ends");
    // The next job has another one.
    put_last(&pool).recv_timeout(LIMIT).expect("it ends");
    pool.resize(1..=1);
    let stays = put_last(&pool);
    let (sender, results) = channel();
    put(&pool, sending(sender));
    results.recv_timeout(LIMIT).expect("it is done").expect("in the same thread");
    pool.resize(0..=0);
    stays.recv_timeout(LIMIT).expect("it is one too many");
    pool.close();
    assert_eq!(pool.shared.lock().count(), 0);
}

#[test]
fn every_job_is_done_once_however_the_size_changes() {
    let pool = pool(a_thread, 0..=4, Duration::from_millis(1));
    pool.open();
    let (sender, results) = channel();
    for n in 0..5_000 {
        put(&pool, sending(sender.clone()));
        if n % 100 == 0 {
            let most = n / 100 % 5;
            pool.resize(most / 2..=most);
        }
    }
    pool.resize(0..=2);
    pool.close();
    drop(sender);
    assert_eq!(results.iter().map(|result| result.expect("there is a thread")).count(), 5_000);
    let state = pool.shared.lock();
    assert_eq!((state.count(), state.threads.len(), state.ended.len()), (0, 0, 0));
}

#[test]
fn a_panic_of_a_job_ends_no_thread() {
    let pool = pool(a_thread, 0..=1, PATIENCE);
    pool.open();
    put(&pool, |_| report::hushed(|| panic!("in the job")));
    put(&pool, |_| Some(Box::new(|| report::hushed(|| panic!("in what comes after")))));
    let (sender, results) = channel();
    put(&pool, sending(sender));
    results.recv_timeout(LIMIT).expect("it is done").expect("in a thread");
    pool.close();
}
